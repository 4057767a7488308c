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
from .byte_ranges import ByteRanges, RangeRecord
from .local_folder import PARTIAL_PREFIX, TRY_PREFIX

SYNC_EVERY = 32 * 1024 * 1024
"""Bytes after which what was written is forced to the disk, and recorded. The next run believes no more than that: when
power fails, some disks keep the length of a file and lose what was in it."""

RECORD_SUFFIX = ".ranges"

_NAME = re.compile(re.escape(PARTIAL_PREFIX) + "([0-9a-f]{12})-[0-9a-f]{24}\\.(?:part|ranges)")


def place_key(url: str, path: str) -> str:
    """Return what stands in the names of all files that come from a place: base URL and virtual path."""
    return _digest(f"{url}\n{path}")[:12]


class PartialFile:
    """What is here of a file, which comes in ranges. `path` is where the file goes when it is whole.

    `generation`: which opening of it this is. What was broken off may still be writing in its thread.
    """

    def __init__(self, place: str, file: RemoteFile, path: Path) -> None:
        self.path = path
        self.wanted = file.size
        version = _digest(f"{file.path}\n{file.size}\n{file.modified}")[:24]
        self._file = path.with_name(f"{PARTIAL_PREFIX}{place}-{version}.part")
        self._record = RangeRecord(self._file.with_suffix(RECORD_SUFFIX))
        self._stream: int | None = None
        self._here = ByteRanges()
        self._unsynced = 0  # bytes
        self._opened_before = False
        self.finished = False
        self._committed = False
        self.generation = 0
        self._syncing = threading.Lock()  # while it is forced to the disk; taken before the other
        self._lock = threading.Lock()
        self._dated = file.modified is not None
        self._mtime_ms = modified_ms(file)

    @property
    def size(self) -> int:
        """Bytes that are here."""
        return self._here.size

    def missing(self) -> list[tuple[int, int]]:
        """Return the ranges that are not here, each with the byte after its last one."""
        return self._here.gaps(self.wanted)

    def left_behind(self) -> int:
        """Return how many bytes an earlier run has left, be they believed or not. Raises nothing."""
        try:
            size = self._file.lstat().st_size
        except OSError:
            return 0
        return self._record.read().size or size  # which counts the holes too

    def open(self) -> int:
        """Open what an earlier run has left, as far as it is to be believed, or begin anew. Raises OSError.

        Return as `left_behind` the first time, and 0 when it is opened again.
        """
        if self._stream is not None:
            return 0
        left_behind = 0 if self._opened_before else self.left_behind()
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        flags |= getattr(os, "O_CLOEXEC", 0)
        self._stream = os.open(self._file, flags, 0o666)
        self.generation += 1
        found = os.fstat(self._stream)
        if not self._opened_before:
            self._here = self._believed(found)
            self._opened_before = True
        elif self._here.end > found.st_size:  # somebody has cut it
            self._forget()
        if self._here.end != found.st_size:
            os.ftruncate(self._stream, self._here.end)
        return left_behind

    def _believed(self, found: os.stat_result) -> ByteRanges:
        """Return which of the bytes that are here count."""
        usable = self._dated and stat.S_ISREG(found.st_mode)
        if usable and found.st_size == self.wanted and found.st_mtime_ns == _WHOLE_NS:
            return ByteRanges([(0, self.wanted)])
        recorded = self._record.read()
        if usable and recorded.end <= min(found.st_size, self.wanted):
            return recorded
        if recorded.size:
            self._record.append(ByteRanges())  # before other bytes are written
        return ByteRanges()

    def write(self, start: int, data: bytes, generation: int) -> None:
        """Write bytes from `start` on; nothing once that opening of it has ended. Raises OSError."""
        with self._lock:
            if self._stream is None or generation != self.generation:
                return
            os.lseek(self._stream, start, os.SEEK_SET)
            left = memoryview(data)
            while left:
                left = left[os.write(self._stream, left) :]
            self._here.add(start, start + len(data))
            self._unsynced += len(data)
            is_due = self._unsynced >= SYNC_EVERY
        if is_due:
            self._sync(SYNC_EVERY)

    def _sync(self, at_least: int) -> None:
        """Force what is here to the disk, then the record of it, where so many bytes are not recorded."""
        with self._syncing:
            with self._lock:
                if self._stream is None or self._unsynced < at_least:
                    return
                here, self._unsynced = ByteRanges(self._here), 0
            self._force(self._stream)
            self._record.append(here)

    def _force(self, stream: int) -> None:
        """Force what was written to the disk, or believe only what is recorded: what that loses, no later call says."""
        try:
            os.fsync(stream)
        except OSError:
            with self._lock:
                self._here, self._unsynced = self._record.read(), 0
            raise

    def restart(self) -> int:
        """Throw away what is here; return how many bytes that was. Raises OSError."""
        with self._syncing, self._lock:
            lost = self.size
            self._forget()
            self.finished = False
            self.generation += 1
            if self._stream is not None:
                os.ftruncate(self._stream, 0)
        return lost

    def _forget(self) -> None:
        """Believe nothing any more: neither in this run nor, before other bytes are written, in the next one."""
        self._here, self._unsynced = ByteRanges(), 0
        if self._record.read().size:
            self._record.append(self._here)

    def finish(self) -> None:
        """Force a file to the disk, and mark it as whole; nothing while bytes are missing. Raises OSError."""
        with self._syncing:
            if self._stream is None or self.missing():
                return
            self._force(self._stream)
            self._unsynced = 0
        self.close()
        with suppress(OSError):
            os.utime(self._file, ns=(_WHOLE_NS, _WHOLE_NS))
        self.finished = True

    def close(self) -> None:
        """Close the file; what is in it stays, and the next run goes on from there. Raises nothing."""
        with suppress(OSError):
            self._sync(at_least=1)
        with self._syncing, self._lock:
            if self._stream is not None:
                with suppress(OSError):
                    os.close(self._stream)
            self._stream = None

    def commit(self) -> None:
        """Give a finished file its name, replacing what has it; nothing where it has that already. Raises OSError."""
        if self._committed:
            return
        times = None if self._mtime_ms is None else (self._mtime_ms * 1_000_000,) * 2
        self._record.remove()
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
