"""Which request to a site goes next: what keeps the line full first, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .hedging import LOOK

SMALL = 256 * 1024
"""Bytes of a request that is over after a round trip: it goes ahead of larger ones, which hardly notice."""

SMALL_SHARE = 4  # a fourth of the slots is for small ones while larger ones wait too, and at least one
SMALL_IN_A_ROW = 3
OLDEST_EVERY = 4
"""Every so often it is the turn of the one that has waited longest, so that nothing starves."""


@dataclass(order=True, slots=True)
class _Waiter:
    rank: tuple[int, int]  # minus its bytes, then its turn
    size: int = field(compare=False)
    deferrable: bool = field(compare=False)
    ready: asyncio.Future[None] = field(compare=False)


class PrioritySemaphore:
    """So many requests at once as `limit` says, which may change at any time. It is asked with the bytes of the largest
    request that waits.

    `aside`: whether a small request may go besides the others where those are too few to leave it a part.
    `keeps`: whether a request of so many bytes, and so all that are smaller, is kept for later though a slot is free;
    asked while there are no others than those that may wait, and none of SMALL bytes.
    """

    def __init__(
        self,
        limit: Callable[[int], int],
        keeps: Callable[[int], bool] = lambda _: False,
        aside: Callable[[], bool] = lambda: False,
    ) -> None:
        self._limit = limit
        self._keeps = keeps
        self._aside = aside
        self._looking: asyncio.TimerHandle | None = None
        self._turn = 0
        self._small: dict[int, _Waiter] = {}  # by turn, so the oldest first
        self._large: dict[int, _Waiter] = {}
        self._by_size: list[_Waiter] = []  # a heap of the large ones, and some that wait no more
        self._firm = 0  # large ones that may not wait
        self._small_held = self._small_in_a_row = self._large_begun = 0
        self.held = self.held_bytes = 0

    @property
    def waiting(self) -> int:
        return len(self._small) + len(self._large)

    @asynccontextmanager
    async def one(self, size: int, *, deferrable: bool = False) -> AsyncIterator[None]:
        """A slot for a request of so many bytes. `deferrable`: it can be kept for later."""
        self._turn += 1
        turn = self._turn
        waiter = _Waiter((-size, turn), size, deferrable, asyncio.get_running_loop().create_future())
        queue = self._small if size <= SMALL else self._large
        queue[turn] = waiter
        if size > SMALL:
            heapq.heappush(self._by_size, waiter)
            self._firm += not deferrable
        self.serve()
        try:
            await waiter.ready
        except asyncio.CancelledError:
            if waiter.ready.done() and not waiter.ready.cancelled():
                self._release(size)
            elif turn in queue:
                self._take(queue, turn)
            raise
        try:
            yield
        finally:
            self._release(size)

    def _release(self, size: int) -> None:
        self.held -= 1
        self.held_bytes -= size
        self._small_held -= size <= SMALL
        self.serve()

    def serve(self) -> None:
        """Give out the slots that are free; to be called also when the limit has grown."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        while self.waiting:
            limit = max(1, self._limit(self._largest().size if self._large else 0))
            if self.held >= limit and not self._goes_aside(limit):
                return
            if not self._small and not self._firm and self._keeps(self._largest().size):
                self._looking = asyncio.get_running_loop().call_later(LOOK, self.serve)
                return
            waiter = self._next(limit)
            if waiter.ready.cancelled():  # its task has yet to hear of it
                self._small_held -= waiter.size <= SMALL
                continue
            self.held += 1
            self.held_bytes += waiter.size
            waiter.ready.set_result(None)

    def _goes_aside(self, limit: int) -> bool:
        """Whether the next one is a small one that would have to wait for a large one to end."""
        return bool(self._small) and self._small_held == 0 and limit < SMALL_SHARE and self._aside()

    def _take(self, queue: dict[int, _Waiter], turn: int) -> _Waiter:
        """Out of one of the two queues."""
        waiter = queue.pop(turn)
        self._firm -= queue is self._large and not waiter.deferrable
        return waiter

    def _largest(self) -> _Waiter:
        """Of the large ones that wait."""
        while self._by_size[0].rank[1] not in self._large:
            heapq.heappop(self._by_size)
        return self._by_size[0]

    def _next(self, limit: int) -> _Waiter:
        few = self._small_held < max(1, limit // SMALL_SHARE) and self._small_in_a_row < SMALL_IN_A_ROW
        if self._small and (few or not self._large or self.held >= limit):
            self._small_in_a_row += 1
            self._small_held += 1
            return self._take(self._small, next(iter(self._small)))
        self._small_in_a_row = 0
        self._large_begun += 1
        if self._large_begun % OLDEST_EVERY == 0:
            return self._take(self._large, next(iter(self._large)))
        return self._take(self._large, self._largest().rank[1])
