"""Pushes while a scanner is at work: nothing is ever sent half, and everything once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clocks import SkippingClock
from support.corpus import tree, write_mirax
from support.fork_server import LatePatch
from support.in_process import Report, push
from support.push_cli import NO_PAUSES, PushCli, arrived, contents, transfers
from support.sandboxes import PASSWORD, USER

from pmacore_sandbox import Sandbox
from pmarep.events import SourceProblem
from pmarep.sites import Site

on_linux_or_windows = pytest.mark.skipif(
    sys.platform not in ("linux", "win32"), reason="who has a file open cannot be asked on this platform"
)

GROWS = """
from pathlib import Path
from pmarep.clock import Clock
real = Clock.sleep
async def sleep(self, seconds):
    if seconds > 100:
        with Path({path!r}).open("ab") as file:
            file.write(b"more")
    await real(self, min(seconds, 0.1) if seconds > 100 else seconds)
Clock.sleep = sleep
"""


def grows(path: Path) -> LatePatch:
    """A patch by which a file grows whenever the push waits to see whether it does, which takes no time."""
    return LatePatch(GROWS.format(path=str(path)))


PIECES = 3
DATA = [f"Data{number:04}.dat" for number in range(3)]


def scan(originals: Path, scanned: Path, stem: str, *names: str) -> Iterator[None]:
    """Write a MIRAX slide file by file, in pieces. A file is closed after each: only its size and time tell of more."""
    for name in (f"{stem}.mrxs", *(f"{stem}/{name}" for name in names)):
        content = (originals / name).read_bytes()
        (scanned / name).parent.mkdir(exist_ok=True)
        size = -(-len(content) // PIECES)
        for start in range(0, len(content), size):
            with (scanned / name).open("ab") as file:
                file.write(content[start : start + size])
            yield


class Scanner(SkippingClock):
    """Scans two slides at once while a push waits: one whose index comes first, one whose index comes last."""

    def __init__(self, originals: Path, scanned: Path) -> None:
        super().__init__()
        for seed, stem in enumerate(("early", "late")):
            write_mirax(originals / f"{stem}.mrxs", data_size=30_000, seed=seed)
        self.at_work = [
            scan(originals, scanned, "early", "Slidedat.ini", "Index.dat", *DATA),
            scan(originals, scanned, "late", *DATA, "Index.dat", "Slidedat.ini"),
        ]
        self.write()

    def write(self) -> None:
        """Write a piece of each slide that is not finished."""
        self.at_work = [slide for slide in self.at_work if next(slide, slide) is None]

    async def sleep(self, seconds: float) -> None:
        if seconds > 100:
            self.write()
        await super().sleep(seconds)


def check_nothing_is_half(sandbox: Sandbox, originals: Path) -> None:
    there, whole = arrived(sandbox), contents(originals)
    for stem in ("early", "late"):
        if f"{stem}.mrxs" in there:
            of_slide = {path for path in whole if path.startswith(stem)}
            assert {path: there.get(path) for path in of_slide} == {path: whole[path] for path in of_slide}


async def test_a_scanner_at_work(tmp_path: Path, sandbox: Sandbox) -> None:
    originals, source = tmp_path / "originals", tmp_path / "cases"
    source.mkdir()
    scanner = Scanner(originals, source)
    site = Site(name="a", url=sandbox.url, username=USER, target="Slides/in")
    pushes: list[Report] = []
    while scanner.at_work or pushes[-1].code != 0:
        pushes.append(await push(source, [site], tmp_path / "state", PASSWORD, settle=3600.0, clock=scanner))
        check_nothing_is_half(sandbox, originals)
        assert len(pushes) < 3 * PIECES * len(DATA), "they are never finished"
    assert len(pushes) > 5
    assert arrived(sandbox) == contents(source) == contents(originals)
    assert transfers(sandbox).count("transfer/Upload") == 2  # announced once each, and so never begun too early
    assert sum(push.summary.sites["a"].sent for push in pushes) == 2
    assert [push.summary.sites["a"].failed for push in pushes] == [0] * len(pushes)
    assert [push.code for push in pushes] == [1] * (len(pushes) - 1) + [0]
    unfinished = {e.why for push in pushes for e in push.events if isinstance(e, SourceProblem)}
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


def test_what_never_stands_still_is_left_for_the_next_run(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "growing.svs", "still.svs", content=os.urandom(5000))
    result = cli.run("--settle", "1h", patch=grows(cli.source / "growing.svs"))
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
    patch = LatePatch(f"{NO_PAUSES}\n{grows(cli.source / 'moving.svs')}")
    result = cli.push("--settle", "1h", "--patience", "1s", patch=patch)
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
    tree(cli.source, *(f"{number:04}{'x' * 200}.svs" for number in range(600)))
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))"
    result = cli.push("--dry-run", patch=LatePatch(limit))
    assert result.code == 1
    planned = result.counts("a")[0]
    assert 0 < planned < 600
    assert "cannot keep the list of slides in " in result.summary["error"]
    assert "make room there" in result.summary["error"]
    assert result.stderr == ""
