"""Who gets a slot next."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from pmarep.limits.request_queue import OLDEST_EVERY, SMALL, SMALL_SHARE, PrioritySemaphore

MIB = 1024 * 1024


async def order(slots: PrioritySemaphore, sizes: list[int]) -> list[int]:
    """The numbers of requests in the order in which they begin; all ask at once, each ends when the next may begin."""
    begun: list[int] = []

    async def one(number: int, size: int) -> None:
        async with slots.slot(size):
            begun.append(number)
            await asyncio.sleep(0)

    async with slots.slot(8 * MIB):
        work = [asyncio.create_task(one(number, size)) for number, size in enumerate(sizes)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*work)
    assert (slots.held, slots.waiting) == (0, 0)
    return begun


async def test_the_largest_goes_first_and_every_fourth_time_the_oldest() -> None:
    sizes = [MIB * n for n in (1, 2, 3, 4, 5, 6, 7, 8)]
    # The slot that they all wait for was the first of four.
    assert await order(PrioritySemaphore(lambda _: 1), sizes) == [7, 6, 0, 5, 4, 3, 1, 2]


async def test_equal_ones_go_as_they_came() -> None:
    assert await order(PrioritySemaphore(lambda _: 1), [8 * MIB] * 20) == list(range(20))


async def test_small_ones_do_not_wait_for_large_ones() -> None:
    assert (await order(PrioritySemaphore(lambda _: 1), [8 * MIB] * 50 + [100]))[0] == 50


@given(st.lists(st.integers(0, 8 * MIB), max_size=60), st.integers(1, 8))
def test_everybody_gets_a_slot_and_nobody_starves(sizes: list[int], limit: int) -> None:
    begun = asyncio.run(order(PrioritySemaphore(lambda _: limit), sizes))
    assert sorted(begun) == list(range(len(sizes)))
    large = [number for number, size in enumerate(sizes) if size > SMALL]
    for nth, number in enumerate(large):
        place = [one for one in begun if sizes[one] > SMALL].index(number)
        assert place <= OLDEST_EVERY * (nth + 1)


async def test_small_ones_leave_most_slots_to_large_ones() -> None:
    """A thousand files of a slide beside the parts of another one."""
    slots, most, flying = PrioritySemaphore(lambda _: 8), 0, 0

    async def one(size: int) -> None:
        nonlocal most, flying
        async with slots.slot(size):
            if size == 1:
                flying += 1
                most = max(most, flying)
            await asyncio.sleep(0)
            flying -= size == 1

    await asyncio.gather(*(one(8 * MIB) for _ in range(2000)), *(one(1) for _ in range(300)))
    assert most == 8 // SMALL_SHARE


async def test_a_cancelled_waiter_leaves_the_queue() -> None:
    slots = PrioritySemaphore(lambda _: 1)

    async def one() -> None:
        async with slots.slot(MIB):
            pass

    async with slots.slot(MIB):
        waiting = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
    waiting[0].cancel()  # has just been given the slot
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [task.cancelled() for task in waiting] == [True, True, False]
    assert (slots.held, slots.waiting) == (0, 0)


async def test_a_limit_that_grows_lets_more_in() -> None:
    limit = 1
    slots = PrioritySemaphore(lambda _: limit)
    inside = asyncio.Event()

    async def one() -> None:
        async with slots.slot(MIB):
            await inside.wait()

    work = [asyncio.create_task(one()) for _ in range(5)]
    await asyncio.sleep(0)
    assert slots.held == 1
    limit = 4
    slots.grant()
    assert slots.held == 4
    inside.set()
    await asyncio.gather(*work)


async def test_a_waiter_cancelled_as_a_slot_comes_free_takes_none() -> None:
    """Its task has been cancelled and has not run since."""
    slots = PrioritySemaphore(lambda _: 1)
    async with slots.slot(MIB):
        waiting = [asyncio.create_task(hold(slots, size)) for size in (5 * MIB, 1, 4 * MIB)]
        await asyncio.sleep(0)
        for task in waiting[:2]:
            task.cancel()
    await waiting[2]
    assert [task.cancelled() for task in waiting] == [True, True, False]
    assert (slots.held, slots.waiting) == (0, 0)


async def hold(slots: PrioritySemaphore, size: int) -> None:
    async with slots.slot(size):
        pass
