"""The order in which a site takes its slides."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.clocks import FakeClock, turns
from support.slides import make_slide

from pmarep.engine.site.queue import OLDEST_EVERY, WINDOW, WINDOW_FILES, SlideQueue
from pmarep.engine.slide.job import SlideJob
from pmarep.slides import Slide, SlideFile

MIB = 1024 * 1024


def make(number: int, size: int = 10) -> Slide:
    return make_slide(f"{number}.svs", size)


async def fill(queue: SlideQueue, slides: list[Slide]) -> None:
    for slide in slides:
        await queue.put(slide)
    queue.close()


async def filled(*slides: Slide, clock: FakeClock | None = None) -> SlideQueue:
    queue = SlideQueue(clock or FakeClock())
    await fill(queue, list(slides))
    return queue


async def take(queue: SlideQueue, *, new_first: bool = False) -> SlideJob:
    job = await queue.get(new_first=new_first)
    assert job is not None
    return job


async def taken(slides: list[Slide]) -> list[Slide]:
    queue = SlideQueue(FakeClock())
    putting = asyncio.create_task(fill(queue, slides))
    await asyncio.sleep(0)
    found: list[Slide] = []
    while (job := await queue.get()) is not None:
        found.append(job.slide)
        queue.done(job)
        await asyncio.sleep(0)  # the window fills again
    await putting
    return found


async def test_the_largest_slide_is_first_and_now_and_then_the_oldest() -> None:
    slides = [make(number, 1 + number * 7 % 20) for number in range(20)]
    sizes = [slide.size for slide in await taken(slides)]
    oldest = sizes.pop(OLDEST_EVERY - 1)
    assert oldest == 1
    assert sizes == [*range(20, 1, -1)]


async def test_many_small_files_are_kept_for_the_end() -> None:
    mirax = Slide("mirax.mrxs", "MIRAX", Path("/cases"), tuple(SlideFile(f"{n}.dat", 4 * MIB, 5) for n in range(50)))
    large, small = make(1, 300 * MIB), make(2, 40 * MIB)
    assert await taken([mirax, small, large]) == [large, small, mirax]


async def test_slides_of_tiny_files_are_not_kept_for_the_end() -> None:
    """Each of their requests is a round trip, which costs nothing while others fill the line."""
    series = Slide("1.dcm", "DICOM", Path("/cases"), tuple(SlideFile(f"{n}.dcm", 50_000, 5) for n in range(2000)))
    slides = [make(1, 40 * MIB), series, make(2, 300 * MIB)]
    assert await taken(slides) == [slides[2], slides[1], slides[0]]


async def test_equal_slides_keep_their_order() -> None:
    slides = [make(number) for number in range(3 * WINDOW)]
    assert await taken(slides) == slides


async def test_none_is_lost_and_none_waits_for_ever() -> None:
    """A small one among thousands that are larger."""
    slides = [make(0, 1), *(make(number, 100 + number) for number in range(1, 3000))]
    found = await taken(slides)
    assert sorted(slide.path for slide in found) == sorted(slide.path for slide in slides)
    for place, slide in enumerate(found):
        assert place <= int(slide.path.removesuffix(".svs")) * OLDEST_EVERY + OLDEST_EVERY * WINDOW


async def test_the_window_bounds_slides_and_files() -> None:
    queue = SlideQueue(FakeClock())
    for number in range(WINDOW):
        await queue.put(make(number))
    one_more = asyncio.create_task(queue.put(make(WINDOW)))
    await turns()
    assert not one_more.done()
    await take(queue)
    await one_more
    few = SlideQueue(FakeClock())
    many_files = tuple(SlideFile(f"{number}.dat", 1, 5) for number in range(WINDOW_FILES))
    await few.put(Slide("m.mrxs", "MIRAX", Path("/cases"), many_files))
    second = asyncio.create_task(few.put(make(1)))
    await turns()
    assert not second.done()
    second.cancel()


async def test_failed_slides_that_are_due_go_before_new_ones() -> None:
    clock = FakeClock()
    queue = await filled(make(1), make(2), make(3), clock=clock)
    first = await take(queue)
    first.due = 10.0
    queue.put_back(first)
    assert (await take(queue)).slide.path == "2.svs"  # the first is not due yet: it holds up nobody
    clock.now = 10.0
    assert await take(queue) is first
    assert (await take(queue)).slide.path == "3.svs"


async def test_new_ones_first_where_the_failed_ones_prove_nothing() -> None:
    queue = await filled(make(1), make(2))
    first = await take(queue)
    queue.put_back(first)
    assert (await take(queue, new_first=True)).slide.path == "2.svs"
    assert await take(queue, new_first=True) is first


async def test_get_waits_for_what_is_due_later_and_for_new_ones() -> None:
    clock, queue = FakeClock(), SlideQueue(FakeClock())
    queue = SlideQueue(clock)
    await queue.put(make(1))
    first = await take(queue)
    first.due = 30.0
    queue.put_back(first)
    waiting = asyncio.create_task(take(queue))
    await turns()
    assert not waiting.done()
    await queue.put(make(2))
    queue.close()
    assert (await waiting).slide.path == "2.svs"
    last = asyncio.create_task(take(queue))
    assert await clock.run(last) == pytest.approx(30)
    assert last.result() is first


async def test_the_end_is_when_nothing_can_come_back() -> None:
    queue = await filled(make(1))
    job = await take(queue)
    assert queue.exhausted
    end = asyncio.create_task(queue.get())
    await turns()
    assert not end.done()  # the attempt may fail
    queue.put_back(job)
    assert await end is job
    end = asyncio.create_task(queue.get())
    queue.done(job)
    assert await end is None


async def test_jobs_that_are_held_make_room_for_others_and_a_window_full_of_them_does_not() -> None:
    clock, slides = FakeClock(), [make(number) for number in range(WINDOW + 10)]
    queue = SlideQueue(clock)
    putting = asyncio.create_task(fill(queue, slides))
    held = []
    for _ in range(WINDOW):
        held.append(await take(queue))
        queue.hold(held[-1], 1.0)
    await putting
    again = asyncio.create_task(take(queue))
    await turns()
    assert not again.done()
    assert await clock.run(again) == pytest.approx(1.0)
    assert again.result() is held[0]


async def test_draining_returns_jobs_that_were_taken_and_not_done() -> None:
    queue = await filled(make(1), make(2), make(3))
    first, second, third = [await take(queue) for _ in range(3)]
    queue.put_back(first)
    queue.done(third)
    assert set(queue.drain()) == {first, second}
    assert await queue.get() is None
