"""How many whole files go at once, over lines that exist in this file only, and what a kill would cost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.clocks import FakeClock

from pmarep.aio import ChangeEvent
from pmarep.limits import AdaptiveConcurrency
from pmarep.retry import Retry
from pmarep.uploaders import RequestScheduler, UploadBody
from pmarep.uploaders.transport.body import LARGEST_PIECE
from pmarep.uploaders.transport.unresumable import LITTLE, SECONDS

MB = 1_000_000
STEP = 1.0  # seconds between two looks
TICK = 0.2  # seconds in which a line carries what it can
BUFFER = 128 * 1024  # bytes that the system takes ahead of what a stream has carried


@dataclass
class SimulatedLink:
    """A line of `capacity` bytes per second, of which one stream gets `stream` at most."""

    capacity: float
    stream: float
    round_trip: float = 0.18
    whole: bool = True
    clock: FakeClock = field(default_factory=FakeClock)
    samples: list[tuple[int, int]] = field(default_factory=list)  # each second: requests, bytes that a kill would cost
    done: list[tuple[float, int]] = field(default_factory=list)  # when each file was complete, and its bytes
    _in_flight: dict[UploadBody, float] = field(default_factory=dict)  # bytes of each that the system has taken
    _moved: ChangeEvent = field(default_factory=ChangeEvent)

    async def send(self, sizes: Sequence[int], seconds: float | None = None) -> float:
        """All files at once, until they are there or so many seconds are over; how long it took."""
        self.scheduler = scheduler = RequestScheduler(
            AdaptiveConcurrency(), [], Retry(sleep=self.clock.sleep), self.clock
        )
        scheduler.set_round_trip(self.round_trip)
        work = asyncio.gather(*(self._one(scheduler, size) for size in sizes))
        until = asyncio.ensure_future(self.clock.sleep(seconds if seconds is not None else 1e9))
        watch = asyncio.gather(self._watch(scheduler), self._carry())
        both: set[asyncio.Future[Any]] = {work, until}
        either = asyncio.ensure_future(asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED))
        took = await self.clock.run(either)
        watch.cancel()
        work.cancel()
        await asyncio.gather(work, watch, return_exceptions=True)
        return took

    async def _one(self, scheduler: RequestScheduler, size: int) -> None:
        async with scheduler.attempt(scheduler.attempts(size, resumable=not self.whole), size) as body:
            async for piece in body.stream(self._chunks(size)):
                self._in_flight[body] = self._in_flight.get(body, 0.0) + len(piece)
                await self._carried(body, BUFFER)
            await self._carried(body, 0)
            del self._in_flight[body]
        self.done.append((self.clock.now, size))

    async def _carried(self, body: UploadBody, but: int) -> None:
        while self._in_flight[body] > but:
            await self._moved.wait()

    async def _carry(self) -> None:
        while True:
            await self.clock.sleep(TICK)
            share = TICK * min(self.stream, self.capacity / max(len(self._in_flight), 1))
            for body in self._in_flight:
                self._in_flight[body] = max(self._in_flight[body] - share, 0.0)
            self._moved.notify()

    async def _chunks(self, size: int) -> AsyncGenerator[bytes, None]:
        for start in range(0, size, 4 * LARGEST_PIECE):
            yield bytes(min(4 * LARGEST_PIECE, size - start))

    async def _watch(self, scheduler: RequestScheduler) -> None:
        while True:
            await self.clock.sleep(STEP)
            self.samples.append((scheduler.connections, scheduler.bytes_in_flight))

    def arrived(self, by: float) -> int:
        return sum(size for at, size in self.done if at <= by)


def mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


@pytest.mark.parametrize("stream", [0.5, 1.0])
async def test_on_a_slow_line_one_file_after_the_other_arrives(stream: float) -> None:
    """0.5 MB/s and files of 20 MB, after four and a half minutes: with all at once, nothing would be there."""
    line = SimulatedLink(0.5 * MB, stream * MB)
    await line.send([20 * MB] * 23, 270)
    assert line.arrived(270) >= 270 * 0.5 * MB - 3 * 20 * MB
    assert max(count for count, _ in line.samples) <= 4
    assert mean([lost for _, lost in line.samples]) <= 2 * 20 * MB


async def test_a_slow_line_stays_full_with_few() -> None:
    """Three streams fill it: as many go, and hardly ever more."""
    line = SimulatedLink(0.9 * MB, 0.3 * MB)
    await line.send([200 * MB] * 24, 600)
    assert line.scheduler.bytes_acknowledged + line.samples[-1][1] >= 0.93 * 600 * line.capacity
    assert mean([count for count, _ in line.samples]) <= 4
    assert max(count for count, _ in line.samples) <= 5


async def test_a_fast_long_line_is_full_as_soon_as_ever() -> None:
    """25 MB/s by streams of 1 MB/s: files of 40 MB are no stake."""
    usual, careful = SimulatedLink(25 * MB, MB, whole=False), SimulatedLink(25 * MB, MB)
    before, now = await usual.send([40 * MB] * 28), await careful.send([40 * MB] * 28)
    assert now <= before + 8
    assert max(count for count, _ in careful.samples[:10]) >= 20


async def test_files_of_gigabytes_fill_a_fast_long_line_too() -> None:
    line = SimulatedLink(25 * MB, MB)
    await line.send([2000 * MB] * 40, 90)
    assert min(count for count, _ in line.samples[75:]) >= 20


async def test_bytes_in_flight_are_bounded_by_time_or_by_a_few_files() -> None:
    """Whatever the sizes, on a line that one stream fills."""
    for size, capacity in itertools.product((5 * MB, 30 * MB, 300 * MB), (0.2 * MB, 2 * MB)):
        line = SimulatedLink(capacity, capacity, 0.05)
        await line.send([size] * 60, 60)
        bound = max(1.3 * SECONDS * capacity, LITTLE, 2 * size) + size
        assert max(lost for _, lost in line.samples) <= bound, (size, capacity)


async def test_many_small_files_go_at_once_from_the_beginning() -> None:
    line = SimulatedLink(25 * MB, MB)
    await line.send([100_000] * 1000, 1.9)
    assert max(count for count, _ in line.samples) >= 20


async def test_the_limit_found_with_small_files_does_not_hold_for_large_ones() -> None:
    line = SimulatedLink(MB, MB)
    work = line.send([MB] * 60)
    await work
    assert max(count for count, _ in line.samples) >= 8
    line.samples.clear()
    sizes = [400 * MB] * 10
    waiting = asyncio.gather(*(line._one(line.scheduler, size) for size in sizes))
    watch = asyncio.gather(line._watch(line.scheduler), line._carry())
    until = asyncio.ensure_future(line.clock.sleep(300))
    await line.clock.run(until)
    watch.cancel()
    waiting.cancel()
    await asyncio.gather(waiting, watch, return_exceptions=True)
    assert max(count for count, _ in line.samples) <= 2


async def test_a_small_file_does_not_wait_for_a_large_one() -> None:
    line = SimulatedLink(0.5 * MB, 0.5 * MB)
    await line.send([300 * MB, 300 * MB, 1000, 1000], 60)
    assert [size for _, size in line.done] == [1000, 1000]
