"""The order in which a site takes slides up, and how long one that fails is tried."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.clocks import FakeClock

from pmarep.engine.site.queue import FRUITLESS_ATTEMPTS, SLIDES_SHARE, SlideJob, SlideQueue
from pmarep.slides import Slide, SlideFile

PATIENCE = 600.0


def slide(name: str) -> Slide:
    return Slide(name, "Aperio SVS", Path(), (SlideFile(name, 1, 1),))


class Source:
    """Slides that come one by one, when the test says so; None ends it."""

    def __init__(self, *names: str | None) -> None:
        self._queue: asyncio.Queue[Slide | None] = asyncio.Queue()
        self.give(*names)

    def give(self, *names: str | None) -> None:
        for name in names:
            self._queue.put_nowait(None if name is None else slide(name))

    async def take(self) -> Slide | None:
        return await self._queue.get()


async def taken(errands: SlideQueue, *, new_first: bool = False) -> SlideJob:
    errand = await errands.take(new_first=new_first)
    assert errand is not None
    return errand


async def test_one_that_is_due_goes_before_new_ones() -> None:
    clock = FakeClock()
    errands = SlideQueue(Source("a", "b", "c", None).take, clock)
    a = await taken(errands)
    a.due = 10.0
    errands.put_back(a)
    assert (await taken(errands)).slide.path == "b"  # a is not due yet: it holds up nobody
    clock.now = 10.0
    assert await taken(errands) is a
    assert (await taken(errands)).slide.path == "c"
    assert await errands.take() is None


async def test_new_ones_first_where_the_failed_ones_prove_nothing() -> None:
    errands = SlideQueue(Source("a", "b", None).take, FakeClock())
    a = await taken(errands)
    errands.put_back(a)
    assert (await taken(errands, new_first=True)).slide.path == "b"
    assert await taken(errands, new_first=True) is a


async def test_a_lane_waits_for_what_is_due_later_and_for_new_ones() -> None:
    clock, source = FakeClock(), Source("a")
    errands = SlideQueue(source.take, clock)
    a = await taken(errands)
    a.due = 30.0
    errands.put_back(a)
    waiting = [asyncio.ensure_future(taken(errands)) for _ in range(2)]
    await asyncio.sleep(0.01)
    assert not any(one.done() for one in waiting)
    source.give("b", None)
    done, rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert [one.result().slide.path for one in done] == ["b"]
    (last,) = rest
    assert await clock.run(last) == pytest.approx(30)
    assert last.result() is a
    assert await errands.take() is None
    await errands.close()


async def test_what_fails_in_the_source_comes_out() -> None:
    async def fail() -> Slide | None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        await SlideQueue(fail, FakeClock()).take()


def attempts(patience: float, *, away: bool = False, takes: float = 1.0, end: float = 10_000) -> list[float]:
    """When a slide that never comes farther is tried, each attempt taking so many seconds."""
    errand, now, found = SlideJob(slide("a"), 0.0), 0.0, []
    while now < end:
        found.append(now)
        now += takes
        if not errand.failed(0, now, away=away, patience=patience):
            break
        assert errand.due >= now
        now = errand.due
    return found


def test_a_slide_gets_its_time_and_no_storm() -> None:
    for _ in range(50):
        found = attempts(PATIENCE)
        assert PATIENCE / SLIDES_SHARE <= found[-1] <= PATIENCE / SLIDES_SHARE + 2
        assert FRUITLESS_ATTEMPTS <= len(found) <= 60
    assert len(attempts(100 * PATIENCE)) < 100 * 60 / 5  # the pauses have grown


def test_slow_attempts_are_at_least_three() -> None:
    assert len(attempts(PATIENCE, takes=500)) == FRUITLESS_ATTEMPTS


def test_without_patience_three_at_once() -> None:
    assert attempts(0, takes=0) == [0.0] * FRUITLESS_ATTEMPTS


def test_what_is_the_sites_fault_does_not_count() -> None:
    assert len(attempts(PATIENCE, away=True, end=2000)) == 2000


def test_who_comes_farther_begins_anew() -> None:
    errand = SlideJob(slide("a"), 0.0)
    for number in range(1, 100):
        assert errand.failed(number, number * 1000.0, away=False, patience=PATIENCE)
    assert [errand.failed(99, 200_000.0, away=False, patience=PATIENCE) for _ in range(3)] == [True, True, False]


def test_a_site_that_took_the_bytes_again_was_not_away() -> None:
    """Else each of its acknowledgements would begin the slide's time anew, and it would be sent for hours."""
    errand, attempts = SlideJob(slide("a"), 0.0), 1
    now = 0.0
    while errand.failed(100, now, away=True, patience=PATIENCE, sent=100):
        now, attempts = max(errand.due, now) + 10.0, attempts + 1
    assert now <= PATIENCE / SLIDES_SHARE + 20.0 + 10.0 * FRUITLESS_ATTEMPTS
    away = SlideJob(slide("b"), 0.0)
    assert all(away.failed(100, second * 60.0, away=True, patience=PATIENCE) for second in range(100))


def test_no_number_of_failures_is_too_large() -> None:
    errand = SlideJob(slide("a"), 0.0)
    assert all(errand.failed(0, 0.0, away=False, patience=1e9) for _ in range(2000))
