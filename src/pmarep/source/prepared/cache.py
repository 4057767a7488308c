"""`ResultCache`: the results of `prepare` on this disk, until room is needed. What was used longest ago goes first.

In its folder, which only its owner reads:

- `results/SIZE-NAME/`: the files of one result; the folder's mtime is when it was last used;
- `runs/NAME/`: what one run is at: `work/` has the folders that commands write to, `held/` an empty file for each
  result that is being sent; `NAME.lock` beside it is locked as long as the run lasts. What a killed run has left is
  removed by the next one, or by one that needs the room;
- `results.sqlite`: KnownResults.

Several runs may use one folder at the same time.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from ...aio import ChangeEvent
from ...errors import UsageError
from ...slides.folder import os_error_text
from ...system.private_folder import make_private_folder
from ...units import format_size
from .result import ResultError

USUAL_SIZE = 20 * 1024**3  # bytes

LEFT_FREE = 0.2
"""The part of the free space on its disk that a cache of no given size leaves alone."""

MARGIN = 64 * 1024**2
"""Bytes that stay free on the disk, for what else is written there."""

LOOK_SECONDS = 1.0
"""Until another run may have let go of what it holds."""


KEEP_TRIES, KEEP_PAUSE_SECONDS = 20, 0.5
"""On Windows no folder can be renamed while a file in it is open, as new ones are to virus scanners."""


class NoRoomError(ResultError):
    """There is no room for a result."""


class ResultCache:
    """For one event loop. `size`: bytes of all results, also of those being made; None: what there is room for.

    Raises UsageError when the folder cannot be used.
    """

    def __init__(self, folder: Path, size: int | None) -> None:
        self.results = folder / "results"
        self._held: Counter[str] = Counter()
        self._doomed: set[str] = set()  # results that are being removed
        self._turn = asyncio.Lock()  # of those that make room
        self._reserved: dict[object, int] = {}
        self._released = ChangeEvent()
        self._run = folder / "runs" / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = FileLock(_lock_of(self._run), mode=0o600)
        try:
            make_private_folder(folder)
            make_private_folder(folder / "runs")
            self._remove_left_behind()
            self._lock.acquire(timeout=0)
            for one in (self.results, self._run, self._run / "work", self._run / "held"):
                make_private_folder(one)
            for one in (self.results, self._run.parent):  # which may have been there, for others to read
                one.chmod(0o700)
            self._size = size or self._usual_size()
        except (OSError, Timeout) as error:
            self._lock.release(force=True)
            words = os_error_text(error) if isinstance(error, OSError) else "it is locked"
            raise UsageError(f"cannot keep what prepare makes in {folder}: {words}; set cache in [gate]") from None

    def close(self) -> None:
        """Remove what commands have left unfinished, and let go of everything."""
        remove_tree(self._run)
        self._lock.release(force=True)
        with suppress(OSError):
            _lock_of(self._run).unlink()

    async def reserve(self, size: int) -> object:
        """Make room for a result of about so many bytes; return what `free` takes. Raises NoRoomError."""
        if size > self._size:
            raise NoRoomError(
                f"prepare needs room for {format_size(size)}, and the cache has {format_size(self._size)}; "
                "make cache_size in [gate] larger"
            )
        async with self._turn:
            while not await self._has_room(size):
                pass
            token = object()
            self._reserved[token] = size
            return token

    async def _has_room(self, size: int) -> bool:
        """Try to make room for so many bytes; where there is none, wait until there may be. Raises NoRoomError."""
        with closing(self._released.wait()) as released:  # also what is released during the look
            look = await self._make_room(size)
            if not look.excess:
                return True
            if not look.removed and not look.awaited:
                why = f"{self.results / look.stuck} cannot be removed" if look.stuck else "its disk is full"
                raise NoRoomError(
                    f"prepare needs {format_size(size)} in {self.results.parent}, and {why}; make room there"
                )
            if not look.removed and not await asyncio.to_thread(self._remove_left_behind):
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await released
        return False

    def free(self, token: object) -> None:
        """Give back the room that was reserved."""
        self._reserved.pop(token, None)
        self._released.notify()

    def work_folder(self) -> Path:
        """Make a private folder for one command. Raises OSError."""
        folder = self._run / "work" / secrets.token_hex(8)
        make_private_folder(folder)
        return folder

    def keep(self, folder: Path, size: int) -> str:
        """Take a finished folder over, in one step; return its name. Raises OSError."""
        name = f"{size}-{secrets.token_hex(8)}"
        os.utime(folder)
        for left in reversed(range(KEEP_TRIES)):
            try:
                folder.rename(self.results / name)
                break
            except PermissionError:
                if sys.platform != "win32" or not left:
                    raise
                time.sleep(KEEP_PAUSE_SECONDS)
        return name

    def hold(self, name: str) -> bool:
        """Keep a result until `release`, in other runs too; return False where it is not there any more."""
        if name in self._doomed or not (self.results / name).is_dir():
            return False
        self._held[name] += 1
        if self._held[name] == 1:
            with suppress(OSError):
                (self._run / "held" / name).touch(mode=0o600)
                os.utime(self.results / name)
        return True

    def release(self, name: str) -> None:
        """Undo `hold`; nothing where that was refused."""
        if name not in self._held:
            return
        self._held[name] -= 1
        if not self._held[name]:
            del self._held[name]
            with suppress(OSError):
                (self._run / "held" / name).unlink()
            self._released.notify()

    def _usual_size(self) -> int:
        free = shutil.disk_usage(self.results).free + sum(one.size for one in self._there())
        return max(min(USUAL_SIZE, int(free * (1 - LEFT_FREE))), 1)

    async def _make_room(self, size: int) -> _Look:
        """Remove results until there is room for so many bytes more, or none is left that nobody holds."""
        reserved = sum(self._reserved.values())
        there, elsewhere, free = await asyncio.to_thread(self._look)
        excess = max(sum(one.size for one in there) + reserved + size - self._size, reserved + size + MARGIN - free)
        victims = []
        for one in sorted(there):
            if excess <= 0:
                break
            if one.name not in self._held and one.name not in elsewhere:
                victims.append(one.name)
                excess -= one.size
        if victims:
            self._doomed.update(victims)
            await asyncio.to_thread(self._remove, victims)
            self._doomed.difference_update(victims)
            there, _, free = await asyncio.to_thread(self._look)
            excess = max(sum(one.size for one in there) + reserved + size - self._size, reserved + size + MARGIN - free)
        stuck = {one.name for one in there}.intersection(victims)  # open in another program, or another user's
        return _Look(
            max(excess, 0), len(victims) > len(stuck), bool(self._held or reserved or elsewhere), min(stuck, default="")
        )

    def _remove(self, names: list[str]) -> None:
        for name in names:
            remove_tree(self.results / name)

    def _remove_left_behind(self) -> bool:
        """Remove what runs have left that were killed, so that nobody waits for what they held. Return whether any."""
        removed = False
        for run in [path for path in self._run.parent.iterdir() if path.is_dir() and path != self._run]:
            lock = FileLock(_lock_of(run), mode=0o600)
            with suppress(OSError, Timeout):
                with lock.acquire(timeout=0):
                    remove_tree(run)
                _lock_of(run).unlink(missing_ok=True)
                removed |= not run.exists()
        return removed

    def _look(self) -> tuple[list[_Kept], set[str], int]:
        """Return what is there, what other runs hold of it, and how many bytes are free on the disk. Blocks."""
        others = [path for path in self._run.parent.glob("*/held/*") if path.parent.parent != self._run]
        return self._there(), {path.name for path in others}, shutil.disk_usage(self.results).free

    def _there(self) -> list[_Kept]:
        found = []
        with os.scandir(self.results) as entries:
            for entry in entries:
                size, _, _ = entry.name.partition("-")
                with suppress(OSError):
                    found.append(_Kept(entry.stat().st_mtime_ns, int(size) if size.isdecimal() else 0, entry.name))
        return found


class _Kept(NamedTuple):
    """A result on disk: when it was last used, its size in bytes, its folder."""

    used: int
    size: int
    name: str


class _Look(NamedTuple):
    """Bytes that are still too many, whether results were removed, and whether somebody may let go of some.

    `stuck`: one that could not be removed.
    """

    excess: int
    removed: bool
    awaited: bool
    stuck: str


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, as far as that is possible. Links are removed, not followed."""

    def make_writable(_function: object, path: str, _error: object) -> None:
        with suppress(OSError):
            os.chmod(os.path.dirname(path), 0o700)  # noqa: PTH101, PTH120
            if not os.path.islink(path):  # noqa: PTH114
                os.chmod(path, 0o700)  # noqa: PTH101
            if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)  # noqa: PTH108

    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=make_writable)
    else:
        shutil.rmtree(folder, onerror=make_writable)


def _lock_of(run: Path) -> Path:
    return run.with_name(f"{run.name}.lock")
