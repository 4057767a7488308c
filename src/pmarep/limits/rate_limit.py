"""Limit the bandwidth of a site, or of all sites together, exactly and by the time of day."""

from __future__ import annotations

from ..clock import Clock
from ..timetable import Timetable
from .node_share import NodeShare


class RateLimiter:
    """Keeps to the bandwidth of a timetable, in bytes per second; shared by all requests that it limits.

    Of that it gives out the part of `share`.
    """

    BURST_SECONDS = 0.1
    PIECES_PER_SECOND = 32
    """Requests take turns, so with 160 of them each sends every five seconds: storages end silent ones after twenty."""

    def __init__(self, timetable: Timetable, clock: Clock, share: NodeShare | None = None) -> None:
        self._share = share or NodeShare()
        self._timetable = timetable
        self._clock = clock
        self._free_at = clock.monotonic()

    @property
    def limit(self) -> int | None:
        """Bytes per second at this time of day; None without a limit."""
        limit = self._timetable.limit_at(self._clock.local().time())
        return None if limit is None else self._share.of_rate(limit)

    def split(self, chunk: bytes) -> list[bytes]:
        """Split a chunk into pieces that are small enough for an even flow."""
        limit = self.limit
        if limit is None:
            return [chunk]
        size = max(1, limit // self.PIECES_PER_SECOND)
        return [chunk[start : start + size] for start in range(0, len(chunk), size)]

    async def acquire(self, count: int) -> bool:
        """Wait until `count` bytes may go; return whether that took time."""
        limit = self.limit
        if limit is None:
            return False
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now - self.BURST_SECONDS) + count / limit
        if self._free_at <= now:
            return False
        await self._clock.sleep(self._free_at - now)
        return True
