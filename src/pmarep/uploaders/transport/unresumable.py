"""Bound the bytes in flight that a kill would lose: files to storages that cannot resume one in the middle, which are
file-system root-directories.

Few files go at once, just as many as fill the line, so that on a slow line one after the other arrives. At the
beginning so many go as the line carries in 90 s, up to the number that is the start elsewhere. Beyond that there are
more only as long as each brings more, and fewer as soon as that makes no difference, which AdaptiveConcurrency finds
out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ...clock import Clock
from ...limits.concurrency import AdaptiveConcurrency

SECONDS = 90.0
"""A kill may cost what the line carries in this time, with one file more ..."""

LITTLE = 16 * 1024 * 1024
"""... and so many bytes in any case, also while no rate is known."""

LARGER = 4
"""A file that is so many times larger than those before starts the search again: how many of the smaller ones went at
once says nothing about it."""

BUFFERED = 256 * 1024
"""Bytes of each request that lie in buffers, and do not show yet what the line carries."""

LOOK = 0.1  # seconds between two measurements of the rate
OVER, AT_LEAST = 2.0, 1.0  # seconds that it is measured over


class UnresumableLimit:
    """The limit of one RequestScheduler, set through its AdaptiveConcurrency.

    `transferred` returns the bytes that the line has carried so far.
    """

    def __init__(self, clock: Clock, concurrency: AdaptiveConcurrency, transferred: Callable[[], int]) -> None:
        self._clock = clock
        self._concurrency = concurrency
        self._transferred = transferred
        self._size = 0  # bytes of the largest file that the limit was found with
        self._bound = LITTLE
        self._seen: deque[tuple[float, int]] = deque()

    @property
    def may_grow(self) -> bool:
        """True where more may go at once as soon as the line turns out to be fast enough."""
        concurrency = self._concurrency
        return self._size > 0 and concurrency.warming_up and concurrency.limit < concurrency.initial

    def add(self, size: int) -> None:
        """Take note of a request with a whole file of `size` bytes, and start with one request if that is much."""
        if size > LARGER * self._size:
            self._size = max(size, LITTLE // LARGER)
            if self._concurrency.limit * size > self._bytes():
                self._concurrency.restart_with_one()

    def grow(self, held: int, held_bytes: int, size: int) -> None:
        """Allow one request more if the line is fast enough.

        `held` requests of `held_bytes` together have a slot; the largest that waits has `size` bytes.
        """
        concurrency = self._concurrency
        if held < concurrency.limit or not self.may_grow:
            return
        # As if one more brought as much as each does now: a line that is not full yet has to get full soon.
        if (held_bytes + size) * held / (held + 1) <= self._bytes():
            concurrency.add_one(self._clock.monotonic())
            self._size = max(size, LITTLE // LARGER)

    def _bytes(self) -> int:
        """Return the bytes that a kill may cost at the present rate."""
        now, seen = self._clock.monotonic(), self._seen
        if not seen or now - seen[-1][0] >= LOOK:
            seen.append((now, self._transferred()))
            while len(seen) > 2 and seen[1][0] <= now - OVER:
                seen.popleft()
            (since, before), (_, after) = seen[0], seen[-1]
            self._bound = max(LITTLE, int(SECONDS * (after - before) / max(now - since, AT_LEAST)))
        return self._bound
