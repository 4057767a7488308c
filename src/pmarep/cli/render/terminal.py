"""The terminal: what it can show, whether it is ours, and how it is written to."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

DUMB = ("dumb", "unknown")
"""Values of TERM of terminals that cannot move the cursor."""


def is_live(environment: dict[str, str] | None = None) -> bool:
    """Return whether stdout is a terminal on which lines can be replaced."""
    term = (os.environ if environment is None else environment).get("TERM", "")
    return sys.stdout.isatty() and term.lower() not in DUMB


def speaks_unicode(environment: dict[str, str]) -> bool:
    """Return whether the locale is one with UTF-8 (POSIX).

    Not the encoding of stdout: Python speaks UTF-8 in the locale C too, and then sets LC_CTYPE itself (PEP 538).
    """
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        value = environment.get(name, "")
        coerced = name == "LC_CTYPE" and value in ("C.UTF-8", "C.utf8")
        if value and not coerced:
            return "utf" in value.lower().replace("-", "")
        if coerced and environment.get("LANG", "") not in ("", "C", "POSIX"):
            return True
    return False


def can_show_blocks(console: Console) -> bool:
    """Return whether a console shows lines and blocks that are not ASCII."""
    if not console.encoding.lower().startswith("utf") or console.legacy_windows:
        return False
    return sys.platform == "win32" or speaks_unicode(dict(os.environ))


def in_foreground(terminal: IO[str]) -> bool:
    """Return whether our process has the terminal; True where that cannot be told."""
    with suppress(AttributeError, OSError, ValueError):  # no terminal, or Windows
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    return True


class TerminalWriter:
    """Writes to a terminal in a thread of its own, one text at a time.

    A terminal that is held (Ctrl-S, text being selected in a window of Windows, a slow line) takes nothing for as long
    as somebody likes; that holds up no transfer.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._texts: SimpleQueue[str | None] = SimpleQueue()
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._work, name="terminal", daemon=True).start()

    @property
    def ready(self) -> bool:
        """Whether all that was to be written is written."""
        return self._idle.is_set()

    def write(self, text: str) -> None:
        """Write a text; only where it is `ready`."""
        self._idle.clear()
        self._texts.put(text)

    def wait(self) -> None:
        """Wait until it is ready."""
        self._idle.wait()

    def close(self) -> None:
        """Write what is there, and end the thread."""
        self.wait()
        self._texts.put(None)

    def _work(self) -> None:
        while (text := self._texts.get()) is not None:
            with suppress(OSError, ValueError):  # a terminal that is gone ends no run
                self._file.write(text)
                self._file.flush()
            self._idle.set()
