"""Clocks for tests: `FakeClock` and `JumpingClock` stand still but for sleepers, the others go faster than time.

For a whole push in which several sleep, or servers may be slow, take `IdleClock` of idle_clock.py.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import heapq
import itertools
import time
from collections.abc import Sized
from typing import Any

from pmarep.clock import Clock


class FakeClock(Clock):
    """Stands still until somebody sleeps; sleepers wake in the order of their times."""

    def __init__(self, at: str = "12:00") -> None:
        self.now = 0.0
        self._begin = dt.datetime.combine(dt.date(2026, 3, 2), dt.time.fromisoformat(at), dt.UTC)
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._count = itertools.count()  # of two that sleep as long, the first wakes first

    def monotonic(self) -> float:
        return self.now

    def local(self) -> dt.datetime:
        return self._begin + dt.timedelta(seconds=self.now)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._count), woken))
        await woken.wait()

    async def run(self, work: asyncio.Future[Any]) -> float:
        """Move time on whenever everybody sleeps; the time when the work is done."""
        ready: Sized = getattr(asyncio.get_running_loop(), "_ready", "unknown")
        while not work.done():
            for _ in range(20):  # let everybody run who can
                await asyncio.sleep(0)
                if not ready:
                    break
            if self._sleepers and not work.done():
                at, _, woken = heapq.heappop(self._sleepers)
                self.now = max(self.now, at)
                woken.set()
        work.result()
        return self.now


async def turns() -> None:
    """Let everybody run who can, and not by time: on a busy machine any may be over before that."""
    for _ in range(20):
        await asyncio.sleep(0)


class JumpingClock(Clock):
    """Moves on by what is slept, at once, and not else."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class SkippingClock(Clock):
    """Ends every sleep after a moment and moves time on by all of it. `slept`: seconds asked for in all."""

    MOMENT = 0.005

    def __init__(self) -> None:
        self.slept = 0.0
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._ahead += max(0.0, seconds - self.MOMENT)
        await asyncio.sleep(min(seconds, self.MOMENT))


class FastClock(Clock):
    """Runs `SPEED` times as fast as real time. Correct while several sleep at once, as SkippingClock is not."""

    SPEED = 250.0

    def monotonic(self) -> float:
        return time.monotonic() * self.SPEED

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.SPEED)
