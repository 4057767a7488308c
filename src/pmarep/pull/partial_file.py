"""Files that are not whole yet: written beside their place under a name of ours, and renamed in the end.

The name says what it is a part of: the place that is pulled, the file, and the version of it as the server lists it.
So the next run goes on with it only if it is the same file still, and nothing has to be remembered elsewhere. All calls
block.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ..pmacore import RemoteFile
from .local_folder import PARTIAL_PREFIX, TRY_PREFIX

SYNC_EVERY = 32 * 1024 * 1024
"""Bytes after which what was written is forced to the disk. The next run believes no more than that: when power fails,
some disks keep the length of a file and lose what was in it."""

_NAME = re.compile(re.escape(PARTIAL_PREFIX) + "([0-9a-f]{12})-[0-9a-f]{24}\\.part")


def place_key(url: str, path: str) -> str:
    """Return what stands in the names of all files that come from a place: base URL and virtual path."""
    return _digest(f"{url}\n{path}")[:12]


class PartialFile:
    """The part of a file that is here. `size`: its bytes, 0 where there is nothing yet.

    `path` is where the file goes when it is whole.
    """

    def __init__(self, place: str, file: RemoteFile, path: Path) -> None:
        self.path = path
        self.wanted = file.size
        version = _digest(f"{file.path}\n{file.size}\n{file.modified}")[:24]
        self._file = path.with_name(f"{PARTIAL_PREFIX}{place}-{version}.part")
        self._stream: int | None = None
        self._synced = 0
        self._kept: int | None = None  # bytes that this run has written before
        self.size = 0
        self.finished = False
        self._committed = False
        self._lock = threading.Lock()  # what was broken off may still be writing in its thread
        self._dated = file.modified is not None
        self._mtime_ms = modified_ms(file)

    def left_behind(self) -> int:
        """Return how many bytes an earlier run has left, be they believed or not. Raises nothing."""
        try:
            return self._file.lstat().st_size
        except OSError:
            return 0

    def open(self) -> int:
        """Open what an earlier run has left, as far as it is to be believed, or begin anew. Raises OSError.

        Return as `left_behind` the first time, and 0 when it is opened again.
        """
        if self._stream is not None:
            return 0
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        flags |= getattr(os, "O_CLOEXEC", 0)
        self._stream = os.open(self._file, flags, 0o666)
        found = os.fstat(self._stream)
        left_behind = found.st_size if self._kept is None else 0
        self.size = self._believed(found)
        self._synced = self.size
        if self.size != found.st_size:
            os.ftruncate(self._stream, self.size)
        os.lseek(self._stream, self.size, os.SEEK_SET)
        return left_behind

    def _believed(self, found: os.stat_result) -> int:
        """Return how many of the bytes that are here count."""
        if self._kept is not None:
            return min(self._kept, found.st_size)
        if not self._dated or not stat.S_ISREG(found.st_mode) or found.st_size > self.wanted:
            return 0
        if found.st_size == self.wanted and found.st_mtime_ns == _WHOLE_NS:
            return found.st_size
        return found.st_size // SYNC_EVERY * SYNC_EVERY

    def write(self, data: bytes) -> None:
        """Append bytes; nothing once it is closed. Raises OSError."""
        left = memoryview(data)
        with self._lock:
            while left and self._stream is not None:
                count = os.write(self._stream, left)
                self.size += count
                left = left[count:]
                if self.size // SYNC_EVERY > self._synced // SYNC_EVERY:
                    os.fsync(self._stream)
                    self._synced = self.size

    def restart(self) -> int:
        """Throw away what is here; return how many bytes that was. Raises OSError."""
        with self._lock:
            lost, self.size, self._synced = self.size, 0, 0
            if self._stream is not None:
                os.ftruncate(self._stream, 0)
                os.lseek(self._stream, 0, os.SEEK_SET)
        return lost

    def finish(self) -> None:
        """Force a whole file to the disk, and mark it as whole. Raises OSError."""
        with self._lock:
            if self._stream is None:
                return
            os.fsync(self._stream)
        self.close()
        with suppress(OSError):
            os.utime(self._file, ns=(_WHOLE_NS, _WHOLE_NS))
        self.finished = True

    def close(self) -> None:
        """Close the file; what is in it stays. Raises nothing."""
        with self._lock:
            if self._stream is not None:
                with suppress(OSError):
                    os.close(self._stream)
                self._kept = self.size
            self._stream = None

    def commit(self) -> None:
        """Give a finished file its name, replacing what has it; nothing where it has that already. Raises OSError."""
        if self._committed:
            return
        times = None if self._mtime_ms is None else (self._mtime_ms * 1_000_000,) * 2
        with suppress(OSError):  # a disk that cannot hold that time
            os.utime(self._file, ns=times) if times else os.utime(self._file)
        self._file.replace(self.path)
        self._committed = True


_WHOLE_NS = 10**9
"""The time of modification that marks a file as whole and synced: a second after the epoch. Every disk can hold it."""


_EARLIEST_MS, _LATEST_MS = 10 * 86_400_000, 2**62 // 10**6
"""Times outside these are believed to be none: zero stands for unknown, and disks cannot hold what is far away."""


def modified_ms(file: RemoteFile) -> int | None:
    """Return when a file was written, in milliseconds since the epoch; None where the server says no number."""
    text = file.modified or ""
    value = int(text) if re.fullmatch("[0-9]{1,13}", text) else 0
    return value if _EARLIEST_MS < value < _LATEST_MS else None


def has_time(found: os.stat_result, file: RemoteFile) -> bool:
    """Return whether a file here has the time that `PartialFile.commit` gives it; disks keep it to 2 seconds (FAT)."""
    modified = modified_ms(file)
    return modified is not None and abs(found.st_mtime_ns // 1_000_000 - modified) <= 2000


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk, where the system can. Raises nothing."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_partial_files(folder: Path, places: set[str]) -> None:
    """Remove all that is not whole and came from these places, and folders that are empty then. Raises nothing."""
    for parent, names in _walk(folder):
        gone = [name for name in names if (found := _NAME.fullmatch(name)) and found[1] in places]
        gone += [name for name in names if name.startswith(TRY_PREFIX)]
        for name in gone:
            with suppress(OSError):
                (parent / name).unlink()
        while gone and parent != folder:
            try:
                parent.rmdir()
            except OSError:
                break
            parent = parent.parent


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder with the names of its files. Links are not followed."""
    for parent, _, names in os.walk(folder):
        yield Path(parent), names


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
