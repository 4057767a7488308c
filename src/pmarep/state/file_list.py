"""Empty the list of source files that are verified at every site, before a run that is to write it."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import UsageError
from ..system.private_file import replace_private_file

LONGEST_PATH = 64 * 1024
"""Bytes of a path at most."""


def empty_list(file: Path) -> None:
    """Empty the list of an earlier run, so that nobody deletes by it what has come since.

    Raises UsageError, also for a file that is none of our lists: it may be a slide, named by mistake.
    """
    try:
        if not _is_list(file):
            raise UsageError(
                f"--at-all-sites {file}: this file is there and is no list of an earlier run; name another file"
            )
        try:
            replace_private_file(file, b"")
        except OSError:  # no room for another file, say
            os.truncate(file, 0)
    except OSError as error:
        raise UsageError(
            f"cannot write the list of --at-all-sites, {file}: {error.strerror}; name another file"
        ) from None


def _is_list(file: Path) -> bool:
    """Return whether a file may be replaced: it is not there, no plain file, empty, or a list. Raises OSError."""
    if not file.is_file():
        return True
    with file.open("rb") as stream:
        first = stream.read(LONGEST_PATH)
        stream.seek(-1, os.SEEK_END) if first else None
        last = stream.read(1)
    return not first or (last == b"\0" and Path(os.fsdecode(first.partition(b"\0")[0])).is_absolute())
