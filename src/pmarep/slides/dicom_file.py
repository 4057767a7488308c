"""A DICOM file that is read in a few windows, and what its first bytes say."""

from __future__ import annotations

import io
import os
from typing import Self

from .dicom_content import MAGIC, MAGIC_AT

_WINDOW = 8 * 1024  # bytes fetched by one read; a header up to (0048,0007) has 2 to 8 KiB
_BUDGET = 1024 * 1024  # bytes that one header may make us read, in all


class NoSlideError(Exception):
    """No DICOM file, or one that is no whole-slide image. The text says which."""


class HeaderError(Exception):
    """A DICOM file whose header cannot be read. The text says why."""


def of_garbage(error: BaseException, problem: str) -> OSError | HeaderError:
    """Make an error of ours out of whatever garbage does to pydicom: struct.error, KeyError, RecursionError, ...

    Where a tag cannot be read, pydicom raises an OSError without a number in place of what really happened, which may
    be the disk's error, ours, or too deep nesting: so look at what came before.
    """
    first = error
    while first.__context__ is not None:
        first = first.__context__
    if isinstance(first, HeaderError) or (isinstance(first, OSError) and first.errno is not None):
        return first
    words = "nested too deep" if isinstance(first, RecursionError) else type(error).__name__
    return HeaderError(f"{problem}: {words}")


def check_magic(head: bytes) -> int:
    """Return where the header of a DICOM file starts, given its first bytes. Raises HeaderError or NoSlideError."""
    start = head[: MAGIC_AT + len(MAGIC)]
    if start[MAGIC_AT:] == MAGIC:
        return len(start)
    if not start:
        raise HeaderError("the file is empty")
    if not any(start):
        raise HeaderError("it begins with zeros, as files do that are still being copied")
    raise NoSlideError("no DICOM file, whatever its name says")


class BoundedFile:
    """A file that is read in windows, and only so far: garbage may claim any length.

    Not io.BufferedReader: pydicom asks for the position at every element, and there each time the system is asked.
    """

    def __init__(self, path: str) -> None:
        self._file = io.FileIO(path)
        self.length = os.fstat(self._file.fileno()).st_size
        self._left = _BUDGET
        self._position = 0
        self._window = b""
        self._window_at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def tell(self) -> int:
        return self._position

    def seek(self, position: int, whence: int = 0) -> int:
        self._position = max(0, position + (0, self._position, self.length)[whence])
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Read as pydicom expects of a file."""
        if size < 0 or size > self._left:
            raise HeaderError("its header is too large to be one")
        self._left -= size
        data = self.at(self._position, size)
        self._position += len(data)
        return data

    def at(self, position: int, size: int) -> bytes:
        """Return the bytes at an offset, by a read of its own if need be."""
        if position >= self.length:
            return b""
        start = position - self._window_at
        if not 0 <= start <= len(self._window) - size:
            self._file.seek(position)
            self._window_at, start = position, 0
            self._window = _read(self._file, min(max(size, _WINDOW), self.length - position))
        return self._window[start : start + size]


def _read(file: io.FileIO, size: int) -> bytes:
    data = file.read(size)
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data
