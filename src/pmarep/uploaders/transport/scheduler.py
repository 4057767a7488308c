"""Schedule the requests with slide bytes to one site: how many at once, how fast, which next, how often tried again.

A `RequestScheduler` owns what has been sent to its site in this run: bytes in flight, bytes acknowledged, the rate.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

from ...aio import cancel_all
from ...clock import Clock
from ...errors import PmarepError, Remedy
from ...limits.concurrency import AdaptiveConcurrency
from ...limits.node_share import NodeShare
from ...limits.rate_limit import RateLimiter
from ...limits.request_queue import PrioritySemaphore
from ...pmacore import ServerError
from ...retry import Attempts, Retry
from .body import UploadBody
from .hedging import HedgedRequest, HedgeMode, HedgingPolicy
from .unresumable import BUFFERED, LOOK, UnresumableLimit

log = logging.getLogger(__name__)

T = TypeVar("T")

RATE_SECONDS = 5.0  # that the rate is measured over, at most

ANOTHER_ROUND_TRIP = 2  # times longer or shorter: less is no reason to start the search for a limit again

FAILURES_IN_A_ROW = 6
"""Requests in a row that the server has failed at, after which each of the next ones is tried once, not five times."""

STALLED = 1.0  # seconds after which hedges are considered although no bytes move


class RequestScheduler:
    """Runs all requests with slide bytes to one site.

    `connections` is the number of requests at the same time, of which this run has the part of `share`, or what finds
    the number by trying. `limiters` throttle all bytes.
    """

    def __init__(
        self,
        connections: int | AdaptiveConcurrency,
        limiters: Sequence[RateLimiter],
        retry: Retry,
        clock: Clock,
        share: NodeShare | None = None,
    ) -> None:
        self._share = share or NodeShare()
        self.concurrency = None if isinstance(connections, int) else connections
        self._fixed = connections if isinstance(connections, int) else 0
        self._semaphore = PrioritySemaphore(self._limit_for, lambda: self.has_unresumable)
        self._unresumable: UnresumableLimit | None = None
        if self.concurrency is not None:
            self._unresumable = UnresumableLimit(clock, self.concurrency, lambda: self.bytes_transferred)
        self.has_unresumable = False  # whether there are requests that no later run can resume in the middle
        self._reported = 0  # bytes that the concurrency has been told of
        self._granted_at = float("-inf")
        self._limiters = limiters
        self._retry = retry
        self.clock = clock
        self._moved: deque[tuple[float, int]] = deque()
        self._in_flight: set[HedgedRequest] = set()
        self.hedging = HedgingPolicy(clock, self._few, lambda: self._in_flight, self.rate)
        self.connections = 0  # requests in flight
        self._failures = 0  # of the server, in a row
        self.bytes_in_flight = 0  # handed to the network and not acknowledged
        self.bytes_acknowledged = 0
        self.bytes_sent = 0  # that the network has taken, also those of requests that failed
        self._acknowledged_listeners: list[Callable[[], None]] = []
        self._capacity_listeners: list[Callable[[], None]] = []
        self._share.join(self._share_changed, lambda: self.concurrency is None and self._semaphore.held > self.limit)

    def _share_changed(self) -> None:
        self._semaphore.grant()
        _call(self._capacity_listeners)

    def on_acknowledged(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the site has acknowledged bytes."""
        self._acknowledged_listeners.append(listener)

    def on_capacity(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a request has got its slot, or there may be more requests than before."""
        self._capacity_listeners.append(listener)

    @property
    def bandwidth(self) -> int | None:
        """Bytes per second that may go now; None without a limit."""
        return min((limiter.limit for limiter in self._limiters if limiter.limit is not None), default=None)

    @property
    def limit(self) -> int:
        """Requests that there may be at the same time now."""
        return self._share.of_requests(self._fixed) if self.concurrency is None else self.concurrency.limit

    def _limit_for(self, size: int) -> int:
        """Return the limit when the largest request that waits has `size` bytes."""
        if self._unresumable is not None:
            self._unresumable.grow(self._semaphore.held, self._semaphore.held_bytes, size)
        return self.limit

    @property
    def waiting(self) -> int:
        """Requests that have no slot yet."""
        return self._semaphore.waiting

    def _few(self) -> int:
        """Return the number of requests below which they do not fill the line."""
        return max(2, self.limit * 2 // 3)

    def set_draining(self, draining: bool) -> None:
        """Say whether no more requests will come than those that are here: then slow ones are hedged."""
        limited = self.bandwidth is not None
        self.hedging.enabled = (
            draining and self.concurrency is not None and self.concurrency.long_round_trip and not limited
        )

    def attempts(self, size: int, *, resumable: bool = True) -> Attempts:
        """Begin a request of `size` bytes; return the attempts at it, each of which stands in an `attempt`.

        Not `resumable`: all that it has sent is lost when it is broken off, see UnresumableLimit.
        """
        if not resumable and self._unresumable is not None:
            self.has_unresumable = True
            self._unresumable.add(size)
        return self._retry.attempts(still_useful=lambda: self._failures < FAILURES_IN_A_ROW)

    @asynccontextmanager
    async def attempt(self, attempts: Attempts, size: int) -> AsyncIterator[UploadBody]:
        """Yield the body of a request of `size` bytes, in a slot of its own; the block sends it and awaits the answer.

        The block ends without an error where there is to be another attempt, after `Attempts.pause`.
        """
        with attempts:
            async with self._slot(size, lambda: HedgeMode.NEVER) as request:
                with self._outcome(request.first, request):
                    yield request.first

    async def run(
        self,
        send: Callable[[UploadBody], Awaitable[T]],
        size: int = 0,
        *,
        hedge: Callable[[], HedgeMode] = lambda: HedgeMode.NEVER,
    ) -> T:
        """Run one request of `size` bytes in a slot of its own, and again after transient failures.

        `hedge` returns how the site takes it twice, asked when it begins. Raises PmaCoreError.
        """
        attempts = self.attempts(size)
        while True:
            with attempts:
                async with self._slot(size, hedge) as request:
                    return await self._run_hedged(send, request)
            await attempts.pause()

    async def _run_hedged(self, send: Callable[[UploadBody], Awaitable[T]], request: HedgedRequest) -> T:
        """Run a request, and hedges of it over new connections where it is slow; return the first result."""

        async def attempt(body: UploadBody) -> T:
            with self._outcome(body, request):
                return await send(body)

        if request.hedge_wanted is None:
            return await attempt(request.first)
        runs = {asyncio.create_task(attempt(request.first)): request.first}
        try:
            while not (arrived := _arrived(runs)):
                running: set[asyncio.Future[Any]] = {run for run in runs if not run.done()}
                if not running:
                    raise _most_relevant_error(runs)
                wake = running if request.hedge_wanted is None else {*running, request.hedge_wanted}
                await asyncio.wait(wake, timeout=STALLED, return_when=asyncio.FIRST_COMPLETED)
                self.hedging.check()
                if request.hedge_wanted is not None and request.hedge_wanted.done():
                    log.debug("%d bytes are sent once more, over another connection", request.size)
                    another = UploadBody(self, request.size, new_connection=True)
                    runs[asyncio.create_task(attempt(another))] = another
                    request.add(another)
            if request.mode is HedgeMode.LAST_WINS and not await self._outcomes_agree(runs):
                # The site keeps the one that came last, and which that was cannot be known: as if none had arrived.
                self.uncount(request.size)
                request.arrived = False
                return await attempt(UploadBody(self, request.size, new_connection=True))
            return arrived[0].result()
        finally:
            await cancel_all(runs)

    async def _outcomes_agree(self, runs: dict[asyncio.Task[T], UploadBody]) -> bool:
        """Wait until no attempt can arrive any more; return whether all that may have were answered the same."""
        await cancel_all([run for run, body in runs.items() if not run.done() and not body.may_arrive])
        there = [run for run, body in runs.items() if body.may_arrive or run in _arrived(runs)]
        await asyncio.wait(there)
        arrived = _arrived(there)
        return len(arrived) == len(there) and all(run.result() == arrived[0].result() for run in arrived)

    @contextmanager
    def _outcome(self, body: UploadBody, request: HedgedRequest) -> Iterator[None]:
        """Count what becomes of one attempt, which the block makes: its bytes, and failures of the server."""
        arrived = False
        try:
            yield
            arrived, request.arrived = not request.arrived, True
            self._failures = 0
        except PmarepError as error:
            self._failures += isinstance(error, ServerError)
            if self.concurrency is not None and error.remedy is Remedy.RETRY:
                self.concurrency.record_failure(self.clock.monotonic())
            raise
        finally:
            body.reset(arrived)

    @asynccontextmanager
    async def _slot(self, size: int, hedge: Callable[[], HedgeMode]) -> AsyncIterator[HedgedRequest]:
        """Hold a slot for a request of `size` bytes, and yield what it is known by while it is in flight."""
        try:
            async with self._semaphore.slot(size):
                # What is known of the site by now: requests may have waited for their slots for an hour.
                request = HedgedRequest(UploadBody(self, size), hedge())
                self.connections += 1
                _call(self._capacity_listeners)
                self._in_flight.add(request)
                try:
                    yield request
                finally:
                    self._in_flight.discard(request)
                    self.connections -= 1
        finally:
            self._share.note_release()

    async def throttle(self, chunk: bytes) -> AsyncGenerator[tuple[bytes, bool], None]:
        """Yield the chunk in pieces, each when every bandwidth limit lets it go, and whether it had to wait."""
        pieces = [chunk]
        for limiter in self._limiters:
            pieces = [part for piece in pieces for part in limiter.split(piece)]
        for piece in pieces:
            waited = False
            for limiter in self._limiters:
                waited |= await limiter.acquire(len(piece))
            yield piece, waited

    def record_sent(self, count: int, held_back: bool = False, *, again: bool = False) -> None:
        """Count bytes that the network has taken. `again`: they are in flight already, over another connection."""
        now = self.clock.monotonic()
        self.bytes_in_flight += 0 if again else count
        self.bytes_sent += count
        self._moved.append((now, count))
        self.hedging.check()
        if self.concurrency is not None:
            if self.has_unresumable:  # else each one that begins would look like a gain, while it fills buffers
                transferred = self.bytes_transferred
                count, self._reported = max(transferred - self._reported, 0), max(transferred, self._reported)
            before, held = self.concurrency.limit, self._semaphore.held
            full = held >= before and not self.hedging.enabled
            self.concurrency.record_sent(now, count, full=full, held_back=held_back, over=held > before)
            if self.concurrency.limit > before or self._may_have_capacity(now):
                self._semaphore.grant()

    @property
    def bytes_transferred(self) -> int:
        """Bytes of this run that have left this machine, as far as is known: those in buffers are not counted."""
        return self.bytes_acknowledged + sum(max(one.size - one.bytes_left - BUFFERED, 0) for one in self._in_flight)

    def _may_have_capacity(self, now: float) -> bool:
        """Return whether the line may have turned out to be fast enough for one more unresumable request."""
        if self._unresumable is None or not self._unresumable.may_grow:
            return False
        if not self.waiting or now - self._granted_at < LOOK:
            return False
        self._granted_at = now
        return True

    def record_end(self, bytes_in_flight: int, acknowledged: int) -> None:
        """Take bytes out of those in flight, and count those of them that the site has acknowledged."""
        self.bytes_in_flight -= bytes_in_flight
        if acknowledged:
            self.bytes_acknowledged += acknowledged
            _call(self._acknowledged_listeners)

    def set_round_trip(self, round_trip: float) -> None:
        """Set the round trip to the site, in seconds, as far as it is known by now.

        A first connection that had to look up a name, or lost a packet, makes it look longer than it is, so that it
        may be set to less later.
        """
        if self.hedging.round_trip / ANOTHER_ROUND_TRIP <= round_trip <= ANOTHER_ROUND_TRIP * self.hedging.round_trip:
            return
        self.hedging.round_trip = round_trip
        if self.concurrency is not None:
            self.concurrency.start(round_trip)
            self._semaphore.grant()
            _call(self._capacity_listeners)

    def uncount(self, count: int) -> None:
        """Take back bytes that were acknowledged and are of no use any more."""
        self.bytes_acknowledged -= count

    def rate(self, seconds: float = RATE_SECONDS) -> float:
        """Return the bytes per second over the last `seconds`, at most RATE_SECONDS."""
        now = self.clock.monotonic()
        while self._moved and self._moved[0][0] < now - RATE_SECONDS:
            self._moved.popleft()
        if not self._moved:
            return 0.0
        moved = [(at, count) for at, count in self._moved if at >= now - seconds]
        return sum(count for _, count in moved) / max(now - moved[0][0], 0.5) if moved else 0.0


def _call(listeners: Iterable[Callable[[], None]]) -> None:
    for listener in listeners:
        listener()


def _arrived(runs: Iterable[asyncio.Task[T]]) -> list[asyncio.Task[T]]:
    return [run for run in runs if run.done() and not run.cancelled() and run.exception() is None]


def _most_relevant_error(runs: Iterable[asyncio.Task[T]]) -> BaseException:
    """Return, of attempts that have all failed, an error that trying again does not mend, else the first."""
    errors = [error for run in runs if (error := run.exception()) is not None]
    lasting = [error for error in errors if not isinstance(error, PmarepError) or error.remedy is not Remedy.RETRY]
    return (lasting or errors)[0]
