"""What an upload id that is given out again says, and what is believed afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest
from support.clocks import FakeClock

from pmarep.pmacore import AnnounceAgain, Announcement, UploadDoubtful
from pmarep.retry import Retry
from pmarep.slides import Slide, SlideFile
from pmarep.uploaders import NO_SESSION, RequestScheduler, UploadBody, UploadIdLease, UploadIds
from pmarep.uploaders.upload_ids import BACKWARDS


def slide(folder: str, size: int = 400_000) -> Slide:
    return Slide(f"{folder}/000001.svs", "Aperio SVS", Path("/"), (SlideFile("000001.svs", size, 1),))


class Server:
    """Gives ids out."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.ids = UploadIds(self.clock)
        self.scheduler = RequestScheduler(4, [], Retry(attempts=1), self.clock)
        self.last = 0

    async def announce(self, one: Slide, id: int | str | None = None) -> tuple[UploadIdLease, list[UploadIdLease]]:
        self.last = id if isinstance(id, int) else self.last + 1
        wanted = self.last if id is None else id

        async def ask() -> Announcement:
            self.clock.now += 1
            return Announcement.read({"Id": wanted}, "x")

        _, held, suspects = await self.ids.announce(one, ask)
        held.session = 1
        return held, suspects

    def body(self, *, all_sent: bool) -> UploadBody:
        return UploadBody(self.scheduler, 0 if all_sent else 10)

    async def post(
        self, held: UploadIdLease, *, all_sent: bool = False, until: Callable[[], bool] = lambda: True
    ) -> None:
        async with held.posting(self.body(all_sent=all_sent), self.clock):
            self.clock.now += 1
            while not until():
                await asyncio.sleep(0)


async def test_ids_that_rise_in_jumps_put_nothing_in_doubt() -> None:
    server = Server()
    held = [(await server.announce(slide(f"{number}"), number))[0] for number in (3, 4, 90, 91, 2000)]
    for one in held:
        await server.post(one)
        assert one.is_confirmed(1)


async def test_an_id_given_again_ends_what_hangs_on_the_first() -> None:
    server = Server()
    first, _ = await server.announce(slide("a"))
    begun = asyncio.create_task(server.post(first, until=lambda: False))
    await asyncio.sleep(0)
    second, suspects = await server.announce(slide("b"), 1)
    with pytest.raises(AnnounceAgain):
        await begun
    with pytest.raises(AnnounceAgain):
        await server.post(first)
    assert not first.is_confirmed(1)
    await server.post(second)
    assert (second.is_confirmed(1), second.late_requests, suspects) == (True, [], [])


async def test_a_request_that_has_been_sent_wholly_is_waited_for() -> None:
    """Its bytes come to lie in the second slide's place."""
    server = Server()
    first, _ = await server.announce(slide("a"))
    arrived = False
    begun = asyncio.create_task(server.post(first, all_sent=True, until=lambda: arrived))
    await asyncio.sleep(0)
    second, _ = await server.announce(slide("b"), 1)
    (stray,) = second.late_requests
    assert not stray.done()
    arrived = True
    with pytest.raises(AnnounceAgain):
        await begun
    assert stray.done()


async def test_what_was_acknowledged_before_the_second_was_asked_for_stays_good() -> None:
    server = Server()
    first, _ = await server.announce(slide("a"))
    await server.post(first)
    server.clock.now += 1
    await server.announce(slide("b"), 1)
    first.check()
    assert not first.is_confirmed(1)  # what the server says of this id is about the other


async def test_a_slide_that_ended_meanwhile_is_suspect_where_its_file_may_be_the_others() -> None:
    server = Server()
    for size, suspected in ((400_000, True), (5, False)):
        first, _ = await server.announce(slide("a"), server.last + 1)
        id = server.last
        late = asyncio.Event()

        async def ask(late: asyncio.Event = late, id: int = id) -> Announcement:
            await late.wait()
            return Announcement.read({"Id": id}, "x")

        second = asyncio.create_task(server.ids.announce(slide("b", size), ask))
        await asyncio.sleep(0)
        await server.post(first)
        server.ids.done(first)
        server.ids.release(first)
        late.set()
        _, held, suspects = await second
        assert suspects == ([first] if suspected else [])
        server.ids.release(held)


async def test_an_upload_that_ended_before_the_announcement_is_not_taken_back() -> None:
    server = Server()
    first, _ = await server.announce(slide("a"))
    await server.post(first)
    server.ids.done(first)
    assert (await server.announce(slide("b"), 1))[1] == []


async def test_a_slide_that_was_never_reported_to_be_there_is_none() -> None:
    """Nothing can be taken back of it: it has failed, or is announced anew."""
    server = Server()
    first, _ = await server.announce(slide("a"))
    late = asyncio.Event()

    async def ask() -> Announcement:
        await late.wait()
        return Announcement.read({"Id": 1}, "x")

    second = asyncio.create_task(server.ids.announce(slide("b"), ask))
    await asyncio.sleep(0)
    await server.post(first)
    server.ids.release(first)
    late.set()
    _, _, suspects = await second
    assert suspects == []


async def test_a_lower_id_puts_all_others_in_doubt() -> None:
    server = Server()
    first, _ = await server.announce(slide("a"), 17)
    second, _ = await server.announce(slide("b"), 3)
    assert (first.session, second.session) == (NO_SESSION, 1)
    with pytest.raises(UploadDoubtful):
        await server.post(first)
    third, _ = await server.announce(slide("c"), 4)  # which is no further doubt
    assert (second.session, third.session) == (1, 1)


async def test_answers_that_come_in_another_order_are_no_doubt() -> None:
    server = Server()
    gates = {number: asyncio.Event() for number in (1, 2, 3)}

    async def announced(number: int) -> UploadIdLease:
        async def ask() -> Announcement:
            await gates[number].wait()
            return Announcement.read({"Id": number}, "x")

        held = (await server.ids.announce(slide(str(number)), ask))[1]
        held.session = 1
        return held

    tasks = {number: asyncio.create_task(announced(number)) for number in gates}
    for number in (3, 1, 2):
        await asyncio.sleep(0)
        gates[number].set()
        await tasks[number]
    assert all(task.result().session == 1 for task in tasks.values())


async def test_ids_without_an_order_are_no_doubt_for_long() -> None:
    server = Server()
    for number in range(BACKWARDS):
        await server.announce(slide(f"{number}"), 1000 - number)
    last, _ = await server.announce(slide("x"), 500)
    await server.announce(slide("y"), 400)
    assert last.session == 1


async def test_ids_that_are_no_numbers() -> None:
    server = Server()
    first, _ = await server.announce(slide("a"), "7f3c-b")
    second, _ = await server.announce(slide("b"), "1a00-c")
    assert (first.session, second.session) == (1, 1)
    await server.announce(slide("c"), "7f3c-b")
    assert (first.is_confirmed(1), second.session) == (False, NO_SESSION)


async def test_an_earlier_runs_id_that_has_been_given_to_another() -> None:
    server = Server()
    held, _ = await server.announce(slide("a"))
    assert not server.ids.hold(UploadIdLease("1", slide("b")))
    server.ids.release(held)
    assert server.ids.hold(UploadIdLease("1", slide("b")))


async def test_being_stopped_is_no_doubt() -> None:
    """Ctrl-C, or the failure of another file of the slide."""
    server = Server()
    held, _ = await server.announce(slide("a"))
    begun = asyncio.create_task(server.post(held, until=lambda: False))
    await asyncio.sleep(0)
    begun.cancel()
    with pytest.raises(asyncio.CancelledError):
        await begun
    await server.post(held)


async def test_a_request_that_goes_again_may_have_arrived_the_first_time() -> None:
    """A connection that was closed at its end: it is sent once more at once, and may have been handled before."""
    server = Server()
    first, _ = await server.announce(slide("a"))
    body = UploadBody(server.scheduler, 20)
    again = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes, None]:
        yield bytes(10)
        yield bytes(10)

    async def post() -> None:
        async with first.posting(body, server.clock):
            async for _ in body.stream(pieces()):
                pass
            async for _ in body.stream(pieces()):
                again.set()
                await asyncio.Event().wait()

    begun = asyncio.create_task(post())
    await again.wait()
    second, _ = await server.announce(slide("b"), 1)
    assert len(second.late_requests) == 1
    with pytest.raises(AnnounceAgain):  # what is not wholly sent this time is broken off
        await begun
