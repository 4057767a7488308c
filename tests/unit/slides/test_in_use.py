"""Whether another program is writing a file: with real other programs, where the platform can tell."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.corpus import write_mirax

from pmarep.slides import Slide, SlideFile, find_slides
from pmarep.slides.in_use import LOCKED, OPEN, find_file_in_use

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="leases and /proc/locks are Linux's")
on_linux_or_windows = pytest.mark.skipif(
    sys.platform not in ("linux", "win32"), reason="cannot be asked on this platform"
)


@contextmanager
def another_program(path: Path, does: str) -> Iterator[None]:
    """While inside, a program has done that with the file and holds it."""
    code = f"import sys, os\npath = sys.argv[1]\n{does}\nprint('ready', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline().strip() == b"ready"
        yield
        program.communicate()
    assert program.returncode == 0


def busy(path: Path) -> str:
    """How another program is at a slide of this one file; empty if none is."""
    found = find_file_in_use(Slide(path.name, "any", path.parent, (SlideFile(path.name, 5, 0),)))
    assert found is None or found[0] == path
    return "" if found is None else found[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Its last write is long ago: a scanner may pause."""
    path = tmp_path / "Präparat & スライド.svs"
    path.write_bytes(b"slide")
    os.utime(path, (1e9, 1e9))
    return path


@on_linux_or_windows
@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_open_for_writing(file: Path, mode: str) -> None:
    assert busy(file) == ""
    with another_program(file, f"file = open(path, {mode!r})"):
        assert busy(file) == OPEN
    assert busy(file) == ""


def test_readers_do_no_harm(file: Path) -> None:
    """Other sites read the same slide; so do viewers and virus scanners."""
    with another_program(file, "file = open(path, 'rb')"), file.open("rb"):
        assert busy(file) == ""


@on_linux
@pytest.mark.parametrize("lock", ["flock(file, fcntl.LOCK_EX)", "lockf(file, fcntl.LOCK_EX)"])
def test_locked_and_not_open_for_writing_any_more(file: Path, lock: str) -> None:
    """As a Samba server holds the files of its users: the lock stays with a second handle."""
    mode = "rb" if lock.startswith("flock") else "r+b"
    with another_program(file, f"import fcntl\nfile = open(path, {mode!r})\nfcntl.{lock}"):
        assert busy(file) == LOCKED
    assert busy(file) == ""


@on_linux
def test_a_lock_for_reading_is_no_writer(file: Path) -> None:
    with another_program(file, "import fcntl\nfile = open(path, 'rb')\nfcntl.flock(file, fcntl.LOCK_SH)"):
        assert busy(file) == ""


@on_linux
def test_a_lease_of_another_program_is_not_waited_for(file: Path) -> None:
    """A file server has handed the file to a client, who may have written what is not here yet."""
    lease = "import fcntl\nfile = open(path, 'r+b')\nfcntl.fcntl(file, fcntl.F_SETSIG, 23)\n"
    with another_program(file, f"{lease}fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)"):
        assert busy(file) == LOCKED


@on_linux
def test_whoever_begins_to_write_while_we_look_ends_no_run(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tells the holder of a lease by a signal. SIGIO would end the process; SIGURG is ignored by default."""
    import fcntl

    heard: list[int] = []
    real = fcntl.fcntl

    def and_write(handle: int, command: int, argument: int) -> int:
        done = real(handle, command, argument)
        if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
            with pytest.raises(BlockingIOError):
                os.open(file, os.O_WRONLY | os.O_NONBLOCK)
        return done

    monkeypatch.setattr(fcntl, "fcntl", and_write)
    numbers = (signal.SIGIO, signal.SIGURG)
    before = [signal.signal(number, lambda number, _: heard.append(number)) for number in numbers]
    try:
        assert busy(file) == ""
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
    assert heard == [signal.SIGURG]
    os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))  # the lease has been given back


def test_a_file_that_cannot_be_looked_at_is_not_in_use(tmp_path: Path) -> None:
    assert busy(tmp_path / "gone.svs") == ""
    assert busy(tmp_path / ("x" * 300)) == ""


@on_linux_or_windows
def test_a_slide_is_in_use_if_one_of_its_files_is(tmp_path: Path) -> None:
    write_mirax(tmp_path / "m.mrxs")
    (slide,) = (thing for thing in find_slides(tmp_path) if isinstance(thing, Slide))
    assert find_file_in_use(slide) is None
    victim = tmp_path / "m" / "Data0001.dat"
    with another_program(victim, "file = open(path, 'ab')"):
        assert find_file_in_use(slide) == (victim, OPEN)


@on_linux
def test_the_list_of_locks_is_understood() -> None:
    from pmarep.slides.in_use import _lock

    assert _lock("1: FLOCK  ADVISORY  WRITE 708 fd:01:262168 0 EOF") == (0xFD, 1, 262168)
    assert _lock("2: POSIX  ADVISORY  WRITE 708 00:14:613 0 1023") == (0, 0x14, 613)
    assert _lock("3: OFDLCK ADVISORY  WRITE -1 103:02:5 0 EOF") == (0x103, 2, 5)
    assert _lock("1: POSIX  ADVISORY  READ  708 fd:01:262168 0 EOF") is None
    assert _lock("1: -> POSIX  ADVISORY  WRITE 709 fd:01:262168 0 EOF") is None
    assert _lock("4: LEASE  ACTIVE    WRITE 709 fd:01:262168 0 EOF") is None
    assert _lock("") is None
    assert _lock("1: FLOCK ADVISORY WRITE 1 <none>:0 0 EOF") is None
