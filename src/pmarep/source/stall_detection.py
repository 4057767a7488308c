"""Detects disks and network drives that hang: time limits for work in threads, which may wait for ever.

A thread cannot be ended. What hangs goes on hanging and is waited for no longer, not even at the end of the program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ..errors import SourceAway
from ..units import format_duration

READ_SECONDS = 60.0
"""Seconds in which a read brings something, if only one chunk: as long as a server may be silent."""

PROBE_SECONDS = 30.0
"""Seconds in which one look at a file is answered; it needs some milliseconds."""

T = TypeVar("T")


class Heartbeat:
    """The progress of work in a thread, which calls beat() after each step and so is known not to hang."""

    def __init__(self) -> None:
        self.beats = 0

    def beat(self) -> None:
        self.beats += 1


async def wait_while_moving(
    work: asyncio.Future[T], what: str, seconds: float, moved: Callable[[], object] = lambda: None
) -> T:
    """Return the result of `work`. Raises SourceAway, naming `what`, if nothing moves for `seconds`.

    `moved`: return a value that changes while there is progress.

    Then, and when this is cancelled, so is `work`, as far as it has not begun.
    """
    try:
        while True:
            before = moved()
            await asyncio.wait({work}, timeout=seconds)
            if work.done():
                return work.result()
            if moved() == before:
                raise _away(what, seconds)
    finally:
        work.cancel()


def _away(what: str, seconds: float) -> SourceAway:
    took = format_duration(max(seconds, 1.0))
    return SourceAway(f"cannot read {what}: its disk or network drive does not answer (nothing came for {took})")


class FolderProbe:
    """Runs probes of folders in threads, at most one hanging thread per folder: the next probes wait for its end."""

    def __init__(self) -> None:
        self._hanging: dict[Path, asyncio.Future[Any]] = {}

    async def run(self, folder: Path, begin: Callable[[Heartbeat], asyncio.Future[T]]) -> T:
        """Return the result of the work that `begin` starts. Raises SourceAway."""
        await self._until_back(folder)
        heartbeat = Heartbeat()
        work = begin(heartbeat)
        try:
            return await wait_while_moving(asyncio.shield(work), str(folder), PROBE_SECONDS, lambda: heartbeat.beats)
        except SourceAway:
            if not work.done():
                self._hanging[folder] = work
            raise

    async def _until_back(self, folder: Path) -> None:
        hanging = self._hanging.get(folder)
        if hanging is None:
            return
        await asyncio.wait({hanging}, timeout=PROBE_SECONDS)
        if not hanging.done():
            raise _away(str(folder), PROBE_SECONDS)
        self._hanging.pop(folder, None)
