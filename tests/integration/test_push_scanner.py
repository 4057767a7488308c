"""Pushes while a scanner is at work: nothing is ever sent half, and everything once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import LatePatch
from support.push_cli import NO_PAUSES, PushCli, Result, arrived, contents, transfers

from pmacore_sandbox import Sandbox

on_linux_or_windows = pytest.mark.skipif(
    sys.platform not in ("linux", "win32"), reason="who has a file open cannot be asked on this platform"
)

# Copies the files of slides in many small pieces, so that each slide takes so many seconds: the files of a slide one
# after the other, all slides at once. The first piece comes before anybody says go. A file is closed between two
# pieces: only its size and time tell that there is more to come.
SCANNER = """
import sys, threading, time
from pathlib import Path

PIECES = 30
source, target, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
begun, go = threading.Barrier(len(sys.argv) - 3), threading.Event()

def scan(names):
    for name in names:
        content = (source / name).read_bytes()
        (target / name).parent.mkdir(exist_ok=True)
        size = max(len(content) // PIECES, 1)
        for start in range(0, len(content), size):
            with (target / name).open("ab") as file:
                file.write(content[start:start + size])
            if name == names[0] and start == 0:
                begun.wait()
                go.wait()
            time.sleep(seconds / len(names) / PIECES)

slides = [threading.Thread(target=scan, args=(names.split("|"),)) for names in sys.argv[4:]]
for slide in slides: slide.start()
begun.wait()
print("begun", flush=True)
sys.stdin.readline()
go.set()
"""

DATA = [f"Data{number:04}.dat" for number in range(3)]


def files_of(stem: str, *names: str) -> str:
    return "|".join([f"{stem}.mrxs", *(f"{stem}/{name}" for name in names)])


def scanner(originals: Path, scanned: Path, seconds: float) -> subprocess.Popen[bytes]:
    """Scans two MIRAX slides: one whose index is there from the beginning, one whose index comes last."""
    write_mirax(originals / "early.mrxs", data_size=300_000, seed=1)
    write_mirax(originals / "late.mrxs", data_size=300_000, seed=2)
    early = files_of("early", "Slidedat.ini", "Index.dat", *DATA)
    late = files_of("late", *DATA, "Index.dat", "Slidedat.ini")
    command = [sys.executable, "-c", SCANNER, str(originals), str(scanned), str(seconds), early, late]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def check_nothing_is_half(sandbox: Sandbox, originals: Path) -> None:
    there, whole = arrived(sandbox), contents(originals)
    for stem in ("early", "late"):
        if f"{stem}.mrxs" in there:
            of_slide = {path for path in whole if path.startswith(stem)}
            assert {path: there.get(path) for path in of_slide} == {path: whole[path] for path in of_slide}


def test_a_scanner_at_work(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    originals = tmp_path / "originals"
    pushes: list[Result] = []
    with scanner(originals, cli.source, seconds=4) as at_work:
        assert at_work.stdout is not None
        assert at_work.stdin is not None
        at_work.stdout.readline()
        with cli.start("--settle", "2s") as running:
            running.wait_for(lambda event: event["event"] == "source_waiting")
            at_work.stdin.write(b"go\n")
            at_work.stdin.close()
            pushes.append(running.result())
        while at_work.poll() is None:
            check_nothing_is_half(sandbox, originals)
            pushes.append(cli.push("--settle", "2s"))
        check_nothing_is_half(sandbox, originals)
    pushes.append(cli.push("--settle", "2s"))
    assert arrived(sandbox) == contents(cli.source) == contents(originals)
    assert transfers(sandbox).count("transfer/Upload") == 2  # announced once each, and so never begun too early
    assert sum(push.counts("a")[0] for push in pushes) == 2
    assert [push.counts("a")[2] for push in pushes] == [0] * len(pushes)
    assert pushes[0].code == 1
    assert pushes[-1].code == 0
    unfinished = {e["why"] for push in pushes for e in push.events if e["event"] == "source_problem"}
    assert unfinished == {"still being written"}


def test_slides_that_were_just_copied_are_sent_by_the_same_run(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "1.svs", "old.svs", content=os.urandom(5000))
    write_mirax(cli.source / "m.mrxs")
    os.utime(cli.source / "old.svs", (1e9, 1e9))
    result = cli.push("--settle", "0.5s")
    assert result.counts("a") == (3, 0, 0)
    assert result.code == 0
    events = [event for event in result.events if event["event"] in ("run_started", "source_waiting")]
    started, waiting = events
    assert (started["slides"], started["bytes"], started["scanning"]) == (3, total(cli.source), False)
    assert waiting["slides"] == 2
    assert arrived(sandbox) == contents(cli.source)


def total(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """While inside, a file grows all the time; it is closed between two pieces."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.02):
            with path.open("ab") as file:
                file.write(b"more")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def test_what_never_stands_still_is_left_for_the_next_run(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "growing.svs", "still.svs", content=os.urandom(5000))
    with writing(cli.source / "growing.svs"):
        result = cli.run("--settle", "1s")
    assert result.code == 1
    assert "2 slides are still being written or just copied; looking again in " in result.stdout
    assert (
        "not sent: growing.svs: its files changed while they were watched; push again when it is finished "
        "(still being written)\n"
    ) in result.stdout
    assert "a  1 sent, 0 skipped, 0 failed" in result.stdout
    assert list(arrived(sandbox)) == ["still.svs"]
    again = cli.push()
    assert (again.counts("a"), again.code) == ((1, 1, 0), 0)
    assert arrived(sandbox) == contents(cli.source)


@on_linux_or_windows
def test_an_old_file_that_a_scanner_has_open_is_not_sent(tmp_path: Path, sandbox: Sandbox) -> None:
    """It pauses between two tiles, for longer than anybody waits."""
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "1.svs")
    write_mirax(cli.source / "m.mrxs")
    for path in cli.source.rglob("*"):
        os.utime(path, (1e9, 1e9))
    with (cli.source / "m" / "Data0002.dat").open("ab"):
        result = cli.push()
        assert result.counts("a") == (1, 0, 1)
        assert result.finished("a")["m.mrxs"]["error"] == (
            f"{cli.source / 'm' / 'Data0002.dat'} is open for writing in another program; it is left for the next run"
        )
        assert list(arrived(sandbox)) == ["1.svs"]
    assert cli.push().counts("a") == (1, 1, 0)
    assert arrived(sandbox) == contents(cli.source)


def test_the_time_for_a_run_is_not_spent_with_waiting(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "young.svs")
    result = cli.push("--settle", "1h", "--max-duration", "30m")
    assert (result.code, result.counts("a")) == (1, (0, 0, 0))
    (problem,) = (event for event in result.events if event["event"] == "source_problem")
    assert (problem["path"], problem["why"]) == ("young.svs", "still being written")
    assert "no time left" in problem["detail"]


def test_an_interrupt_while_it_waits(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "young.svs")
    with cli.start("--settle", "1h") as running:
        running.wait_for(lambda event: event["event"] == "source_waiting")
        running.interrupt()
        result = running.result()
    assert (result.code, result.counts("a")) == (130, (0, 0, 0))
    assert result.summary["sites"]["a"]["not_begun"] == 1
    assert result.stderr == ""


def test_a_site_that_stays_away_and_a_slide_that_is_never_finished(tmp_path: Path, sandbox: Sandbox) -> None:
    """The site may be away while others work, and the slide may change until nobody works: nobody waits for both."""
    cli = PushCli(tmp_path / "cli")
    cli.site("there", sandbox)
    cli.site("away", "http://127.0.0.1:9/")
    tree(cli.source, "still.svs", "moving.svs")
    with writing(cli.source / "moving.svs"):
        result = cli.push("--settle", "1s", "--patience", "4s", patch=NO_PAUSES)
    assert result.code == 1
    assert result.counts("there") == (1, 0, 0)
    assert "refused the connection" in result.summary["sites"]["away"]["error"]


def test_nobody_waits_for_slides_that_no_site_will_take(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox, target="Gone/in")
    tree(cli.source, "young.svs")
    result = cli.push("--settle", "1h")
    assert (result.code, result.counts("a")) == (1, (0, 0, 1))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX's")
def test_a_full_temporary_disk_is_reported_and_what_was_found_is_sent(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, *(f"{number:04}{'x' * 200}.svs" for number in range(1200)))
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))"
    result = cli.push("--dry-run", patch=LatePatch(limit))
    assert result.code == 1
    planned = result.counts("a")[0]
    assert 0 < planned < 1200
    assert "cannot keep the list of slides in " in result.summary["error"]
    assert "make room there" in result.summary["error"]
    assert result.stderr == ""
