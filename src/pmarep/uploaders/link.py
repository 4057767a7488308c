"""The road to one site: how many requests at once, how fast, how often tried again, and what has arrived over it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from ..errors import PmarepError, Remedy
from ..retry import Retry
from .controller import Controller
from .finish import LAST, Finish
from .pacer import Clock, Pacer
from .slots import Slots

T = TypeVar("T")
RATE_SECONDS = 5.0

SMALLEST_PIECE, FIRST_PIECE, LARGEST_PIECE = 16 * 1024, 256 * 1024, 1024 * 1024  # bytes given to a socket at once
SLOW_PIECE, FAST_PIECE = 0.5, 0.02
"""Seconds that one takes, after which the next are smaller or larger: what a socket does not take at once lies in
memory, and on a long way there are many sockets."""


class Delivery:
    """The bytes of one request. They count as under way until the site has acknowledged the request."""

    def __init__(self, link: Link, size: int) -> None:
        self._link = link
        self._size = size
        self._bytes = 0

    @property
    def left(self) -> int:
        """Bytes that are not sent yet."""
        return self._size - self._bytes

    async def carry(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass source bytes on at the pace of the link, and count them.

        The socket's time-out is for one piece. On a slow line pieces get smaller, so that it strikes where nothing
        moves, and never where it only takes long.
        """
        clock, size, took = self._link.clock, FIRST_PIECE, 0.0
        await self._link.finish.turn(self)
        async for chunk in chunks:
            start = 0
            while start < len(chunk):
                await self._link.finish.turn(self)
                async for piece, held_back in self._link.paced(chunk[start : start + size]):
                    began = clock.monotonic()
                    yield piece
                    took = clock.monotonic() - began
                    self._bytes += len(piece)
                    self._link.note_moved(len(piece), held_back)
                start += size
                if took > SLOW_PIECE:
                    size = max(size // 2, SMALLEST_PIECE)
                elif took < FAST_PIECE:
                    size = min(size * 2, LARGEST_PIECE)
            del chunk  # while it waits, it holds nothing in memory
            await self._link.finish.turn(self)

    def settle(self, arrived: bool) -> None:
        self._link.settle(self._bytes, arrived)
        self._bytes = 0


class Link:
    """All requests with slide bytes to one site go through here. `connections`: a number, or who finds it."""

    def __init__(self, connections: int | Controller, pacers: Sequence[Pacer], retry: Retry, clock: Clock) -> None:
        self.controller = None if isinstance(connections, int) else connections
        self._fixed = connections if isinstance(connections, int) else 0
        self._slots = Slots(self._most)
        self._pacers = pacers
        self._retry = retry
        self.clock = clock
        self._moved: deque[tuple[float, int]] = deque()
        self._flying: set[Delivery] = set()
        self.finish = Finish(clock, self._running, lambda: self._flying)
        self.connections = 0  # requests in flight
        self.under_way = 0  # bytes handed to the network and not acknowledged
        self.acknowledged = 0  # bytes that the site has said it has
        self.heard: Callable[[], None] = lambda: None  # called whenever the site has acknowledged bytes
        self.relieved: Callable[[], None] = lambda: None  # called whenever a request has got its slot

    @property
    def limit(self) -> int:
        """How many requests there may be now, the end apart."""
        return self._fixed if self.controller is None else self.controller.limit

    @property
    def waiting(self) -> int:
        """Requests without a slot."""
        return self._slots.waiting

    def _most(self) -> int:
        if not self.finish.on:
            return self.limit
        last = LAST * self.limit
        return last if self._slots.held + self._slots.waiting <= last else self.limit

    def _running(self) -> int:
        """How many of the last ones go at a time: on fewer streams each is quicker, and the line is still full."""
        return max(2, self.limit * 2 // 3)

    def ending(self, so: bool) -> None:
        """Whether nothing more comes than the requests that are here."""
        limited = any(pacer.limit is not None for pacer in self._pacers)
        self.finish.on = so and self.controller is not None and self.controller.far and not limited
        self._slots.serve()

    async def deliver(self, send: Callable[[Delivery], Awaitable[T]], size: int = 0) -> T:
        """Run one request of `size` bytes in a slot of its own; transient failures are tried again.

        Raises PmaCoreError.
        """
        return await self._retry(lambda: self._deliver_once(send, size))

    async def _deliver_once(self, send: Callable[[Delivery], Awaitable[T]], size: int) -> T:
        async with self._slot(size):
            delivery = Delivery(self, size)
            self._flying.add(delivery)
            arrived = False
            try:
                result = await send(delivery)
                arrived = True
                return result
            except PmarepError as error:
                if self.controller is not None and error.remedy is Remedy.RETRY:
                    self.controller.failed(self.clock.monotonic())
                raise
            finally:
                self._flying.discard(delivery)
                delivery.settle(arrived)

    @asynccontextmanager
    async def _slot(self, size: int) -> AsyncIterator[None]:
        async with self._slots.one(size):
            self.connections += 1
            self.relieved()
            try:
                yield
            finally:
                self.connections -= 1

    async def paced(self, chunk: bytes) -> AsyncIterator[tuple[bytes, bool]]:
        """The chunk, in the pieces and at the time that every bandwidth limit allows; whether each had to wait."""
        pieces = [chunk]
        for pacer in self._pacers:
            pieces = [part for piece in pieces for part in pacer.cut(piece)]
        for piece in pieces:
            waited = False
            for pacer in self._pacers:
                waited |= await pacer.wait(len(piece))
            yield piece, waited

    def note_moved(self, count: int, held_back: bool = False) -> None:
        now = self.clock.monotonic()
        self.under_way += count
        self._moved.append((now, count))
        if self.controller is not None:
            before = self.controller.limit
            full = self._slots.held >= self.limit and not self.finish.on
            self.controller.sent(now, count, full=full, held_back=held_back)
            if self.controller.limit > before:
                self._slots.serve()

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
