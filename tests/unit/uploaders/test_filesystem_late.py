"""A file that was sent completely and not acknowledged is looked for before it is sent again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import httpx
import pytest
from support.clocks import FakeClock

from pmarep.pmacore import Announcement, Connection, PmaCore, ServerError, UploadDoubtful
from pmarep.retry import Retry
from pmarep.slides import Slide, SlideFile
from pmarep.source import SharedReader, SiteReader
from pmarep.state.journal import Journal
from pmarep.state.records import RemotePath
from pmarep.uploaders import RequestScheduler, SlideUpload, TransferCounts, UploadContext, UploadIdLease, uploader_for

MIB = 1024**2


class Server:
    """Answers posts with `status` and stores them so many seconds later; None: never."""

    def __init__(self, clock: FakeClock, status: int, stores_after: float | None) -> None:
        self.clock = clock
        self.status = status
        self.stores_after = stores_after
        self.posts = 0
        self.looks = 0
        self.complete_from = float("inf")
        self.sessions = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if "GetVersionInfo" in path:
            return httpx.Response(200, json="3.0")
        if "authenticate" in path:
            self.sessions += 1
            return httpx.Response(200, json={"Success": True, "SessionId": f"s{self.sessions}"})
        if "Ping" in path:
            return httpx.Response(200, json=request.url.params["sessionID"] == f"s{self.sessions}")
        if request.method == "POST":
            self.posts += 1
            if self.posts == 1 and self.stores_after is not None:
                self.complete_from = self.clock.now + self.stores_after
            return httpx.Response(self.status if self.posts == 1 else 200)
        self.looks += 1
        there = self.clock.now >= self.complete_from
        return httpx.Response(200, json={"Files": [{"Path": "x.svs", "Complete": there}]})


def upload(folder: Path, server: Server, size: int, *, over: bool = False) -> SlideUpload:
    path = folder / "x.svs"
    path.write_bytes(b"x" * size)
    file = SlideFile(path.name, size, path.stat().st_mtime_ns)

    async def password() -> str:
        return "secret"

    http = httpx.AsyncClient(transport=httpx.MockTransport(server))
    core = PmaCore(Connection("http://pma.example/", "seeder"), password, http=http)
    unused, clock = cast(Any, None), server.clock
    scheduler = RequestScheduler(4, [], Retry(attempts=2, sleep=clock.sleep), clock)
    context = UploadContext(core, unused, scheduler, SiteReader(SharedReader()), unused, AsyncMock(spec=Journal))
    slide = Slide(path.name, "Aperio SVS", folder, (file,))
    held = UploadIdLease("17", slide)
    return SlideUpload(
        context,
        Announcement.read({"Id": 17}, "x"),
        "Slides",
        slide,
        RemotePath("x", "y"),
        TransferCounts(),
        over,
        held=held,
    )


@pytest.mark.parametrize("status", [502, 504])
async def test_a_file_that_is_stored_after_the_answer_is_sent_once(tmp_path: Path, status: int) -> None:
    clock = FakeClock()
    server = Server(clock, status, stores_after=4.0)
    one = upload(tmp_path, server, 30 * MIB)
    await clock.run(asyncio.ensure_future(uploader_for(one).send(one.slide.main)))
    assert server.posts == 1
    assert 4 <= clock.now < 10
    assert (one.sent.bytes, one.context.scheduler.bytes_acknowledged, one.context.scheduler.bytes_in_flight) == (
        30 * MIB,
        30 * MIB,
        0,
    )


async def test_a_file_that_is_never_stored_is_sent_again(tmp_path: Path) -> None:
    clock = FakeClock()
    server = Server(clock, 504, stores_after=None)
    one = upload(tmp_path, server, 4 * MIB)
    await clock.run(asyncio.ensure_future(uploader_for(one).send(one.slide.main)))
    assert server.posts == 2
    assert clock.now < 10
    assert one.sent.bytes == one.context.scheduler.bytes_acknowledged == 4 * MIB


async def test_a_small_file_is_not_waited_for(tmp_path: Path) -> None:
    clock = FakeClock()
    server = Server(clock, 504, stores_after=None)
    one = upload(tmp_path, server, 1000)
    await clock.run(asyncio.ensure_future(uploader_for(one).send(one.slide.main)))
    assert (server.posts, server.looks) == (2, 1)


async def test_a_server_that_says_no_itself_is_believed(tmp_path: Path) -> None:
    clock = FakeClock()
    server = Server(clock, 503, stores_after=0.0)
    one = upload(tmp_path, server, 4 * MIB)
    await clock.run(asyncio.ensure_future(uploader_for(one).send(one.slide.main)))
    assert (server.posts, server.looks) == (2, 0)


@pytest.mark.parametrize(("size", "looks"), [(4 * MIB, 1), (1000, 0)])
async def test_the_file_that_is_being_replaced_is_none_that_has_arrived(tmp_path: Path, size: int, looks: int) -> None:
    clock = FakeClock()
    server = Server(clock, 504, stores_after=None)
    server.complete_from = 0.0  # the old one
    one = upload(tmp_path, server, size, over=True)
    await clock.run(asyncio.ensure_future(uploader_for(one).send(one.slide.main)))
    assert (server.posts, server.looks) == (2, looks)


async def test_another_session_may_mean_another_slide(tmp_path: Path) -> None:
    """The server restarts: what it then says of this id is no acknowledgement, and nothing is posted to it."""
    clock = FakeClock()
    server = Server(clock, 504, stores_after=0.0)
    one = upload(tmp_path, server, 4 * MIB)
    await one.context.core.login()
    assert one.held is not None
    one.held.session = one.context.core.logins

    def restarted(request: httpx.Request) -> httpx.Response:
        of_first = request.url.params.get("sessionID") == "s1"
        if request.method == "GET" and "transfer" in request.url.path and of_first:
            return httpx.Response(401)
        if "Ping" in request.url.path:
            return httpx.Response(200, json=False)
        return server(request)

    one.context.core._client = httpx.AsyncClient(transport=httpx.MockTransport(restarted))
    with pytest.raises(UploadDoubtful):
        await clock.run(asyncio.ensure_future(uploader_for(one).send(one.slide.main)))
    assert server.posts == 1
    assert one.sent.bytes == 0


async def test_errors_in_looking_are_not_those_that_count(tmp_path: Path) -> None:
    clock = FakeClock()
    server = Server(clock, 504, stores_after=None)
    one = upload(tmp_path, server, 4 * MIB)

    def down(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and "transfer" in request.url.path:
            server.posts += 1
            return httpx.Response(504)
        return httpx.Response(503) if "transfer" in request.url.path else server(request)

    one.context.core._client = httpx.AsyncClient(transport=httpx.MockTransport(down))
    with pytest.raises(ServerError, match="504"):
        await clock.run(asyncio.ensure_future(uploader_for(one).send(one.slide.main)))
    assert server.posts == 2
