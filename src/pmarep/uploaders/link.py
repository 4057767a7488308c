"""The road to one site: how many requests at once, how fast, how often tried again, and what has arrived over it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from ..clock import Clock
from ..errors import PmarepError, Remedy
from ..pmacore import ServerError
from ..retry import Retry
from .controller import Controller
from .delivery import Contest, Delivery, Race
from .finish import Finish
from .pacer import Pacer
from .slots import Slots
from .stake import BUFFERED, LOOK, Stake

log = logging.getLogger(__name__)

T = TypeVar("T")

RATE_SECONDS = 5.0

OTHER = 2  # times longer or shorter: less is no other way

DOWN = 6
"""Requests in a row that the server has failed at: then each of the next ones is tried once, and not five times."""

STALLED = 1.0  # seconds after which somebody looks although nothing moves


class Link:
    """All requests with slide bytes to one site go through here. `connections`: a number, or who finds it."""

    def __init__(self, connections: int | Controller, pacers: Sequence[Pacer], retry: Retry, clock: Clock) -> None:
        self.controller = None if isinstance(connections, int) else connections
        self._fixed = connections if isinstance(connections, int) else 0
        self._slots = Slots(self._may_be, lambda size: self.finish.keeps(size), lambda: self.whole)
        self._stake = None if self.controller is None else Stake(clock, self.controller, lambda: self.carried)
        self.whole = False  # whether there are requests that no later run can take up in the middle
        self._told = 0  # bytes that the controller has heard of
        self._served_at = float("-inf")
        self._pacers = pacers
        self._retry = retry
        self.clock = clock
        self._moved: deque[tuple[float, int]] = deque()
        self._flying: set[Contest] = set()
        self.finish = Finish(clock, self._few, lambda: self._flying, self.rate)
        self.connections = 0  # requests in flight
        self._failures = 0  # of the server, since it last took something
        self.under_way = 0  # bytes handed to the network and not acknowledged
        self.acknowledged = 0  # bytes that the site has said it has
        self.heard: Callable[[], None] = lambda: None  # called whenever the site has acknowledged bytes
        self.relieved: Callable[[], None] = lambda: None  # called whenever a request has got its slot

    @property
    def limit(self) -> int:
        """How many requests there may be now."""
        return self._fixed if self.controller is None else self.controller.limit

    def _may_be(self, size: int) -> int:
        """The same, when the largest that waits has so many bytes."""
        if self._stake is not None:
            self._stake.look(self._slots.held, self._slots.held_bytes, size)
        return self.limit

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
        may_wait: bool = False,
        whole: bool = False,
    ) -> T:
        """Run one request of `size` bytes in a slot of its own; transient failures are tried again.

        `race` is asked when it begins. `may_wait`: for longer ones to end, see Finish. `whole`: what it has carried is
        lost when it is broken off, however much that is; see Stake. Raises PmaCoreError.
        """
        if whole and self._stake is not None:
            self.whole = True
            self._stake.comes(size)

        async def once() -> T:
            async with self._slot(size, may_wait):
                how, first = race(), Delivery(self, size)
                contest = Contest(first, how)
                self._flying.add(contest)
                try:
                    if contest.slow is None:
                        return await self._carry_out(send, first, contest)
                    return await self._race(send, first, contest, how)
                finally:
                    self._flying.discard(contest)

        return await self._retry(once, worth=lambda: self._failures < DOWN)

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
            self._failures = 0
            return result
        except PmarepError as error:
            self._failures += isinstance(error, ServerError)
            if self.controller is not None and error.remedy is Remedy.RETRY:
                self.controller.failed(self.clock.monotonic())
            raise
        finally:
            delivery.settle(arrived)

    @asynccontextmanager
    async def _slot(self, size: int, may_wait: bool) -> AsyncIterator[None]:
        async with self._slots.one(size, may_wait=may_wait):
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
            if self.whole:  # else each one that begins would look like a gain, while it fills buffers
                carried = self.carried
                count, self._told = max(carried - self._told, 0), max(carried, self._told)
            before, held = self.controller.limit, self._slots.held
            full = held >= before and not self.finish.on
            self.controller.sent(now, count, full=full, held_back=held_back, over=held > before)
            if self.controller.limit > before or self._may_find_room(now):
                self._slots.serve()

    @property
    def carried(self) -> int:
        """Bytes of this run that have left the machine, as far as that is known."""
        return self.acknowledged + sum(max(one.size - one.left - BUFFERED, 0) for one in self._flying)

    def _may_find_room(self, now: float) -> bool:
        """Whether the line may have turned out to be fast enough for one more."""
        if self._stake is None or not self._stake.open or not self.waiting or now - self._served_at < LOOK:
            return False
        self._served_at = now
        return True

    def settle(self, under_way: int, arrived: int) -> None:
        """So many bytes are not under way any more, and so many have arrived."""
        self.under_way -= under_way
        if arrived:
            self.acknowledged += arrived
            self.heard()

    def found_way(self, round_trip: float) -> None:
        """How long it is, as far as is known by now: seconds there and back.

        A first connection that had to look up a name, or lost a packet, makes it look longer than it is.
        """
        if self.finish.round_trip / OTHER <= round_trip <= OTHER * self.finish.round_trip:
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
