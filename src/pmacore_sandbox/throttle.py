"""Slowness on purpose: a byte rate for a whole server or for one request."""

from __future__ import annotations

import asyncio
import time


class Throttle:
    """Lets `rate` bytes per second pass, first come first served. Used on one event loop only."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + count / self._rate
        await asyncio.sleep(self._free_at - now)
