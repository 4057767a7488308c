"""What a file looks like on its way to a FileSystem root-directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmacore_sandbox.form_data import FormFileParser
from pmarep.clock import Clock
from pmarep.pmacore import Announcement, Connection, PmaCore, Refused
from pmarep.retry import Retry
from pmarep.slides import Slide, SlideFile
from pmarep.source import SharedReader, SiteReader
from pmarep.state.journal import Journal
from pmarep.state.records import RemotePath
from pmarep.uploaders import RequestScheduler, SlideUpload, TransferCounts, UploadContext, uploader_for
from pmarep.uploaders.filesystem import form_frame

CONTENT = b"0123456789" * 200_000


def upload(folder: Path, server: Any, retry: Retry | None = None) -> SlideUpload:
    path = folder / "ä b.svs"
    path.write_bytes(CONTENT)
    file = SlideFile(path.name, len(CONTENT), path.stat().st_mtime_ns)

    async def password() -> str:
        return "secret"

    http = httpx.AsyncClient(transport=httpx.MockTransport(server))
    core = PmaCore(Connection("http://pma.example/", "seeder"), password, http=http)
    clock = Clock()
    unused = cast(Any, None)
    scheduler, journal = RequestScheduler(4, [], retry or Retry(attempts=1), clock), AsyncMock(spec=Journal)
    context = UploadContext(core, unused, scheduler, SiteReader(SharedReader()), unused, journal)
    slide = Slide(path.name, "Aperio SVS", folder, (file,))
    return SlideUpload(
        context, Announcement.read({"Id": 17}, "x"), "Slides", slide, RemotePath("x", "y"), TransferCounts()
    )


async def test_a_file_is_one_post_with_an_exact_length(tmp_path: Path) -> None:
    posts: list[httpx.Request] = []

    def server(request: httpx.Request) -> httpx.Response:
        if "GetVersionInfo" in request.url.path:
            return httpx.Response(200, json="3.0")
        if "authenticate" in request.url.path:
            return httpx.Response(200, json={"Success": True, "SessionId": "s"})
        posts.append(request)
        return httpx.Response(204)

    one = upload(tmp_path, server)
    await uploader_for(one).send(one.slide.main)
    (post,) = posts
    assert (post.method, post.url.raw_path) == ("POST", b"/transfer/Upload/17?sessionID=s&path=%C3%A4%20b.svs")
    assert int(post.headers["content-length"]) == len(post.content)
    assert "transfer-encoding" not in post.headers
    part = FormFileParser(post.headers["content-type"], "ä b.svs", len(CONTENT))
    assert b"".join(part.feed(post.content)) == CONTENT
    part.finish()
    assert one.sent.bytes == one.context.scheduler.bytes_acknowledged == len(CONTENT)
    cast(AsyncMock, one.context.journal).record_file_sent.assert_awaited_once_with(one.place, "ä b.svs")


async def test_bytes_that_went_to_an_ended_session_are_counted_once(tmp_path: Path) -> None:
    sessions = iter("ab")

    def server(request: httpx.Request) -> httpx.Response:
        if "GetVersionInfo" in request.url.path:
            return httpx.Response(200, json="3.0")
        if "authenticate" in request.url.path:
            return httpx.Response(200, json={"Success": True, "SessionId": next(sessions)})
        if "Ping" in request.url.path:
            return httpx.Response(200, json=False)
        return httpx.Response(401 if request.url.params["sessionID"] == "a" else 200)

    one = upload(tmp_path, server)
    await uploader_for(one).send(one.slide.main)
    scheduler = one.context.scheduler
    assert (one.sent.bytes, scheduler.bytes_acknowledged, scheduler.bytes_in_flight) == (len(CONTENT), len(CONTENT), 0)


async def test_a_file_that_fails_goes_again_after_a_pause(tmp_path: Path) -> None:
    """Without its slot, and with nothing of it in flight."""
    answers, pauses = [503, 503, 204], list[tuple[int, int]]()

    def server(request: httpx.Request) -> httpx.Response:
        if "GetVersionInfo" in request.url.path:
            return httpx.Response(200, json="3.0")
        if "authenticate" in request.url.path:
            return httpx.Response(200, json={"Success": True, "SessionId": "s"})
        if "Ping" in request.url.path:
            return httpx.Response(200, json=True)
        return httpx.Response(answers.pop(0))

    async def pause(_seconds: float) -> None:
        pauses.append((scheduler.connections, scheduler.bytes_in_flight))

    one = upload(tmp_path, server, Retry(sleep=pause))
    scheduler = one.context.scheduler
    await uploader_for(one).send(one.slide.main)
    assert (answers, pauses) == ([], [(0, 0), (0, 0)])
    assert one.sent.begun
    assert one.sent.bytes == scheduler.bytes_acknowledged == len(CONTENT)


async def test_a_refused_file_counts_nothing(tmp_path: Path) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        if "GetVersionInfo" in request.url.path:
            return httpx.Response(200, json="3.0")
        if "authenticate" in request.url.path:
            return httpx.Response(200, json={"Success": True, "SessionId": "s"})
        if "Ping" in request.url.path:
            return httpx.Response(200, json=True)
        return httpx.Response(400, json={"Message": "no"})

    one = upload(tmp_path, server)
    with pytest.raises(Refused):
        await uploader_for(one).send(one.slide.main)
    scheduler = one.context.scheduler
    assert (one.sent.bytes, scheduler.bytes_acknowledged) == (0, 0)
    assert (scheduler.bytes_in_flight, scheduler.connections) == (0, 0)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_no_name_breaks_the_frame(name: str) -> None:
    head, tail = form_frame(name, "0123456789abcdef")
    lines = head.split(b"\r\n")
    assert len(lines) == 5
    assert lines[1].count(b'"') == 4
    assert b"\n" not in lines[1]
    assert tail == b"\r\n--0123456789abcdef--\r\n"
