"""Run a site's `password_command`, with a time limit."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

Command = tuple[str, ...] | str

END_SECONDS = 1.0
"""What a command that was killed may take to be gone."""
_TASKKILL_SECONDS = 5.0
_FIRST_WORD = re.compile(r'\s*(?:"([^"]+)"|(\S+))(.*)', re.DOTALL)


def command_words(command: Command) -> tuple[str, ...]:
    """Split a command into words; on Windows into the first and the rest, as programs split the rest themselves there.

    Raises ValueError for quotes that do not match.
    """
    if not isinstance(command, str):
        return command
    if sys.platform == "win32":
        return tuple(filter(None, _first_and_rest(command)))
    return tuple(shlex.split(command))


def executable_command(command: Command, path: str | None) -> list[str] | str:
    """Return the command in a form that Popen can start: on Windows with the file that `path` has, also an `az.cmd`."""
    if sys.platform != "win32":
        return list(command_words(command))
    if isinstance(command, str):
        first, rest = _first_and_rest(command)
        found = shutil.which(first, path=path)
        return f'"{found}"{rest}' if found else command
    return [shutil.which(command[0], path=path) or command[0], *command[1:]]


def _first_and_rest(command: str) -> tuple[str, str]:
    found = _FIRST_WORD.match(command)
    return (found[1] or found[2], found[3]) if found else (command, "")


def run_command(
    command: list[str] | str, *, env: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[bytes]:
    """Run a command without input. Raises OSError, ValueError, and TimeoutExpired after `timeout` seconds.

    Not `subprocess.run`: after the time-out, on Windows that waits for whoever still holds the command's pipes. The
    command stays in our session and process group, since out of them it could not ask on the terminal (pinentry-tty).
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(env)
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except BaseException:
        _end(process)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def _end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        _kill_tree(process.pid)
    with suppress(OSError, subprocess.TimeoutExpired):  # such as sudo, which is another user's
        process.kill()
        process.wait(END_SECONDS)
    if sys.platform != "win32":  # there, a thread that still reads would have to be waited for
        for pipe in filter(None, (process.stdout, process.stderr)):
            pipe.close()


def _kill_tree(pid: int) -> None:
    """Kill a process of Windows and those it has started, such as what `cmd /c` runs."""
    # By its path: a program of that name in the current folder would come first.
    taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")  # noqa: PTH118
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [taskkill, "/T", "/F", "/PID", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TASKKILL_SECONDS,
            check=False,
        )
