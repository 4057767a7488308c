"""Decide which waiting request to a site goes next: what keeps the line full first, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

SMALL = 256 * 1024
"""Bytes of a request that is over after a round trip: it goes ahead of larger ones, which hardly notice."""

SMALL_SHARE = 4  # a fourth of the slots is for small ones while larger ones wait too, and at least one
SMALL_IN_A_ROW = 3
OLDEST_EVERY = 4
"""Every so often it is the turn of the request that has waited longest, so that nothing starves."""


@dataclass(order=True, slots=True)
class _Waiter:
    rank: tuple[int, int]  # minus its bytes, then its turn
    size: int = field(compare=False)
    ready: asyncio.Future[None] = field(compare=False)


class PrioritySemaphore:
    """A semaphore whose number of slots may change at any time, and which grants the largest request first.

    `limit` returns the number of slots, asked with the bytes of the largest request that waits. `extra_slot` returns
    whether a small request may go beyond the limit where there are too few slots to reserve one for it.
    """

    def __init__(self, limit: Callable[[int], int], extra_slot: Callable[[], bool] = lambda: False) -> None:
        self._limit = limit
        self._extra_slot = extra_slot
        self._turn = 0
        self._small: dict[int, _Waiter] = {}  # by turn, so the oldest first
        self._large: dict[int, _Waiter] = {}
        self._by_size: list[_Waiter] = []  # a heap of the large ones, and some that wait no more
        self._small_held = self._small_in_a_row = self._large_granted = 0
        self.held = self.held_bytes = 0  # slots that are taken, and the bytes of their requests

    @property
    def waiting(self) -> int:
        """Requests that have no slot."""
        return len(self._small) + len(self._large)

    @asynccontextmanager
    async def slot(self, size: int) -> AsyncIterator[None]:
        """Hold a slot for a request of `size` bytes."""
        self._turn += 1
        turn = self._turn
        waiter = _Waiter((-size, turn), size, asyncio.get_running_loop().create_future())
        queue = self._small if size <= SMALL else self._large
        queue[turn] = waiter
        if size > SMALL:
            heapq.heappush(self._by_size, waiter)
        self.grant()
        try:
            await waiter.ready
        except asyncio.CancelledError:
            if waiter.ready.done() and not waiter.ready.cancelled():
                self._release(size)
            elif turn in queue:
                del queue[turn]
            raise
        try:
            yield
        finally:
            self._release(size)

    def _release(self, size: int) -> None:
        self.held -= 1
        self.held_bytes -= size
        self._small_held -= size <= SMALL
        self.grant()

    def grant(self) -> None:
        """Give out the slots that are free; to be called also when the limit has grown."""
        while self.waiting:
            limit = max(1, self._limit(self._largest().size if self._large else 0))
            if self.held >= limit and not self._may_exceed(limit):
                return
            waiter = self._next(limit)
            if waiter.ready.cancelled():  # its task has yet to hear of it
                self._small_held -= waiter.size <= SMALL
                continue
            self.held += 1
            self.held_bytes += waiter.size
            waiter.ready.set_result(None)

    def _may_exceed(self, limit: int) -> bool:
        """Return whether a small request is next that would have to wait for a large one to end."""
        return bool(self._small) and self._small_held == 0 and limit < SMALL_SHARE and self._extra_slot()

    def _largest(self) -> _Waiter:
        """Return the largest of the large requests that wait."""
        while self._by_size[0].rank[1] not in self._large:
            heapq.heappop(self._by_size)
        return self._by_size[0]

    def _next(self, limit: int) -> _Waiter:
        few = self._small_held < max(1, limit // SMALL_SHARE) and self._small_in_a_row < SMALL_IN_A_ROW
        if self._small and (few or not self._large or self.held >= limit):
            self._small_in_a_row += 1
            self._small_held += 1
            return self._small.pop(next(iter(self._small)))
        self._small_in_a_row = 0
        self._large_granted += 1
        if self._large_granted % OLDEST_EVERY == 0:
            return self._large.pop(next(iter(self._large)))
        return self._large.pop(self._largest().rank[1])
