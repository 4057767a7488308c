"""Schedule the requests with slide bytes to one site: how many at once, how fast, how often tried again."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from ...clock import Clock
from ...errors import PmarepError, Remedy
from ...pmacore import ServerError
from ...retry import Retry
from .body import HedgedRequest, HedgeMode, UploadBody
from .concurrency import AdaptiveConcurrency
from .hedging import HedgingPolicy
from .rate_limit import RateLimiter
from .request_queue import PrioritySemaphore
from .unresumable import BUFFERED, LOOK, UnresumableLimit

log = logging.getLogger(__name__)

T = TypeVar("T")

RATE_SECONDS = 5.0

OTHER = 2  # times longer or shorter: less is no other way

DOWN = 6
"""Requests in a row that the server has failed at: then each of the next ones is tried once, and not five times."""

STALLED = 1.0  # seconds after which somebody looks although nothing moves


class RequestScheduler:
    """All requests with slide bytes to one site go through here. `connections`: a number, or who finds it."""

    def __init__(
        self, connections: int | AdaptiveConcurrency, limiters: Sequence[RateLimiter], retry: Retry, clock: Clock
    ) -> None:
        self.concurrency = None if isinstance(connections, int) else connections
        self._fixed = connections if isinstance(connections, int) else 0
        self._semaphore = PrioritySemaphore(
            self._may_be, lambda size: self.hedging.keeps(size), lambda: self.has_unresumable
        )
        self._unresumable: UnresumableLimit | None = None
        if self.concurrency is not None:
            self._unresumable = UnresumableLimit(clock, self.concurrency, lambda: self.bytes_transferred)
        self.has_unresumable = False  # whether there are requests that no later run can take up in the middle
        self._told = 0  # bytes that the concurrency has heard of
        self._served_at = float("-inf")
        self._limiters = limiters
        self._retry = retry
        self.clock = clock
        self._moved: deque[tuple[float, int]] = deque()
        self._in_flight: set[HedgedRequest] = set()
        self.hedging = HedgingPolicy(clock, self._few, lambda: self._in_flight, self.rate)
        self.connections = 0  # requests in flight
        self._failures = 0  # of the server, since it last took something
        self.bytes_in_flight = 0  # bytes handed to the network and not acknowledged
        self.bytes_acknowledged = 0  # bytes that the site has said it has
        self._acknowledged_listeners: list[Callable[[], None]] = []
        self._capacity_listeners: list[Callable[[], None]] = []

    def on_acknowledged(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the site has acknowledged bytes."""
        self._acknowledged_listeners.append(listener)

    def on_capacity(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a request has got its slot, or there may be more requests than before."""
        self._capacity_listeners.append(listener)

    @property
    def limit(self) -> int:
        """How many requests there may be now."""
        return self._fixed if self.concurrency is None else self.concurrency.limit

    def _may_be(self, size: int) -> int:
        """The same, when the largest that waits has so many bytes."""
        if self._unresumable is not None:
            self._unresumable.look(self._semaphore.held, self._semaphore.held_bytes, size)
        return self.limit

    @property
    def waiting(self) -> int:
        """Requests without a slot."""
        return self._semaphore.waiting

    def _few(self) -> int:
        """Fewer requests than these fill no line."""
        return max(2, self.limit * 2 // 3)

    def ending(self, so: bool) -> None:
        """Whether nothing more comes than the requests that are here."""
        limited = any(limiter.limit is not None for limiter in self._limiters)
        self.hedging.on = so and self.concurrency is not None and self.concurrency.far and not limited

    async def run(
        self,
        send: Callable[[UploadBody], Awaitable[T]],
        size: int = 0,
        *,
        hedge: Callable[[], HedgeMode] = lambda: HedgeMode.NEVER,
        deferrable: bool = False,
        resumable: bool = True,
    ) -> T:
        """Run one request of `size` bytes in a slot of its own; transient failures are tried again.

        `hedge` is asked when it begins. `deferrable`: it may wait for longer ones to end, see HedgingPolicy. Not
        `resumable`: what it has carried is lost when it is broken off, see UnresumableLimit. Raises PmaCoreError.
        """
        if not resumable and self._unresumable is not None:
            self.has_unresumable = True
            self._unresumable.comes(size)

        async def once() -> T:
            async with self._slot(size, deferrable):
                how, first = hedge(), UploadBody(self, size)
                hedged = HedgedRequest(first, how)
                self._in_flight.add(hedged)
                try:
                    if hedged.slow is None:
                        return await self._carry_out(send, first, hedged)
                    return await self._run_hedged(send, first, hedged, how)
                finally:
                    self._in_flight.discard(hedged)

        return await self._retry(once, worth=lambda: self._failures < DOWN)

    async def _run_hedged(
        self, send: Callable[[UploadBody], Awaitable[T]], first: UploadBody, hedged: HedgedRequest, how: HedgeMode
    ) -> T:
        """Where it is slow at the end of all, another goes over a new connection; the first there counts."""
        runs: dict[asyncio.Task[T], UploadBody] = {}

        def begin(body: UploadBody) -> None:
            runs[asyncio.create_task(self._carry_out(send, body, hedged))] = body

        try:
            begin(first)
            while not (arrived := _arrived(runs)):
                running: set[asyncio.Future[Any]] = {run for run in runs if not run.done()}
                if not running:
                    raise _most_telling(runs)
                wake = running if hedged.slow is None else {*running, hedged.slow}
                await asyncio.wait(wake, timeout=STALLED, return_when=asyncio.FIRST_COMPLETED)
                self.hedging.look()
                if hedged.slow is not None and hedged.slow.done():
                    log.debug("%d bytes are sent once more, over another connection", first.size)
                    another = UploadBody(self, first.size, new_connection=True)
                    begin(another)
                    hedged.join(another)
            if how is HedgeMode.LAST_WINS and not await self._agree(runs):
                # The site keeps the one that came last, and nobody here knows which: as if none had arrived.
                self.uncount(first.size)
                hedged.arrived = False
                return await self._carry_out(send, UploadBody(self, first.size, new_connection=True), hedged)
            return arrived[0].result()
        finally:
            await _end(runs)

    async def _agree(self, runs: dict[asyncio.Task[T], UploadBody]) -> bool:
        """When nothing can arrive any more: whether all that may have arrived were answered the same."""
        await _end([run for run, body in runs.items() if not run.done() and not body.may_arrive])
        there = [run for run, body in runs.items() if body.may_arrive or run in _arrived(runs)]
        await asyncio.wait(there)
        arrived = _arrived(there)
        return len(arrived) == len(there) and all(run.result() == arrived[0].result() for run in arrived)

    async def _carry_out(
        self, send: Callable[[UploadBody], Awaitable[T]], body: UploadBody, hedged: HedgedRequest
    ) -> T:
        arrived = False
        try:
            result = await send(body)
            arrived, hedged.arrived = not hedged.arrived, True
            self._failures = 0
            return result
        except PmarepError as error:
            self._failures += isinstance(error, ServerError)
            if self.concurrency is not None and error.remedy is Remedy.RETRY:
                self.concurrency.failed(self.clock.monotonic())
            raise
        finally:
            body.settle(arrived)

    @asynccontextmanager
    async def _slot(self, size: int, deferrable: bool) -> AsyncIterator[None]:
        async with self._semaphore.one(size, deferrable=deferrable):
            self.connections += 1
            _call(self._capacity_listeners)
            try:
                yield
            finally:
                self.connections -= 1

    async def throttle(self, chunk: bytes) -> AsyncIterator[tuple[bytes, bool]]:
        """The chunk, in the pieces and at the time that every bandwidth limit allows; whether each had to wait."""
        pieces = [chunk]
        for limiter in self._limiters:
            pieces = [part for piece in pieces for part in limiter.cut(piece)]
        for piece in pieces:
            waited = False
            for limiter in self._limiters:
                waited |= await limiter.wait(len(piece))
            yield piece, waited

    def record_sent(self, count: int, held_back: bool = False, *, again: bool = False) -> None:
        """The network has taken bytes. `again`: they are under way already, over another connection."""
        now = self.clock.monotonic()
        self.bytes_in_flight += 0 if again else count
        self._moved.append((now, count))
        self.hedging.look()
        if self.concurrency is not None:
            if self.has_unresumable:  # else each one that begins would look like a gain, while it fills buffers
                carried = self.bytes_transferred
                count, self._told = max(carried - self._told, 0), max(carried, self._told)
            before, held = self.concurrency.limit, self._semaphore.held
            full = held >= before and not self.hedging.on
            self.concurrency.sent(now, count, full=full, held_back=held_back, over=held > before)
            if self.concurrency.limit > before or self._may_find_room(now):
                self._semaphore.serve()

    @property
    def bytes_transferred(self) -> int:
        """Bytes of this run that have left the machine, as far as that is known."""
        return self.bytes_acknowledged + sum(max(one.size - one.left - BUFFERED, 0) for one in self._in_flight)

    def _may_find_room(self, now: float) -> bool:
        """Whether the line may have turned out to be fast enough for one more."""
        if self._unresumable is None or not self._unresumable.open or not self.waiting or now - self._served_at < LOOK:
            return False
        self._served_at = now
        return True

    def settle(self, bytes_in_flight: int, arrived: int) -> None:
        """So many bytes are not under way any more, and so many have arrived."""
        self.bytes_in_flight -= bytes_in_flight
        if arrived:
            self.bytes_acknowledged += arrived
            _call(self._acknowledged_listeners)

    def set_round_trip(self, round_trip: float) -> None:
        """How long it is, as far as is known by now: seconds there and back.

        A first connection that had to look up a name, or lost a packet, makes it look longer than it is.
        """
        if self.hedging.round_trip / OTHER <= round_trip <= OTHER * self.hedging.round_trip:
            return
        self.hedging.round_trip = round_trip
        if self.concurrency is not None:
            self.concurrency.start(round_trip)
            self._semaphore.serve()
            _call(self._capacity_listeners)

    def uncount(self, count: int) -> None:
        """Bytes that were acknowledged and are of no use any more."""
        self.bytes_acknowledged -= count

    def rate(self, seconds: float = RATE_SECONDS) -> float:
        """Bytes per second over the last seconds, at most `RATE_SECONDS`."""
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


def _most_telling(runs: Iterable[asyncio.Task[T]]) -> BaseException:
    """Of the errors of those that have all failed: one that trying again does not mend, else the first."""
    errors = [error for run in runs if (error := run.exception()) is not None]
    lasting = [error for error in errors if not isinstance(error, PmarepError) or error.remedy is not Remedy.RETRY]
    return (lasting or errors)[0]


async def _end(runs: Iterable[asyncio.Task[T]]) -> None:
    runs = list(runs)
    for run in runs:
        run.cancel()
    await asyncio.gather(*runs, return_exceptions=True)
