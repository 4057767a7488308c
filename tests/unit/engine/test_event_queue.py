"""Events for somebody who is slow: all in their order, in bounded memory."""

from __future__ import annotations

import asyncio

import pytest

from pmarep.engine import event_queue
from pmarep.engine.discovery.disk_list import DiskList
from pmarep.engine.event_queue import EventQueue
from pmarep.errors import TemporaryFileError
from pmarep.events import Event, Notice, Progress, SourceWaiting


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_queue, "IN_MEMORY", 10)


def progress() -> Progress:
    return Progress(site="a", bytes_done=0, bytes_total=0, rate=0.0, connections=1)


def numbered(first: int, last: int) -> list[Event]:
    return [SourceWaiting(slides=number, seconds=0.0) for number in range(first, last)]


async def take(queue: EventQueue, count: int) -> list[Event]:
    return [event for _ in range(count) if (event := await queue.get()) is not None]


async def test_all_come_in_their_order_and_few_are_in_memory() -> None:
    queue, given = EventQueue(), numbered(0, 1000)
    for event in given:
        queue.put(event)
        assert len(queue._ready) <= 10
    first = await take(queue, 500)
    for event in (more := numbered(1000, 1200)):
        queue.put(event)
    queue.end()
    assert [*first, *await take(queue, 10_000)] == [*given, *more]
    assert await queue.get() is None
    queue.close()


async def test_a_waiting_reader_is_woken_by_an_event_and_by_the_end() -> None:
    queue = EventQueue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.put(event := Notice(text="x"))
    assert await waiting == event
    ending = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.end()
    assert await ending is None


async def test_a_reader_that_is_far_behind_gets_no_progress_events() -> None:
    queue = EventQueue()
    for event in (*numbered(0, 10), progress(), *numbered(10, 20), progress()):
        queue.put(event)
    queue.end()
    assert [type(event) for event in await take(queue, 100)] == [SourceWaiting] * 20
    queue.close()


@pytest.mark.parametrize("method", ["__init__", "extend"])
async def test_events_that_got_lost_are_said(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Also where the file can be made, as on a full disk, and nothing be written to it."""

    def full(*_: object) -> None:
        raise TemporaryFileError("cannot keep the list of slides in /tmp: No space left on device")

    monkeypatch.setattr(DiskList, method, full)
    queue = EventQueue()
    for event in numbered(0, 12):
        queue.put(event)
    assert len(await take(queue, 10)) == 10
    with pytest.raises(TemporaryFileError, match="No space left"):
        await queue.get()
    queue.close()
