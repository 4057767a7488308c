from __future__ import annotations

import asyncio

from pmarep.engine.bell import Bell


async def test_all_who_wait_hear_each_ring_once() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait()) for _ in range(3)]
    bell.ring()
    await asyncio.wait_for(asyncio.gather(*waiting), 10)
    later = asyncio.create_task(bell.wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not later.done()
    bell.ring()
    await asyncio.wait_for(later, 10)


async def test_a_ring_before_the_task_has_begun_is_not_missed() -> None:
    """As in `asyncio.wait([ensure_future(bell.wait())])`: it begins only after others had their turn."""
    bell = Bell()
    waiting = bell.wait()
    bell.ring()
    await asyncio.wait_for(waiting, 10)
