"""A run that has to end by a time, is interrupted, or cannot begin at one of its sites; and what it says about that."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import PushCli, arrived, contents, transfers

from pmacore_sandbox import Hold, Sandbox

FILE = r"transfer/Upload/[0-9]+\?path="
NO_KEYRING = "keyring.backends.null.Keyring"

LATER = """
from pathlib import Path
from pmarep.clock import Clock
real = Clock.monotonic
def monotonic(self):
    try:
        return real(self) + float(Path({flag!r}).read_text() or 0)
    except FileNotFoundError:
        return real(self)
Clock.monotonic = monotonic
"""


@pytest.fixture
def later(tmp_path: Path) -> Callable[[float], None]:
    """So many seconds are over all at once, for a push that is started with `patched`."""

    def jump(seconds: float) -> None:
        new = tmp_path / "later.new"
        new.write_text(str(seconds))
        new.replace(tmp_path / "later")

    return jump


@pytest.fixture
def patched(tmp_path: Path) -> str:
    return LatePatch(LATER.format(flag=str(tmp_path / "later")))


def is_notice(words: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "notice" and words in event["text"]


def large(folder: Path, files: int) -> None:
    """Slides of which a line has to be fast before it gets more than one at once; they take no room here."""
    for number in range(files):
        with (folder / f"{number}.svs").open("wb") as file:
            file.write(os.urandom(1000))
            file.truncate(40_000_000)


@pytest.mark.skipif(os.name == "nt", reason="files with holes")
def test_what_waits_for_its_turn_is_not_begun_any_more(
    cli: PushCli, sandbox: Sandbox, later: Callable[[float], None], patched: str
) -> None:
    """The slides under way are finished; those that were announced already are left for the next run."""
    large(cli.source, 8)
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE)
    with cli.start("--max-duration", "1h", patch=patched) as running:
        assert hold.reached.wait(PATIENCE)
        later(3601)
        running.wait_for(is_notice("the end (--max-duration) is near"))
        hold.release()
        result = running.result()
    assert result.code == 1
    sent, *others = result.counts("a")
    assert others == [0, 0]
    assert 1 <= sent <= 5
    assert result.not_begun("a") == 8 - sent
    assert len(arrived(sandbox)) == sent
    assert result.summary["sites"]["a"]["error"] == "stopped at --max-duration; the next run sends the rest"


@pytest.mark.parametrize("hard", [("--max-duration", "1h", "--hard"), ("--stop-at", "{}")], ids=["--hard", "--stop-at"])
def test_a_hard_end_breaks_off_and_says_what_is_kept(
    cli: PushCli, sandbox: Sandbox, later: Callable[[float], None], patched: str, hard: tuple[str, ...]
) -> None:
    write_mirax(cli.source / "m.mrxs", data_files=4, data_size=400_000)
    tree(cli.source, *(f"z{number}.svs" for number in range(20)))
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE + "m/Data0003.dat", times=1)
    at = f"{datetime.now() + timedelta(hours=12):%H:%M}"  # half a day away, whenever this runs
    options = [word.format(at) for word in hard]
    with cli.start("--connections", "1", *options, patch=patched) as running:
        assert hold.reached.wait(PATIENCE)
        later(86_400)
        result = running.result()
    assert result.code == 1
    sent, skipped, failed = result.counts("a")
    assert (skipped, failed) == (0, 1)
    assert result.not_begun("a") == 20 - sent
    kept, again = (result.summary["sites"]["a"][key] for key in ("bytes_kept", "bytes_again"))
    assert kept >= 400_000
    assert 0 < again <= 400_000
    option = "--max-duration" if hard[0] == "--max-duration" else f"--stop-at {at}"
    assert result.summary["error"].startswith(f"stopped at {option}; ")
    assert " of unfinished slides are kept for the next run, " in result.summary["error"]
    sandbox.faults.clear()
    assert sandbox.wait_idle()
    second = cli.push()
    assert second.code == 0
    assert second.finished("a")["m.mrxs"]["resumed_bytes"] == kept
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("options", [("--stop-at", "25:00"), ("--stop-at", "soon"), ("--stop-at", "6"), ("--hard",)])
def test_times_that_are_none(cli: PushCli, sandbox: Sandbox, options: tuple[str, ...]) -> None:
    tree(cli.source, "a.svs")
    result = cli.push(*options)
    assert result.code == 2
    assert options[0] in result.summary["error"]
    assert not sandbox.requests


def test_a_log_in_that_is_never_answered_is_reported_and_ends_with_the_run(
    cli: PushCli, sandbox: Sandbox, later: Callable[[float], None], patched: str
) -> None:
    tree(cli.source, "a.svs")
    hold = Hold()
    sandbox.faults.add(hold, path="uthenticate")
    with cli.start("--patience", "1h", "--max-duration", "1h", patch=patched) as running:
        assert hold.reached.wait(PATIENCE)
        later(11)
        running.wait_for(
            lambda e: e["event"] == "site_state" and e["state"] == "connecting" and e["reason"] is not None
        )
        later(3601)
        result = running.result()
    assert result.code == 1
    assert (result.counts("a"), result.not_begun("a")) == ((0, 0, 0), 1)
    waiting = f"waiting for {sandbox.url} to answer the log-in"
    assert waiting in result.summary["sites"]["a"]["error"]
    assert any(waiting in (event.get("reason") or "") for event in result.events)


def test_an_announcement_that_is_never_answered_ends_with_the_run(
    cli: PushCli, sandbox: Sandbox, later: Callable[[float], None], patched: str
) -> None:
    tree(cli.source, "a.svs")
    hold = Hold()
    sandbox.faults.add(hold, path="transfer/Upload$")
    with cli.start("--patience", "1h", "--max-duration", "1h", patch=patched) as running:
        assert hold.reached.wait(PATIENCE)
        later(11)
        running.wait_for(lambda event: "to answer about a.svs" in (event.get("reason") or ""))
        later(7200)
        result = running.result()
    assert result.code == 1
    assert not arrived(sandbox)


def test_a_password_that_never_comes_is_reported_and_ends_with_the_run(
    cli: PushCli, sandbox: Sandbox, later: Callable[[float], None], patched: str, start_sandbox: Callable[..., Sandbox]
) -> None:
    """The others are sent to as far as there is time, and nobody waits for ever."""
    tree(cli.source, "a.svs")
    cli.site("b", start_sandbox("b"), password_command=["sleep", "600"])
    del cli.environment["PMAREP_PASSWORD_B"]
    quickly = LatePatch(patched + "real_sleep = Clock.sleep\n" + QUICKLY)
    with cli.start("--max-duration", "1h", patch=quickly) as running:
        running.wait_for(is_notice("waiting for the password of b"))
        later(3601)
        result = running.result()
    assert result.code == 1
    assert "the password of b did not come in time" in result.summary["sites"]["b"]["error"]


QUICKLY = """
async def sleep(self, seconds):
    await real_sleep(self, min(seconds, 0.2))
Clock.sleep = sleep
"""


@pytest.mark.parametrize("missing", [{}, {"password_command": ["false"]}], ids=["no password", "a command that fails"])
def test_a_site_without_a_password_is_left_out_and_the_others_are_sent_to(
    cli: PushCli, sandbox: Sandbox, start_sandbox: Callable[..., Sandbox], missing: dict[str, Any]
) -> None:
    tree(cli.source, "a.svs", "b/c.svs")
    cli.site("b", start_sandbox("b"), **missing)
    del cli.environment["PMAREP_PASSWORD_B"]
    cli.environment["PYTHON_KEYRING_BACKEND"] = NO_KEYRING
    result = cli.push()
    assert result.code == 1
    assert (result.counts("a"), result.counts("b")) == ((2, 0, 0), (0, 0, 2))
    why = result.summary["sites"]["b"]["error"]
    assert why.startswith("no password for b: ")
    assert {"event": "site_state", "site": "b", "state": "stopped", "reason": why}.items() <= next(
        event for event in result.events if event["event"] == "site_state" and event["site"] == "b"
    ).items()
    assert list(result.summary["sites"]) == ["a", "b"]
    assert arrived(sandbox) == contents(cli.source)
    shown = cli.run("--quiet")
    assert shown.code == 1
    assert why in shown.stdout


def test_a_target_that_another_run_holds_is_left_out(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", content=os.urandom(300_000))
    cli.site("b", sandbox, "Slides/b")
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE, times=1)
    with cli.start("--sites", "a") as first:
        assert hold.reached.wait(PATIENCE)
        result = cli.push()
        assert result.code == 1
        assert (result.counts("a"), result.counts("b")) == ((0, 0, 1), (1, 0, 0))
        assert result.summary["sites"]["a"]["error"].startswith("a: another run holds this site's target (process ")
        # No site is left: as ever.
        del cli.environment["PMAREP_PASSWORD_B"]
        cli.environment["PYTHON_KEYRING_BACKEND"] = NO_KEYRING
        cli.site("c", "http://127.0.0.1:9/", "Slides/c")
        del cli.environment["PMAREP_PASSWORD_C"]
        none = cli.push("--sites", "a,c")
        assert none.code == 3
        assert "nothing was sent" in none.summary["error"]
        assert cli.push("--sites", "c").code == 2
        hold.release()
        assert first.result().code == 0


@pytest.mark.parametrize("mirax", [False, True], ids=["one file", "several files"])
def test_an_interrupted_run_says_what_is_kept(cli: PushCli, sandbox: Sandbox, mirax: bool) -> None:
    name = "m/Data0003.dat" if mirax else "a.svs"
    if mirax:
        write_mirax(cli.source / "m.mrxs", data_files=4, data_size=400_000)
    else:
        tree(cli.source, "a.svs", content=os.urandom(400_000))
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE + name)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        running.interrupt()
        result = running.result()
    assert result.code == 130
    site = result.summary["sites"]["a"]
    assert site["bytes_again"] > 0
    assert (site["bytes_kept"] > 0) is mirax
    words = (
        " of unfinished slides are kept for the next run, " if mirax else "nothing of the unfinished slides is kept, "
    )
    assert words in result.summary["error"]
    assert result.summary["error"].startswith("interrupted; ")


@pytest.mark.skipif(os.name == "nt", reason="files with holes")
def test_on_a_slow_line_large_files_go_one_by_one(cli: PushCli, sandbox: Sandbox) -> None:
    large(cli.source, 4)

    def at_work(event: dict[str, Any]) -> bool:
        return bool(event["event"] == "progress" and event["bytes_done"] > 0)

    with cli.start("--bwlimit", "200K") as running:
        running.wait_for(at_work, 3)
        running.interrupt()
        result = running.result()
    progress = [event["connections"] for event in result.events if at_work(event)]
    assert max(progress) == 1
    assert len([path for path in transfers(sandbox) if "?path=" in path]) <= 1
