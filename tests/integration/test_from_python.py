"""`pmarep.replicate_sync()` and `replicate_events()`, as a program or a notebook calls them."""

from __future__ import annotations

import asyncio
import os
import runpy
import signal
import sys
import threading
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tiny_tiff, tree
from support.in_process import SamePassword
from support.sandboxes import PASSWORD, USER, StartSandbox

import pmarep
from pmacore_sandbox import Sandbox
from pmarep.events import Event, SlideFinished, SlideStarted, Summary

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "seed_slideboxes.py"


@pytest.fixture
def call(tmp_path: Path, sandbox: Sandbox) -> dict[str, Any]:
    """The arguments of a call."""
    source = tree(tmp_path / "cases", *(f"{number}.svs" for number in range(6)), content=tiny_tiff(200_000))
    site = pmarep.Site(name="a", url=sandbox.url, username=USER, target="Slides/in")
    return {
        "options": pmarep.Options(sources=(source,), settle=0.0, patience=5.0),
        "sites": [site],
        "passwords": SamePassword(PASSWORD),
        "state_dir": tmp_path / "state",
    }


def slowly(call: dict[str, Any]) -> dict[str, Any]:
    """Return the same arguments for a run that takes some ten seconds, so that it can be ended before it has ended."""
    return call | {"options": replace(call["options"], bwlimit=pmarep.Timetable.parse("100K"))}


def arrived(sandbox: Sandbox) -> int:
    return len(list((sandbox.data / "Slides").rglob("*.svs")))


def test_without_async(call: dict[str, Any], sandbox: Sandbox) -> None:
    heard: list[Event] = []
    summary = pmarep.replicate_sync(**call, listener=heard.append)
    assert (summary.exit_code, summary.sites["a"].sent, arrived(sandbox)) == (0, 6, 6)
    assert heard[-1] is summary
    assert pmarep.replicate_sync(**call).sites["a"].skipped == 6


async def test_without_async_where_a_loop_runs(call: dict[str, Any], sandbox: Sandbox) -> None:
    """As in Jupyter: the run has a thread of its own."""
    threads: set[threading.Thread] = set()
    summary = pmarep.replicate_sync(**call, listener=lambda _: threads.add(threading.current_thread()))
    assert (summary.exit_code, arrived(sandbox)) == (0, 6)
    assert threads.isdisjoint({threading.current_thread()})


@pytest.mark.skipif(sys.platform == "win32", reason="os.kill() ends the process there")
@pytest.mark.parametrize("loop", [False, True])
def test_ctrl_c_ends_a_run_cleanly(call: dict[str, Any], sandbox: Sandbox, loop: bool) -> None:
    heard: list[Event] = []

    def listener(event: Event) -> None:
        heard.append(event)
        if isinstance(event, SlideStarted) and not any(isinstance(one, SlideStarted) for one in heard[:-1]):
            os.kill(os.getpid(), signal.SIGINT)

    async def within() -> None:
        pmarep.replicate_sync(**slowly(call), listener=listener)

    with pytest.raises(KeyboardInterrupt), closing(asyncio.new_event_loop()) as running:
        # Not asyncio.run(), whose own handler only cancels what runs in the loop; Jupyter's loop has none.
        running.run_until_complete(within()) if loop else pmarep.replicate_sync(**slowly(call), listener=listener)
    assert isinstance(heard[-1], Summary)
    assert heard[-1].exit_code == 130
    assert sandbox.open_sessions == 0
    assert pmarep.replicate_sync(**call).exit_code == 0
    assert arrived(sandbox) == 6


async def test_events_to_the_end(call: dict[str, Any], sandbox: Sandbox) -> None:
    heard = [event async for event in pmarep.replicate_events(**call)]
    assert isinstance(heard[-1], Summary)
    assert heard[-1].exit_code == 0
    assert sum(isinstance(event, SlideFinished) for event in heard) == arrived(sandbox) == 6


async def test_closing_the_events_early_ends_the_run(call: dict[str, Any], sandbox: Sandbox) -> None:
    """By the end of the block nothing runs, no session is open, and the targets are free for the next run."""
    before = asyncio.all_tasks()
    async with aclosing(pmarep.replicate_events(**slowly(call))) as events:
        async for event in events:
            if isinstance(event, SlideStarted):
                break
    assert asyncio.all_tasks() == before
    assert sandbox.open_sessions == 0
    heard = [event async for event in pmarep.replicate_events(**call)]
    assert isinstance(heard[-1], Summary)
    assert (heard[-1].exit_code, arrived(sandbox)) == (0, 6)


async def test_cancelling_the_task_that_reads_events_ends_the_run(call: dict[str, Any], sandbox: Sandbox) -> None:
    started = asyncio.Event()

    async def consume() -> None:
        async with aclosing(pmarep.replicate_events(**slowly(call))) as events:
            async for event in events:
                if isinstance(event, SlideStarted):
                    started.set()

    task = asyncio.create_task(consume())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sandbox.open_sessions == 0
    assert (await pmarep.replicate(**call, listener=lambda _: None)).exit_code == 0


async def test_a_usage_error_before_a_run_is_raised(call: dict[str, Any], tmp_path: Path) -> None:
    call["options"] = pmarep.Options(sources=(tmp_path / "gone",))
    with pytest.raises(pmarep.UsageError, match="is its drive mounted"):
        await anext(pmarep.replicate_events(**call))
    with pytest.raises(pmarep.UsageError, match="is its drive mounted"):
        pmarep.replicate_sync(**call)


def test_the_example(
    start_sandbox: StartSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = start_sandbox(roots=tuple(f"slidebox-{name}" for name in ("anna", "ben", "chloe", "dev")))
    tree(tmp_path / "cases", "a & b.svs", "Größe/胃.svs", content=tiny_tiff(5_000))
    for name, value in [
        ("PMA_URL", sandbox.url),
        ("PMA_USER", USER),
        ("PMAREP_PASSWORD_CAMPUS", PASSWORD),
        ("PMAREP_STATE_DIR", str(tmp_path / "state")),
    ]:
        monkeypatch.setenv(name, value)
    for file in (tmp_path / "cases").rglob("*.svs"):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), str(tmp_path / "cases")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    shown = capsys.readouterr()
    assert (ended.value.code or 0, shown.err) == (0, "")
    assert "2 slides, 0.0 MB" in shown.out
    assert shown.out.endswith("box-dev: 2 sent, 0 there already, 0 failed\nevery slide is in every box\n")
    assert len(list(sandbox.data.rglob("*.svs"))) == 8
