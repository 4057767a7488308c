"""Start the commands that people write into the site book, without a shell, and end them with all that they started."""

from __future__ import annotations

import locale
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

Command = tuple[str, ...] | str

NO_WINDOW = 0x08000000
"""CREATE_NO_WINDOW of Windows: a console of its own, which nobody sees, and whose Ctrl-C is not ours."""

END_SECONDS = 1.0
"""What a command that was killed may take to be gone."""
_TASKKILL_SECONDS = 5.0
_TAIL = 4000  # bytes of what a command printed that are looked at, for its last line
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


def split_words(text: str) -> tuple[str, ...]:
    """Split text into words as a shell would; on Windows backslashes are no escapes.

    Raises ValueError for quotes that do not match.
    """
    if sys.platform != "win32":
        return tuple(shlex.split(text))
    words = shlex.split(text, posix=False)
    return tuple(word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word for word in words)


def executable_command(command: Command, path: str | None) -> list[str] | str:
    """Return the command in a form that Popen can start: on Windows with the file that `path` has, also an `az.cmd`."""
    if sys.platform != "win32":
        return list(command_words(command))
    if isinstance(command, str):
        first, rest = _first_and_rest(command)
        found = shutil.which(first, path=path)
        return f'"{found}"{rest}' if found else command
    return [shutil.which(command[0], path=path) or command[0], *command[1:]]


def executable_for_names(command: tuple[str, ...], path: str | None) -> list[str] | str:
    """Return the same for a command some words of which are names of files, which may be anything.

    cmd, which runs batch files on Windows, takes `&` and others for its own where a word is not quoted, and subprocess
    quotes blanks only; what stands between two `%` it replaces even then. Raises ValueError for what nobody can quote.
    """
    found = executable_command(command, path)
    if sys.platform != "win32" or not found[0].lower().endswith((".bat", ".cmd")):
        return found
    if any('"' in word or word.count("%") > 1 for word in found):
        raise ValueError('no batch file can be given a name with two % or a "; let the command start a program instead')
    return " ".join(f'"{word}"' for word in found)


def _first_and_rest(command: str) -> tuple[str, str]:
    found = _FIRST_WORD.match(command)
    return (found[1] or found[2], found[3]) if found else (command, "")


def end_process_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that was started with `start_new_session=True`, and all that it started and that still runs.

    On Windows, what a command that has ended by itself has left running is not found any more.
    """
    if sys.platform == "win32":
        if process.poll() is None:
            kill_tree(process.pid)
    else:
        with suppress(OSError):  # nobody is left in it, or it is another user's (sudo)
            os.killpg(process.pid, signal.SIGKILL)
    with suppress(OSError, subprocess.TimeoutExpired):
        process.wait(END_SECONDS)


def kill_tree(pid: int) -> None:
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


def last_line(output: IO[bytes]) -> str:
    """Return the last line of what a command printed, empty where it printed nothing."""
    output.seek(0, 2)
    output.seek(max(0, output.tell() - _TAIL))
    lines = [line.strip() for line in output.read().splitlines() if line.strip()]
    return _decoded(lines[-1]) if lines else ""


def _decoded(said: bytes) -> str:
    """Decode what a command printed: UTF-8, or what programs of Windows print to files, in the system's code page."""
    if sys.platform == "win32":
        with suppress(UnicodeDecodeError):
            return said.decode("utf-8")
        return said.decode(locale.getencoding(), "replace")
    return said.decode("utf-8", "replace")


def without_passwords(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without our passwords: `PMAREP_PASSWORD_TOKYO`, `PMAREP_SANDBOX_PASSWORD`."""
    return {name: value for name, value in environ.items() if not _is_password(name)}


def _is_password(variable: str) -> bool:
    return variable.upper().startswith("PMAREP_") and "PASSWORD" in variable.upper()
