"""A `password_command` as each platform starts it, and that no child of it holds anybody up."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pmarep.sites.password_command import run_command
from pmarep.system.commands import Command, command_words, executable_command

AZ = r"C:\Program Files\Azure\az.cmd"


class Stuck:
    """A process whose pipes are held by a child of it: it can be killed, but its output never ends."""

    pid, args, stdout, stderr = 77, ["cmd"], None, None
    killed = False

    def __init__(self, *args: object, **options: object) -> None:
        pass

    def communicate(self, timeout: float | None = None) -> None:
        assert timeout is not None, "nobody limits this"
        raise subprocess.TimeoutExpired(self.args, timeout)

    wait = communicate

    def kill(self) -> None:
        self.killed = True


def test_windows_ends_the_whole_tree_and_waits_for_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[list[str], float | None]] = []
    stuck = Stuck()

    def taskkill(argv: list[str], timeout: float | None = None, **options: Any) -> None:
        assert subprocess.PIPE not in options.values()
        ended.append((argv[1:], timeout))
        raise subprocess.TimeoutExpired(argv, 5)  # it may hang as well

    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(subprocess, "Popen", lambda *args, **options: stuck)
    monkeypatch.setattr(subprocess, "run", taskkill)
    with pytest.raises(subprocess.TimeoutExpired):
        run_command("cmd /c op", env={}, timeout=30)
    assert ended == [(["/T", "/F", "/PID", "77"], 5.0)]
    assert stuck.killed


def test_elsewhere_a_process_that_does_not_die_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(subprocess, "Popen", Stuck)
    with pytest.raises(subprocess.TimeoutExpired):
        run_command(["op"], env={}, timeout=30)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("then", ["exec sleep 60", "echo password"])
def test_a_child_that_holds_the_pipes_holds_nobody_up(tmp_path: Path, then: str) -> None:
    child = tmp_path / "child"
    with pytest.raises(subprocess.TimeoutExpired):
        run_command(["sh", "-c", f"sleep 60 & echo $! > {child}; {then}"], env=os.environ, timeout=0.5)
    os.kill(int(child.read_text()), signal.SIGKILL)  # it is still there


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups")
def test_a_command_may_ask_on_the_terminal() -> None:
    script = "import os; print(os.getpgid(0), os.getsid(0))"
    done = run_command([sys.executable, "-c", script], env=os.environ, timeout=30)
    assert done.stdout.split() == [str(os.getpgid(0)).encode(), str(os.getsid(0)).encode()]


@pytest.mark.parametrize(
    ("written", "started", "words"),
    [
        (("az", "account", "a b"), [AZ, "account", "a b"], ("az", "account", "a b")),
        ("az account  'a b'", f"\"{AZ}\" account  'a b'", ("az", " account  'a b'")),
        ('"az" account', f'"{AZ}" account', ("az", " account")),
        ("az", f'"{AZ}"', ("az",)),
        (("nowhere", "x"), ["nowhere", "x"], ("nowhere", "x")),
        (r"C:\my tools\op.exe read", r"C:\my tools\op.exe read", (r"C:\my", r" tools\op.exe read")),
        (r'"C:\my tools\op.exe" read x', r'"C:\my tools\op.exe" read x', (r"C:\my tools\op.exe", " read x")),
    ],
)
def test_windows_finds_batch_files(
    monkeypatch: pytest.MonkeyPatch, written: Command, started: Any, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(shutil, "which", lambda name, path: AZ if (name, path) == ("az", "P") else None)
    assert executable_command(written, "P") == started
    assert command_words(written) == words


def test_elsewhere_the_system_looks_in_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(shutil, "which", lambda name, path: AZ)
    assert executable_command("az account 'a b'", "P") == ["az", "account", "a b"]
