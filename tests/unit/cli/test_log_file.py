"""`--log-file`: what is in it, who can read it, and that it stays small."""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

import pytest

from pmarep.cli.log_file import logging_to_file
from pmarep.cli.observer_options import LogOptions, logging_run
from pmarep.errors import TargetBusyError, UsageError
from pmarep.events import SiteState, SiteSummary, SlideFinished, SlideStatus, State, Summary

log = logging.getLogger("pmarep.engine.run")
DONE = Summary(exit_code=0, seconds=1.0, sites={"tokyo": SiteSummary(sent=1)})


@pytest.fixture(autouse=True)
def loggers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As a new process has them."""
    root, ours, theirs = (logging.getLogger(name) for name in ("", "pmarep", "httpx"))
    before, levels = root.handlers[:], (ours.level, theirs.level)
    root.handlers[:] = []
    monkeypatch.setattr(sys, "argv", ["pmarep", "push", "my cases", "--sites", "tokyo"])
    yield
    root.handlers[:] = before
    ours.setLevel(levels[0])
    theirs.setLevel(levels[1])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pmarep.log"


def lines(file: Path) -> list[str]:
    """The lines without their times, which are checked."""
    found = []
    for line in file.read_text("utf-8").splitlines():
        time, _, rest = line.partition(" ")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", time), line
        found.append(rest)
    return found


def sent(slide: str) -> SlideFinished:
    return SlideFinished(site="tokyo", slide=slide, status=SlideStatus.SENT, bytes=1024, seconds=1.0)


def test_a_run_is_in_it_and_nothing_else_changes(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_file(file, 0, 1, verbose=0) as observer:
        log.info("GET https://tokyo.example/list?sessionID=%s", "geheim")
        log.debug("a detail")
        observer.handle(sent("Präparat \n\x1b[2J.svs"))
        observer.handle(SiteState(site="tokyo", state=State.STOPPED, reason="the password is wrong"))
        assert observer.after(DONE)
    first, *rest = lines(file)
    assert re.fullmatch(r"INFO pmarep: pmarep [0-9.]+: push 'my cases' --sites tokyo", first)
    assert rest == [
        "INFO pmarep.engine.run: GET https://tokyo.example/list?***",
        r"INFO pmarep: tokyo: sent Präparat \x0a\x1b[2J.svs (1.0 KiB in 1s)",
        "WARNING pmarep: tokyo: stopped: the password is wrong",
        "INFO pmarep: exit code 0",
    ]
    assert capsys.readouterr() == ("", "")


def test_vv_is_for_the_file_too(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_file(file, 0, 1, verbose=2):
        log.debug("a detail")
    assert lines(file)[1:] == ["DEBUG pmarep.engine.run: a detail"]
    assert capsys.readouterr().err.endswith("pmarep.engine.run: a detail\n")


def test_warnings_are_on_stderr_as_without_it(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_file(file, 0, 1, verbose=0):
        logging.getLogger("asyncio").warning("a task was lost")
    assert lines(file)[1:] == ["WARNING asyncio: a task was lost"]
    assert capsys.readouterr().err == "a task was lost\n"


def test_why_a_run_could_not_begin(file: Path) -> None:
    def run() -> None:
        with logging_to_file(file, 0, 1, verbose=0) as observer:
            observer.after(Summary(exit_code=3, seconds=0.0, sites={}, error="busy"))
            raise TargetBusyError("tokyo: another run holds this site's target")

    with pytest.raises(TargetBusyError):
        run()
    assert lines(file)[1:] == ["ERROR pmarep: exit code 3: tokyo: another run holds this site's target"]


def test_a_bug_is_in_it_by_its_name_only(file: Path) -> None:
    with pytest.raises(RuntimeError), logging_to_file(file, 0, 1, verbose=0):
        raise RuntimeError("geheim")
    assert "internal error (RuntimeError)" in lines(file)[1]
    assert "geheim" not in file.read_text()


def test_it_stays_small_and_old_ones_go(file: Path) -> None:
    with logging_to_file(file, 1000, 2, verbose=0) as observer:
        for number in range(100):
            observer.handle(sent(f"{number}.svs"))
    files = sorted(path.name for path in file.parent.iterdir())
    assert files == ["pmarep.log", "pmarep.log.1", "pmarep.log.2"]
    assert all(path.stat().st_size <= 1000 for path in file.parent.iterdir())
    assert "99.svs" in lines(file)[-1]
    if sys.platform != "win32":
        assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk is there")  # noqa: PTH110
def test_a_full_disk_is_reported_once_and_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_to_file(Path("/dev/full"), 0, 1, verbose=0) as observer:
        observer.handle(sent("a.svs"))
        assert not observer.after(DONE)
    assert (
        capsys.readouterr().err
        == "pmarep: cannot write the log file /dev/full: No space left on device; the run goes on\n"
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk is there")  # noqa: PTH110
def test_a_round_that_could_be_written_down_has_not_failed(file: Path) -> None:
    """Though one before it has, while the disk was full."""
    with logging_to_file(Path("/dev/full"), 0, 1, verbose=0, rounds=True) as observer:
        observer.handle(sent("a.svs"))
        assert not observer.after(DONE)
        handler = next(one for one in logging.getLogger().handlers if isinstance(one, RotatingFileHandler))
        with file.open("w") as room:
            full, handler.stream = handler.stream, room
            observer.before()
            observer.handle(sent("b.svs"))
            assert observer.after(DONE)
            handler.stream = full
    assert "b.svs" in file.read_text()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    options = LogOptions(0, tmp_path / "not" / "there.log", "10M", 5)
    with (
        pytest.raises(UsageError, match=r"cannot write the log file .*: No such file or directory"),
        logging_run(options),
    ):
        pytest.fail("it begins")


def test_sizes(file: Path) -> None:
    with logging_run(LogOptions(0, file, "off", 5)) as observers:
        assert len(observers) == 1
    with pytest.raises(UsageError, match="--log-file-max-size: cannot read"), logging_run(LogOptions(0, file, "x", 5)):
        pytest.fail("it begins")
    with logging_run(LogOptions(0, None, "10M", 5)) as observers:
        assert observers == []
