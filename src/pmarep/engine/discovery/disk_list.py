"""A list that may be longer than memory is large: in a private temporary file that has no name and leaves nothing."""

from __future__ import annotations

import marshal
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from ...errors import TemporaryFileError
from ...slides import Cause, Kind, LeftOut, Slide, SlideFile, Why

T = TypeVar("T")

READ_AHEAD = 16 * 1024
"""Bytes, of about a hundred slides with a file each."""


class DiskList(Generic[T]):
    """Things in the order in which they came; 8 bytes of memory each. One thread writes, any may read.

    `pack` makes a thing into what marshal knows, `unpack` makes it again. marshal and not pickle: several times faster
    on tuples of strings and numbers, and this file is never read by another Python. Raises TemporaryFileError.
    """

    def __init__(self, pack: Callable[[T], Any], unpack: Callable[[Any], T]) -> None:
        self._pack = pack
        self._unpack = unpack
        self._ends = array("Q", [0])  # where each record ends; the first entry is where the first begins
        self._lock = threading.Lock()  # the file has one position
        try:
            self._file = tempfile.TemporaryFile(prefix="pmarep-", buffering=0)  # noqa: SIM115  (close() does)
        except OSError as error:
            raise _cannot(error) from None

    def __len__(self) -> int:
        return len(self._ends) - 1

    def extend(self, things: Iterable[T]) -> None:
        """Append all of them, or none and raise TemporaryFileError."""
        records = [marshal.dumps(self._pack(thing)) for thing in things]
        with self._lock:
            left = memoryview(b"".join(records))
            try:
                self._file.seek(self._ends[-1])
                while left:
                    left = left[self._file.write(left) :]
            except OSError as error:
                raise _cannot(error) from None
            for record in records:
                self._ends.append(self._ends[-1] + len(record))

    def __getitem__(self, index: int) -> T:
        return self.read(index, 1)[0]

    def read(self, first: int, count: int) -> list[T]:
        """Read at most `count`, within READ_AHEAD bytes, and at least one. Raises IndexError where there is none."""
        if not 0 <= first < len(self):
            raise IndexError(first)
        start, last = self._ends[first], first + 1
        while last < min(first + count, len(self)) and self._ends[last + 1] - start <= READ_AHEAD:
            last += 1
        data = memoryview(self._read(start, self._ends[last] - start))
        records = [data[self._ends[index] - start : self._ends[index + 1] - start] for index in range(first, last)]
        return [self._unpack(marshal.loads(record)) for record in records]  # noqa: S302  (nobody else can open this file)

    def _read(self, start: int, size: int) -> bytes:
        data = b""
        try:
            with self._lock:
                self._file.seek(start)
                while len(data) < size:
                    more = self._file.read(size - len(data))
                    if not more:
                        raise OSError("it has become shorter")
                    data += more
        except OSError as error:
            raise _cannot(error) from None
        return data

    def __iter__(self) -> Iterator[T]:
        return (self[index] for index in range(len(self)))

    def close(self) -> None:
        """Give the space back."""
        with self._lock:
            self._file.close()


def _cannot(error: OSError) -> TemporaryFileError:
    try:
        place = tempfile.gettempdir()
    except OSError:
        place = "the temporary folder"
    words = error.strerror or str(error)
    return TemporaryFileError(
        f"cannot keep the list of slides in {place}: {words}; make room there, or set TMPDIR to another"
    )


def pack_found(found: Slide | LeftOut) -> tuple[Any, ...]:
    if isinstance(found, LeftOut):
        return found.path, found.why.name, found.detail, found.cause.name, found.kind.name, found.files
    files = [(file.path, file.size, file.mtime_ns, file.local_name) for file in found.files]
    folder = found.folder
    return found.path, found.format, str(folder), files, isinstance(folder, str)


def unpack_found(row: tuple[Any, ...]) -> Slide | LeftOut:
    if len(row) == 5:
        return unpack_slide(row)
    path, why, detail, cause, kind, files = row
    return LeftOut(path, Why[why], detail, Cause[cause], Kind[kind], files)


def unpack_slide(row: tuple[Any, ...], number: int = -1) -> Slide:
    path, kind, folder, files, is_place = row
    files = tuple([SlideFile(*file) for file in files])
    return Slide(path, kind, folder if is_place else _folder(folder), files, number)


@lru_cache(maxsize=256)
def _folder(path: str) -> Path:
    """Return a folder, the same one for the slides in it: to make a Path costs more than all else about a slide."""
    return Path(path)
