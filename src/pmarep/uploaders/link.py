"""The road to one site: how many requests at once, how fast, how often tried again, and what has arrived over it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any, TypeVar

from ..errors import PmarepError, Remedy
from ..retry import Retry
from .controller import Controller
from .finish import Finish
from .pacer import Clock, Pacer
from .slots import Slots

log = logging.getLogger(__name__)

T = TypeVar("T")

RATE_SECONDS = 5.0

SMALLEST_PIECE, LARGEST_PIECE = 16 * 1024, 256 * 1024  # bytes given to a socket at once
SLOW_PIECE, FAST_PIECE = 0.5, 0.02
"""Seconds that one takes, after which the next are smaller or larger: what a socket does not take at once lies in
memory, and on a long way there are many sockets."""


PACE_SECONDS = 4.0
"""What a request's pace is judged by: about the last seconds in which it moved ..."""

PACE_AFTER = 512 * 1024
"""... and no earlier than after so many bytes, since the first ones only fill buffers ..."""

YOUNG_SECONDS = 2.0
"""... or after so long: one that has not sent that many by then is slow."""


MOST_DELIVERIES = 3
"""Deliveries of one request. A loss in its first second can make each of them slow, but hardly all."""

FARTHER = 2  # times: less is no other way

STALLED = 1.0  # seconds after which somebody looks although nothing moves


class Race(Enum):
    """Whether the site takes a request twice at the same time."""

    NEVER = auto()
    FREELY = auto()  # and what comes later makes no difference
    CAREFULLY = auto()  # and what comes last counts: none may come after the end, and all have to be answered the same


class Delivery:
    """The bytes of one request. They count as under way until the site has acknowledged the request.

    `anew`: it goes over another connection than those of before.
    """

    def __init__(self, link: Link, size: int, *, anew: bool = False) -> None:
        self._link = link
        self.size = size
        self.anew = anew
        self._bytes = 0
        self.may_arrive = size == 0  # all of it, even if it is broken off or fails
        self._began: float | None = None
        self._waits_since: float | None = None  # with a piece that the network has not taken yet
        self._pace_bytes, self._pace_seconds = 0.0, 0.0

    @property
    def left(self) -> int:
        """Bytes that are not sent yet."""
        return self.size - self._bytes

    @property
    def seconds(self) -> float | None:
        """How long it takes from here at its pace; None as long as nobody knows that."""
        if self._began is None:
            return None
        now = self._link.clock.monotonic()
        if self._bytes >= PACE_AFTER and self._pace_seconds >= 1:
            waits = 0.0 if self._waits_since is None else now - self._waits_since
            return self.left * (self._pace_seconds + waits) / self._pace_bytes
        age = now - self._began
        return None if age < YOUNG_SECONDS else self.left * age / max(self._bytes, 1)

    def _moved(self, count: int, seconds: float) -> None:
        self._bytes += count
        if self._bytes < PACE_AFTER:
            return
        self._pace_bytes += count
        self._pace_seconds += seconds
        if self._pace_seconds > PACE_SECONDS:
            self._pace_bytes /= 2
            self._pace_seconds /= 2

    async def carry(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass source bytes on at the pace of the link, and count them.

        The socket's time-out is for one piece. On a slow line pieces get smaller, so that it strikes where nothing
        moves, and never where it only takes long.
        """
        clock, size, took = self._link.clock, LARGEST_PIECE, 0.0
        self._began = clock.monotonic()
        async for chunk in chunks:
            start = 0
            while start < len(chunk):
                async for piece, held_back in self._link.paced(chunk[start : start + size]):
                    self._waits_since = began = clock.monotonic()
                    self.may_arrive = self._bytes + len(piece) >= self.size
                    yield piece
                    self._waits_since = None
                    took = clock.monotonic() - began
                    self._moved(len(piece), took)
                    self._link.note_moved(len(piece), held_back, again=self.anew)
                start += size
                if took > SLOW_PIECE:
                    size = max(size // 2, SMALLEST_PIECE)
                elif took < FAST_PIECE:
                    size = min(size * 2, LARGEST_PIECE)
            del chunk  # while it waits, it holds nothing in memory

    def settle(self, arrived: bool) -> None:
        self._link.settle(0 if self.anew else self._bytes, self._bytes if arrived else 0)
        self._bytes = 0


class Contest:
    """One request, by one delivery or by several that race."""

    def __init__(self, first: Delivery, how: Race) -> None:
        self._deliveries = [first]
        self._how = how
        self.size = first.size
        self.arrived = False
        self.slow: asyncio.Future[None] | None = None
        self._wait_for_help()

    def join(self, delivery: Delivery) -> None:
        self._deliveries.append(delivery)
        self._wait_for_help()

    def _wait_for_help(self) -> None:
        # One of a single piece may arrive as soon as it has begun.
        worth_it = self._how is not Race.NEVER and self.size > LARGEST_PIECE
        more = worth_it and len(self._deliveries) < MOST_DELIVERIES
        self.slow = asyncio.get_running_loop().create_future() if more else None

    @property
    def left(self) -> int:
        return min(delivery.left for delivery in self._deliveries)

    @property
    def seconds(self) -> float | None:
        each = [seconds for delivery in self._deliveries if (seconds := delivery.seconds) is not None]
        return min(each) if len(each) == len(self._deliveries) else None


class Link:
    """All requests with slide bytes to one site go through here. `connections`: a number, or who finds it."""

    def __init__(self, connections: int | Controller, pacers: Sequence[Pacer], retry: Retry, clock: Clock) -> None:
        self.controller = None if isinstance(connections, int) else connections
        self._fixed = connections if isinstance(connections, int) else 0
        self._slots = Slots(lambda: self.limit)
        self._pacers = pacers
        self._retry = retry
        self.clock = clock
        self._moved: deque[tuple[float, int]] = deque()
        self._flying: set[Contest] = set()
        self.finish = Finish(clock, self._few, lambda: self._flying, self.rate)
        self.connections = 0  # requests in flight
        self.under_way = 0  # bytes handed to the network and not acknowledged
        self.acknowledged = 0  # bytes that the site has said it has
        self.heard: Callable[[], None] = lambda: None  # called whenever the site has acknowledged bytes
        self.relieved: Callable[[], None] = lambda: None  # called whenever a request has got its slot

    @property
    def limit(self) -> int:
        """How many requests there may be now."""
        return self._fixed if self.controller is None else self.controller.limit

    @property
    def waiting(self) -> int:
        """Requests without a slot."""
        return self._slots.waiting

    def _few(self) -> int:
        """Fewer requests than these fill no line."""
        return max(2, self.limit * 2 // 3)

    def ending(self, so: bool) -> None:
        """Whether nothing more comes than the requests that are here."""
        limited = any(pacer.limit is not None for pacer in self._pacers)
        self.finish.on = so and self.controller is not None and self.controller.far and not limited

    async def deliver(
        self,
        send: Callable[[Delivery], Awaitable[T]],
        size: int = 0,
        *,
        race: Callable[[], Race] = lambda: Race.NEVER,
    ) -> T:
        """Run one request of `size` bytes in a slot of its own; transient failures are tried again.

        `race` is asked when it begins. Raises PmaCoreError.
        """

        async def once() -> T:
            async with self._slot(size):
                how, first = race(), Delivery(self, size)
                contest = Contest(first, how)
                self._flying.add(contest)
                try:
                    if contest.slow is None:
                        return await self._carry_out(send, first, contest)
                    return await self._race(send, first, contest, how)
                finally:
                    self._flying.discard(contest)

        return await self._retry(once)

    async def _race(self, send: Callable[[Delivery], Awaitable[T]], first: Delivery, contest: Contest, how: Race) -> T:
        """Where it is slow at the end of all, another goes over a new connection; the first there counts."""
        runs: dict[asyncio.Task[T], Delivery] = {}

        def begin(delivery: Delivery) -> None:
            runs[asyncio.create_task(self._carry_out(send, delivery, contest))] = delivery

        try:
            begin(first)
            while not (arrived := _arrived(runs)):
                running: set[asyncio.Future[Any]] = {run for run in runs if not run.done()}
                if not running:
                    raise _most_telling(runs)
                wake = running if contest.slow is None else {*running, contest.slow}
                await asyncio.wait(wake, timeout=STALLED, return_when=asyncio.FIRST_COMPLETED)
                self.finish.look()
                if contest.slow is not None and contest.slow.done():
                    log.debug("%d bytes are sent once more, over another connection", first.size)
                    another = Delivery(self, first.size, anew=True)
                    begin(another)
                    contest.join(another)
            if how is Race.CAREFULLY and not await self._agree(runs):
                # The site keeps the one that came last, and nobody here knows which: as if none had arrived.
                self.forget(first.size)
                contest.arrived = False
                return await self._carry_out(send, Delivery(self, first.size, anew=True), contest)
            return arrived[0].result()
        finally:
            await _end(runs)

    async def _agree(self, runs: dict[asyncio.Task[T], Delivery]) -> bool:
        """When nothing can arrive any more: whether all that may have arrived were answered the same."""
        await _end([run for run, delivery in runs.items() if not run.done() and not delivery.may_arrive])
        there = [run for run, delivery in runs.items() if delivery.may_arrive or run in _arrived(runs)]
        await asyncio.wait(there)
        arrived = _arrived(there)
        return len(arrived) == len(there) and all(run.result() == arrived[0].result() for run in arrived)

    async def _carry_out(self, send: Callable[[Delivery], Awaitable[T]], delivery: Delivery, contest: Contest) -> T:
        arrived = False
        try:
            result = await send(delivery)
            arrived, contest.arrived = not contest.arrived, True
            return result
        except PmarepError as error:
            if self.controller is not None and error.remedy is Remedy.RETRY:
                self.controller.failed(self.clock.monotonic())
            raise
        finally:
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

    def note_moved(self, count: int, held_back: bool = False, *, again: bool = False) -> None:
        """The network has taken bytes. `again`: they are under way already, over another connection."""
        now = self.clock.monotonic()
        self.under_way += 0 if again else count
        self._moved.append((now, count))
        self.finish.look()
        if self.controller is not None:
            before, held = self.controller.limit, self._slots.held
            full = held >= before and not self.finish.on
            self.controller.sent(now, count, full=full, held_back=held_back, over=held > before)
            if self.controller.limit > before:
                self._slots.serve()

    def settle(self, under_way: int, arrived: int) -> None:
        """So many bytes are not under way any more, and so many have arrived."""
        self.under_way -= under_way
        if arrived:
            self.acknowledged += arrived
            self.heard()

    def found_way(self, round_trip: float) -> None:
        """To PMA.core, or to its storage, which may be far from it: seconds there and back. The longer one counts."""
        if round_trip <= FARTHER * self.finish.round_trip:
            return
        self.finish.round_trip = round_trip
        if self.controller is not None:
            self.controller.start(round_trip)
            self._slots.serve()
            self.relieved()

    def forget(self, count: int) -> None:
        """Bytes that were acknowledged and are of no use any more."""
        self.acknowledged -= count

    def rate(self, seconds: float = RATE_SECONDS) -> float:
        """Bytes per second over the last seconds, at most `RATE_SECONDS`."""
        now = self.clock.monotonic()
        while self._moved and self._moved[0][0] < now - RATE_SECONDS:
            self._moved.popleft()
        if not self._moved:
            return 0.0
        moved = [(at, count) for at, count in self._moved if at >= now - seconds]
        return sum(count for _, count in moved) / max(now - moved[0][0], 0.5) if moved else 0.0


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
