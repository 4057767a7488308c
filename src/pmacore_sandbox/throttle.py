"""A limit on bytes per second, of a whole server or of one request."""

from __future__ import annotations

import asyncio
import time


class Throttle:
    """A rate limiter: `rate` bytes per second, first come first served. Used on one event loop only."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def wait(self, count: int) -> None:
        """Wait until `count` bytes may pass."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + count / self._rate
        await asyncio.sleep(self._free_at - now)
