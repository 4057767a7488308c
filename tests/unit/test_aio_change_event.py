from __future__ import annotations

import asyncio

from pmarep.aio import ChangeEvent


async def test_notify_wakes_all_who_wait_once() -> None:
    event = ChangeEvent()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    event.notify()
    await asyncio.wait_for(asyncio.gather(*waiting), 60)
    later = asyncio.create_task(event.wait())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not later.done()
    event.notify()
    await asyncio.wait_for(later, 60)


async def test_a_notification_before_the_task_has_begun_is_not_missed() -> None:
    """As in `asyncio.wait([ensure_future(event.wait())])`: it begins only after others had their turn."""
    event = ChangeEvent()
    waiting = event.wait()
    event.notify()
    await asyncio.wait_for(waiting, 60)
