"""What a kill would cost: bytes under way of files that no storage takes up in the middle (file-system
root-directories). As few of them go at once as fill the line, so that on a slow line one after the other arrives.

At the beginning so many go at once as the line carries in 90 s, up to the number that is usual elsewhere; beyond
that more only as long as each brings more, and fewer as soon as that makes no difference: `AdaptiveConcurrency` finds
out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ...clock import Clock
from .concurrency import AdaptiveConcurrency

SECONDS = 90.0
"""A kill may cost what the line carries in this time, with one file more ..."""

LITTLE = 16 * 1024 * 1024
"""... and so many bytes, while no rate is known too."""

LARGER = 4
"""Files that are so many times larger begin anew: how many of the smaller ones went at once says nothing about them."""

BUFFERED = 256 * 1024  # bytes: so many of each request do not show yet what the line carries
LOOK = 0.1  # seconds between two looks at the rate
OVER, AT_LEAST = 2.0, 1.0  # seconds that it is measured over


class UnresumableLimit:
    """Of one scheduler. `carried`: bytes that the line has carried so far, as far as is known."""

    def __init__(self, clock: Clock, concurrency: AdaptiveConcurrency, carried: Callable[[], int]) -> None:
        self._clock = clock
        self._concurrency = concurrency
        self._carried = carried
        self._size = 0  # bytes of the largest file that the limit was found with
        self._bound = LITTLE
        self._seen: deque[tuple[float, int]] = deque()

    @property
    def open(self) -> bool:
        """Whether more may go at once as soon as the line turns out to be fast enough."""
        concurrency = self._concurrency
        return self._size > 0 and concurrency.warming and concurrency.limit < concurrency.usual

    def comes(self, size: int) -> None:
        """A request with a whole file of so many bytes is there."""
        if size > LARGER * self._size:
            self._size = max(size, LITTLE // LARGER)
            if self._concurrency.limit * size > self._bytes():
                self._concurrency.restart_with_one()

    def look(self, held: int, held_bytes: int, size: int) -> None:
        """So many requests have a slot, with so many bytes together; the largest that waits has `size`."""
        concurrency = self._concurrency
        if held < concurrency.limit or not self.open:
            return
        # As if one more brought as much as each does now: a line that is not full yet has to get full soon.
        if (held_bytes + size) * held / (held + 1) <= self._bytes():
            concurrency.add_one(self._clock.monotonic())
            self._size = max(size, LITTLE // LARGER)

    def _bytes(self) -> int:
        """That may be at stake."""
        now, seen = self._clock.monotonic(), self._seen
        if not seen or now - seen[-1][0] >= LOOK:
            seen.append((now, self._carried()))
            while len(seen) > 2 and seen[1][0] <= now - OVER:
                seen.popleft()
            (since, before), (_, carried) = seen[0], seen[-1]
            self._bound = max(LITTLE, int(SECONDS * (carried - before) / max(now - since, AT_LEAST)))
        return self._bound
