"""Print to stdout and stderr safely: each may be closed, full, or read by nobody."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress

from ..text import printable


def echo(*cells: str, err: bool = False) -> None:
    """Print text for people; several cells with tabs between. All commands print with this, but for boards and tables.

    Any part of it may come from a server or a file's name: nothing in it disturbs a terminal or forges a line. Line
    breaks of our own stay, so names go through `printable` where they are put between those.
    """
    text = "\t".join("\n".join(map(printable, cell.split("\n"))) for cell in cells)
    print(text, file=sys.stderr if err else sys.stdout, flush=True)


def open_closed_streams() -> None:
    """Replace closed streams (`pmarep ... >&-`) by the null device."""
    # In this order: each gets the lowest number that is free, so its own.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  (for good)


def is_broken_pipe(error: OSError) -> bool:
    """Return whether a write failed because the reader is gone (`| head`, a closed terminal): no error.

    To be asked before `discard_stdout`: on Windows a pipe that nobody reads is EINVAL (cpython issue 79935).
    """
    if error.errno == errno.EINVAL and sys.platform == "win32":
        return _is_pipe()
    return error.errno in (errno.EPIPE, errno.EIO)


def _is_pipe() -> bool:
    with suppress(OSError, ValueError):
        return stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    return False


def discard_stdout() -> None:
    """Redirect stdout to the null device, so that the interpreter's last flush is quiet."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def flush_error(text: str = "") -> OSError | None:
    """Flush stdout and return the error, if it takes no more. `text` is written first, so that there is a write."""
    try:
        if text:  # an empty write fails too, where the disk is full
            sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        return error
    return None


def write_error_message(error: OSError) -> str:
    """Return the line for stderr where stdout cannot be written."""
    return f"pmarep: cannot write the output: {error.strerror}"
