"""In which order a site takes its slides, and when it begins the next one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.clocks import FakeClock

from pmarep.engine.site.admission import FEWEST, PER_REQUEST, PREPARING, AdmissionGate
from pmarep.engine.site.ahead import OLDEST_EVERY, WINDOW, Ahead
from pmarep.retry import Retry
from pmarep.slides import Slide, SlideFile
from pmarep.uploaders import AdaptiveConcurrency, RequestScheduler, UploadBody

MIB = 1024 * 1024


def make(number: int, size: int = 10) -> Slide:
    return Slide(f"{number}.svs", "Aperio SVS", Path("/cases"), (SlideFile(f"{number}.svs", size, 5),))


async def taken(slides: list[Slide]) -> list[Slide]:
    coming = iter(slides)

    async def source() -> Slide | None:
        return next(coming, None)

    ahead = Ahead(source)
    run = asyncio.create_task(ahead.run())
    await asyncio.sleep(0)
    found: list[Slide] = []
    while (slide := await ahead.take()) is not None:
        found.append(slide)
    await run
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


async def test_takers_wait_while_there_may_be_more() -> None:
    queue: asyncio.Queue[Slide | None] = asyncio.Queue()
    ahead = Ahead(queue.get)
    run = asyncio.create_task(ahead.run())
    takers = [asyncio.create_task(ahead.take()) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(taker.done() for taker in takers)
    queue.put_nowait(make(1))
    queue.put_nowait(None)
    found = await asyncio.gather(*takers)
    assert [slide.path for slide in found if slide is not None] == ["1.svs"]
    await run


def make_scheduler(connections: int | AdaptiveConcurrency) -> RequestScheduler:
    clock = FakeClock()
    return RequestScheduler(connections, [], Retry(sleep=clock.sleep), clock)


@pytest.mark.parametrize(("connections", "at_once"), [(None, PREPARING), (1, 1), (20, 20)])
async def test_only_some_slides_are_prepared_at_once(connections: int | None, at_once: int) -> None:
    lanes = AdmissionGate(make_scheduler(connections or AdaptiveConcurrency()), connections)
    turns = [asyncio.create_task(lanes.turn()) for _ in range(lanes.number + 1)]
    await asyncio.sleep(0.01)
    assert sum(turn.done() for turn in turns) == at_once
    next(turn for turn in turns if turn.done()).result().end()
    await asyncio.sleep(0.01)
    assert sum(turn.done() for turn in turns) == at_once + 1
    for turn in turns:
        turn.cancel()


@pytest.mark.parametrize(("requests", "slides"), [(2, FEWEST), (12, PER_REQUEST * 12)])
async def test_a_server_is_not_asked_about_all_slides_at_once(requests: int, slides: int) -> None:
    """What is prepared makes room for the next, but only some are sent and verified at a time."""
    scheduler = make_scheduler(AdaptiveConcurrency(most=requests))
    scheduler.set_round_trip(0.18)
    lanes = AdmissionGate(scheduler, None)
    turns = []
    async with asyncio.timeout(10):
        for _ in range(slides):
            turns.append(await lanes.turn())
            turns[-1].over()
    waiting = asyncio.create_task(lanes.turn())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    turns[0].end()
    (await waiting).end()
    for turn in turns:
        turn.end()
    assert (lanes.preparing, lanes.in_hand) == (0, 0)


async def test_no_slide_is_begun_while_requests_wait() -> None:
    """What is announced long before its bytes can go has URLs that expire."""
    scheduler = make_scheduler(AdaptiveConcurrency())
    lanes = AdmissionGate(scheduler, None)
    go = asyncio.Event()

    async def send(body: UploadBody) -> None:
        await go.wait()

    work = [asyncio.create_task(scheduler.run(send, 8 * MIB)) for _ in range(3 * scheduler.limit)]
    await asyncio.sleep(0)
    assert scheduler.waiting == 2 * scheduler.limit
    turn = asyncio.create_task(lanes.turn())
    await asyncio.sleep(0.01)
    assert not turn.done()
    go.set()
    await asyncio.gather(*work)
    (await turn).over()
    assert lanes.preparing == 0
