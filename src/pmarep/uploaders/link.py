"""The road to one site: how many requests at once, how fast, how often tried again, and what has arrived over it."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar

from ..retry import Retry
from ..timetable import Timetable

T = TypeVar("T")
RATE_SECONDS = 5.0

SMALLEST_PIECE, LARGEST_PIECE = 16 * 1024, 1024 * 1024  # bytes given to a socket at once
SLOW_PIECE = 1.0  # seconds that one takes, after which the next are smaller


class Clock:
    """Time as an argument, so that tests need not wait."""

    def monotonic(self) -> float:
        return time.monotonic()

    def local(self) -> datetime:
        return datetime.now().astimezone()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Pacer:
    """Keeps to the bandwidth of a timetable, in bytes per second; shared by all requests of a site."""

    BURST_SECONDS = 0.1
    PIECES_PER_SECOND = 8

    def __init__(self, timetable: Timetable, clock: Clock) -> None:
        self._timetable = timetable
        self._clock = clock
        self._free_at = clock.monotonic()

    @property
    def limit(self) -> int | None:
        return self._timetable.limit_at(self._clock.local().time())

    def cut(self, chunk: bytes) -> list[bytes]:
        """Pieces small enough for an even flow."""
        limit = self.limit
        if limit is None:
            return [chunk]
        size = max(1, limit // self.PIECES_PER_SECOND)
        return [chunk[start : start + size] for start in range(0, len(chunk), size)]

    async def wait(self, count: int) -> None:
        """Until `count` bytes may go."""
        limit = self.limit
        if limit is None:
            return
        now = self._clock.monotonic()
        self._free_at = max(self._free_at, now - self.BURST_SECONDS) + count / limit
        if self._free_at > now:
            await self._clock.sleep(self._free_at - now)


class Delivery:
    """The bytes of one request. They count as under way until the site has acknowledged the request."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._bytes = 0

    async def carry(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass source bytes on at the pace of the link, and count them.

        The socket's time-out is for one piece. On a slow line pieces get smaller, so that it strikes where nothing
        moves, and never where it only takes long.
        """
        clock, size = self._link.clock, LARGEST_PIECE
        async for chunk in chunks:
            start = 0
            while start < len(chunk):
                async for piece in self._link.paced(chunk[start : start + size]):
                    began = clock.monotonic()
                    yield piece
                    took = clock.monotonic() - began
                    self._bytes += len(piece)
                    self._link.note_moved(len(piece))
                start += size
                if took > SLOW_PIECE:
                    size = max(size // 4, SMALLEST_PIECE)
                elif took < SLOW_PIECE / 20:
                    size = min(size * 2, LARGEST_PIECE)

    def settle(self, arrived: bool) -> None:
        self._link.settle(self._bytes, arrived)
        self._bytes = 0


class Link:
    """All requests with slide bytes to one site go through here."""

    def __init__(self, connections: int, pacers: Sequence[Pacer], retry: Retry, clock: Clock) -> None:
        self._slots = asyncio.Semaphore(connections)
        self._pacers = pacers
        self._retry = retry
        self.clock = clock
        self._moved: deque[tuple[float, int]] = deque()
        self.connections = 0  # requests in flight
        self.under_way = 0  # bytes handed to the network and not acknowledged
        self.acknowledged = 0  # bytes that the site has said it has
        self.heard: Callable[[], None] = lambda: None  # called whenever the site has acknowledged bytes

    async def deliver(self, send: Callable[[Delivery], Awaitable[T]]) -> T:
        """Run one request in a slot of its own; transient failures are tried again. Raises PmaCoreError."""
        return await self._retry(lambda: self._deliver_once(send))

    async def _deliver_once(self, send: Callable[[Delivery], Awaitable[T]]) -> T:
        async with self._slot():
            delivery = Delivery(self)
            arrived = False
            try:
                result = await send(delivery)
                arrived = True
                return result
            finally:
                delivery.settle(arrived)

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        async with self._slots:
            self.connections += 1
            try:
                yield
            finally:
                self.connections -= 1

    async def paced(self, chunk: bytes) -> AsyncIterator[bytes]:
        """The chunk, in the pieces and at the time that every bandwidth limit allows."""
        pieces = [chunk]
        for pacer in self._pacers:
            pieces = [part for piece in pieces for part in pacer.cut(piece)]
        for piece in pieces:
            for pacer in self._pacers:
                await pacer.wait(len(piece))
            yield piece

    def note_moved(self, count: int) -> None:
        self.under_way += count
        self._moved.append((self.clock.monotonic(), count))

    def settle(self, count: int, arrived: bool) -> None:
        self.under_way -= count
        if arrived:
            self.acknowledged += count
            self.heard()

    def forget(self, count: int) -> None:
        """Bytes that were acknowledged and are of no use any more."""
        self.acknowledged -= count

    def rate(self) -> float:
        """Bytes per second over the last seconds."""
        now = self.clock.monotonic()
        while self._moved and self._moved[0][0] < now - RATE_SECONDS:
            self._moved.popleft()
        if not self._moved:
            return 0.0
        return sum(count for _, count in self._moved) / max(now - self._moved[0][0], 0.5)
