"""What the disk of DIR takes: room, and threads that write to it."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ..clock import Clock
from ..errors import PmarepError, Remedy
from ..text import printable
from ..units import format_size

T = TypeVar("T")

WRITERS = 8
"""Threads that write. Forcing files to the disk takes them up; more would not make the disk any faster."""

LOOK_SECONDS = 2.0  # between two looks at the room that is left

_FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}


class DiskFull(PmarepError):
    """There is no room in DIR for what is to come."""

    remedy = Remedy.STOP_RUN


class DiskError(PmarepError):
    """A file cannot be written to DIR."""


class Disk:
    """The disk of DIR.

    `needed`: bytes of the slides that were found and are not here, of all sites. `reusable`: bytes that earlier runs
    have left of files of them that are not opened yet: they are kept, or their room is free then.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._threads = ThreadPoolExecutor(WRITERS, thread_name_prefix="write")
        self._looked_at = float("-inf")
        self.needed = self.reusable = 0

    async def run(self, work: Callable[[], T]) -> T:
        """Run what writes, or looks at the disk, in a thread. Raises DiskFull, DiskError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            if error.errno in _FULL:
                raise self._full() from None
            where = f" {printable(str(error.filename))}" if error.filename else ""
            raise DiskError(f"cannot write{where} ({error.strerror or error}); see to {self._folder}") from None

    async def check_room(self) -> None:
        """Raise DiskFull where more is needed than there is room for; looks at the disk every few seconds only."""
        now = self._clock.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        free = await self.run(lambda: shutil.disk_usage(_existing(self._folder)).free)
        if free + self.reusable < self.needed:
            raise self._full(free)

    def _full(self, free: int | None = None) -> DiskFull:
        needed = format_size(max(self.needed - self.reusable, 0))
        if free is None:
            return DiskFull(f"the disk of {self._folder} is full; free {needed} there, then run it again")
        free_now = format_size(free)
        return DiskFull(f"{self._folder} has {free_now} free, and {needed} are still to come; free some, or pull less")

    def close(self) -> None:
        """End the threads; what they write is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _existing(folder: Path) -> Path:
    """Return the folder, or the first one above it that is there."""
    folder = folder.absolute()
    return next((one for one in (folder, *folder.parents) if one.exists()), folder)
