"""What the terminal can show, and whether it is ours."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

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


def in_foreground(console: Console) -> bool:
    """Return whether our process has the terminal; True where that cannot be told."""
    with suppress(AttributeError, OSError, ValueError):  # no terminal, or Windows
        return os.tcgetpgrp(console.file.fileno()) == os.getpgrp()
    return True
