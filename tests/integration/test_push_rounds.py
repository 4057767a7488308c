"""`push --every`: rounds in a process of their own, against a real server."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE
from support.push_cli import PushCli, Running, arrived, contents, logins, transfers

from pmacore_sandbox import Sandbox
from pmarep.state.run_records import records_in

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends and reloads services by signals")


@pytest.fixture
def systemd(tmp_path: Path, cli: PushCli) -> Iterator[socket.socket]:
    """The socket on which a service says how it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at:
        at.bind(str(tmp_path / "notify"))
        at.settimeout(PATIENCE)
        cli.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        yield at


def begins(number: int, reason: str) -> dict[str, Any]:
    return {"event": "round_started", "round": number, "reason": reason}


def wait_for_round(running: Running, number: int, reason: str) -> None:
    """Until a round has begun and ended."""
    wanted = begins(number, reason)
    running.wait_for(lambda event: wanted.items() <= event.items())
    running.wait_for(lambda event: event["event"] == "summary", number)


def send(running: Running, number: signal.Signals) -> None:
    running.process.send_signal(number)


def wait_for_status(systemd: socket.socket, words: str) -> list[str]:
    """Return what was said up to a line that has these words."""
    said: list[str] = []
    while not said or words not in said[-1]:
        said += systemd.recv(4096).decode().splitlines()
    return said


def test_a_new_slide_begins_a_round(cli: PushCli, sandbox: Sandbox, systemd: socket.socket, tmp_path: Path) -> None:
    tree(cli.source, "1.svs")
    with cli.start("--every", "1h") as running:
        wait_for_round(running, 1, "start")
        # Only now, since what changes during a round may be in it already.
        said = wait_for_status(systemd, "the next round begins in ")
        assert [line for line in said if "=1" in line] == ["READY=1"]
        assert sandbox.open_sessions == 0
        (tree(tmp_path / "ready", "sub/Präparat 2 & ラベル.svs") / "sub").rename(cli.source / "sub")  # all at once
        wait_for_round(running, 2, "change")
        wait_for_status(systemd, "the next round begins in ")
        send(running, signal.SIGTERM)
        assert "STOPPING=1" in wait_for_status(systemd, "STOPPING")
        result = running.result()
    assert result.code == 0
    assert arrived(sandbox) == contents(cli.source)
    assert transfers(sandbox).count("transfer/Upload") == 2
    assert (sandbox.open_sessions, logins(sandbox)) == (0, 2)
    assert [event["sites"]["a"]["sent"] for event in result.events if event["event"] == "summary"] == [1, 1]


def test_rounds_in_which_nothing_happens_leave_no_record(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    tree(cli.source, "1.svs")
    report = tmp_path / "report.json"
    with cli.start("--every", "1s", "--report", str(report)) as running:
        wait_for_round(running, 3, "time")
        send(running, signal.SIGINT)
        result = running.result()
    assert result.code in (0, 130)  # the signal may have come in a round
    first = min(records_in(cli.state / "runs"), key=lambda record: record.started)
    assert first.number == 1
    assert len(records_in(cli.state / "runs")) <= 2  # the first, and one that was interrupted
    assert report.exists()


def test_lines_of_rounds(cli: PushCli, sandbox: Sandbox, tmp_path: Path, systemd: socket.socket) -> None:
    tree(cli.source, "1.svs", "2.svs", content=b"x" * 1000)
    log = cli.source / "push.log"  # which is no change
    with cli.start_shown("--every", "1h", "--log-file", str(log), "--report", str(cli.source / "r.html")) as running:
        wait_for_status(systemd, "the next round begins in ")
        send(running, signal.SIGHUP)
        wait_for_status(systemd, "round 2")
        wait_for_status(systemd, "the next round begins in ")
        send(running, signal.SIGTERM)
        result = running.result()
    first, *sent, round_1, reloaded, round_2 = result.lines
    assert first == f"note: rounds every 1h00m, and at once after a change in {cli.source}"
    assert sorted(line.partition(" in ")[0] for line in sent) == ["a: sent 1.svs (1000 B", "a: sent 2.svs (1000 B"]
    assert round_1 == "round 1 (start): a 2 sent, 0 skipped, 2.0 KiB"
    assert reloaded == "note: the site book was read anew"
    assert round_2 == "round 2 (reload): a 0 sent, 2 skipped"
    assert [line.split(" INFO pmarep: ")[1] for line in log.read_text().splitlines()][1:] == result.lines
    assert (result.code, result.stderr) == (0, "")


def test_a_site_book_that_is_read_anew_serves_the_next_round(
    cli: PushCli, sandbox: Sandbox, systemd: socket.socket
) -> None:
    tree(cli.source, "1.svs")
    with cli.start("--every", "1h") as running:
        wait_for_status(systemd, "the next round begins in ")
        good = cli.book.read_text()
        cli.book.write_text("[sites.b]\n")
        send(running, signal.SIGHUP)
        running.wait_for(lambda event: "was not read anew" in event.get("text", ""))
        wait_for_status(systemd, "the next round begins in ")
        cli.book.write_text(good.replace("Slides/in", "Slides/other"))
        send(running, signal.SIGHUP)
        wait_for_round(running, 3, "reload")
    assert arrived(sandbox, "Slides/other") == arrived(sandbox) == contents(cli.source)


def test_a_server_that_is_away_for_a_round(cli: PushCli, sandbox: Sandbox, systemd: socket.socket) -> None:
    tree(cli.source, "1.svs")
    url = sandbox.url
    cli.book.write_text(cli.book.read_text().replace(url, "http://127.0.0.1:9/"))
    with cli.start("--every", "1h") as running:
        wait_for_round(running, 1, "start")
        wait_for_status(systemd, "the next round begins in ")
        cli.book.write_text(cli.book.read_text().replace("http://127.0.0.1:9/", url))
        send(running, signal.SIGHUP)
        wait_for_round(running, 2, "reload")
        wait_for_status(systemd, "the next round begins in ")
        send(running, signal.SIGTERM)
        result = running.result()
    assert [event["exit_code"] for event in result.events if event["event"] == "summary"] == [1, 0]
    assert result.code == 0
    assert arrived(sandbox) == contents(cli.source)


def test_a_slide_that_is_still_being_written_is_no_failure(
    cli: PushCli, sandbox: Sandbox, systemd: socket.socket
) -> None:
    """It has no more than one second of rest, is sent once it rests, and counts as failed in no round."""
    tree(cli.source, "still.svs", "growing.svs")
    os.utime(cli.source / "still.svs", (1e9, 1e9))
    with (cli.source / "growing.svs").open("ab") as scanner, cli.start("--every", "1h", "--settle", "1s") as running:
        wait_for_round(running, 1, "start")
        wait_for_status(systemd, "the next round begins in ")
        assert list(arrived(sandbox)) == ["still.svs"]
        scanner.write(b"the rest")
        scanner.close()
        wait_for_round(running, 2, "change")
        wait_for_status(systemd, "the next round begins in ")
        send(running, signal.SIGTERM)
        result = running.result()
    first, second = [event for event in result.events if event["event"] == "summary"]
    assert (first["unfinished"], first["source_problems"], first["exit_code"]) == (1, 0, 0)
    assert (second["unfinished"], second["exit_code"]) == (0, 0)
    assert arrived(sandbox) == contents(cli.source)


def test_a_signal_in_a_round_ends_it_and_all(cli: PushCli, sandbox: Sandbox, systemd: socket.socket) -> None:
    tree(cli.source, "1.svs")
    cli.environment["WATCHDOG_USEC"] = "200000"
    with cli.start("--every", "1h", "--settle", "1h") as running:
        running.wait_for(lambda event: event["event"] == "source_waiting")
        wait_for_status(systemd, "round 1")
        wait_for_status(systemd, "WATCHDOG=1")
        running.interrupt()
        result = running.result()
    assert result.code == 130
    assert result.summary["error"].startswith("interrupted")
    assert sandbox.open_sessions == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--between", "19:00-07:00"), "say how often with --every T"),
        (("--every", "10m", "--dry-run"), "--dry-run is for one run, and --every makes many"),
        (("--every", "10m", "--between", "night"), "cannot read the times 'night'"),
        (("--every", "10m", "--between", "19:00-07:00", "--sites", "nowhere"), "nowhere"),
    ],
)
def test_bad_options_end_at_once(cli: PushCli, options: tuple[str, ...], words: str) -> None:
    result = cli.run(*options)
    assert result.code == 2
    assert words in result.stderr
