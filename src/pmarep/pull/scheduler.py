"""Schedule the downloads from one site: how many at once, how fast, which next; and count what has come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ..aio import ChangeEvent
from ..clock import Clock
from ..errors import PmarepError, Remedy
from ..limits import AdaptiveConcurrency, PrioritySemaphore, RateLimiter
from ..retry import Attempts, Retry


class DownloadScheduler:
    """Gives slots to the downloads from one site, and throttles and counts their bytes.

    `connections` is the number of downloads at the same time, or what finds it by trying.
    """

    def __init__(
        self, connections: int | AdaptiveConcurrency, limiters: Sequence[RateLimiter], retry: Retry, clock: Clock
    ) -> None:
        self._concurrency = None if isinstance(connections, int) else connections
        self._fixed = connections if isinstance(connections, int) else 0
        self._semaphore = PrioritySemaphore(lambda _size: self.limit)
        self._limiters = limiters
        self._retry = retry
        self._clock = clock
        self._round_trip = 0.0
        self.connections = 0  # downloads under way
        self.bytes_received = 0
        self.changed = ChangeEvent()
        """Notified whenever fewer downloads may wait for a slot."""

    @property
    def limit(self) -> int:
        """Downloads that there may be at the same time now."""
        return self._fixed if self._concurrency is None else self._concurrency.limit

    @property
    def waiting(self) -> int:
        """Downloads that have no slot yet."""
        return self._semaphore.waiting

    @property
    def free_slots(self) -> int:
        """Slots that nobody holds or waits for."""
        return 0 if self._semaphore.waiting else max(0, self.limit - self._semaphore.held)

    def set_round_trip(self, seconds: float) -> None:
        """Start the search for a number as suits the way to the site, as soon as that is known."""
        if self._concurrency is not None and seconds and not self._round_trip:
            self._round_trip = seconds
            self._concurrency.start(seconds)
            self._semaphore.grant()

    def attempts(self, still_useful: Callable[[], bool]) -> Attempts:
        """Begin a download, which may take several attempts."""
        return self._retry.attempts(still_useful)

    @asynccontextmanager
    async def slot(self, size: int) -> AsyncIterator[None]:
        """Hold a slot for a download of `size` bytes. One that fails may make them fewer."""
        async with self._semaphore.slot(size):
            self.connections += 1
            self.changed.notify()
            try:
                yield
            except PmarepError as error:
                if self._concurrency is not None and error.remedy is Remedy.RETRY:
                    self._concurrency.record_failure(self._clock.monotonic())
                raise
            finally:
                self.connections -= 1
                self.changed.notify()

    async def record_received(self, count: int) -> None:
        """Count bytes that have come, and wait as long as the bandwidth limits want before more is read."""
        self.bytes_received += count
        waited = False
        for limiter in self._limiters:
            waited |= await limiter.acquire(count)
        if self._concurrency is None:
            return
        before, held = self._concurrency.limit, self._semaphore.held
        now = self._clock.monotonic()
        self._concurrency.record_sent(now, count, full=held >= before, held_back=waited, over=held > before)
        if self._concurrency.limit > before:
            self._semaphore.grant()
            self.changed.notify()
