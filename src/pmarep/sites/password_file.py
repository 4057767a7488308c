"""Read a site's `password_file`, which nobody but its owner may read."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ..passwords import first_line

LARGEST = 64 * 1024
"""Bytes that are read of it: the password is on the first line."""


class PasswordFileError(Exception):
    """A file that cannot be used. The text says why and what to do, without the file's name."""


def read_password_file(file: Path) -> str:
    """Return the first line of a file. Raises PasswordFileError, OSError, NotTextError.

    Windows has no mode: who may read a file there is not checked.
    """
    # Not to wait for somebody who writes into a pipe; and the file that is looked at is the one that is read.
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PasswordFileError("is no file; name one that holds the password")
        if sys.platform != "win32" and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(found.st_mode)
            raise PasswordFileError(f"is open to others on this machine (mode {mode:04o}); chmod 600 it")
        password = first_line(opened.read(LARGEST))
    if not password:
        raise PasswordFileError("has no password on its first line; write it there")
    return password


def write_password_file(file: Path, password: str) -> None:
    """Write a password into a new file that only its owner can read. Raises OSError, also where there is one."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(f"{password}\n")
