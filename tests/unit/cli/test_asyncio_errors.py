"""What asyncio has to say of connections that broke is no output of a run."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pmarep import engine
from pmarep.cli import replication_run
from pmarep.cli.log_output import start_logging
from pmarep.cli.render import LinesOutput
from pmarep.events import Summary


@pytest.fixture
def reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in which a callback of the event loop fails, as Windows' does when a peer resets a connection."""

    def lost() -> None:
        raise ConnectionResetError("to https://s3.example/k?sig=geheim")

    async def replicate(*_args: Any, **_options: Any) -> Summary:
        asyncio.get_running_loop().call_soon(lost)
        await asyncio.sleep(0.01)
        return Summary(exit_code=0, seconds=0.0, sites={})

    monkeypatch.setattr(engine, "replicate", replicate)
    monkeypatch.setattr(replication_run, "use_one_malloc_arena", lambda: None)


@pytest.fixture
def bug(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in which a task fails that nobody waits for, be it that a connection broke."""

    async def lost() -> None:
        raise ConnectionResetError("nobody has caught it")

    async def replicate(*_args: Any, **_options: Any) -> Summary:
        task = asyncio.create_task(lost())
        await asyncio.sleep(0.01)
        del task
        gc.collect()
        return Summary(exit_code=0, seconds=0.0, sites={})

    monkeypatch.setattr(engine, "replicate", replicate)
    monkeypatch.setattr(replication_run, "use_one_malloc_arena", lambda: None)


@contextmanager
def new_loggers() -> Iterator[None]:
    """As a new process has them: no handler of pytest's, with which asyncio's words would not reach stderr."""
    root, ours, theirs = (logging.getLogger(name) for name in ("", "pmarep", "httpx"))
    before, levels = root.handlers[:], (ours.level, theirs.level)
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = before
        ours.setLevel(levels[0])
        theirs.setLevel(levels[1])


def start(verbose: int) -> None:
    nothing: Any = None
    output = LinesOutput(quiet=True, verbose=False)
    with new_loggers():
        start_logging(verbose)
        assert replication_run.run_replication(nothing, [], None, Path(), output) == 0


@pytest.mark.usefixtures("reset")
@pytest.mark.parametrize("verbose", [0, 1])
def test_a_broken_connection_prints_nothing(capfd: pytest.CaptureFixture[str], verbose: int) -> None:
    start(verbose)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("bug")
def test_a_bug_is_reported(capfd: pytest.CaptureFixture[str]) -> None:
    start(0)
    assert "Task exception was never retrieved" in capfd.readouterr().err


@pytest.mark.usefixtures("reset")
def test_vv_names_it(capfd: pytest.CaptureFixture[str]) -> None:
    start(2)
    shown = capfd.readouterr().err
    assert shown.count("\n") == 1, shown
    assert "pmarep.cli.replication_run: Exception in callback" in shown
    assert shown.endswith("(ConnectionResetError)\n")
    assert "geheim" not in shown
