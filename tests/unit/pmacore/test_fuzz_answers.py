# ruff: noqa: PT017, SIM905  (an error may come or not; words in a line are easier to read than a list of them)
"""Whatever a server answers, only errors of ours come out of it: with words, without secrets, and soon."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.examples import FEW

from pmarep.pmacore import Announcement, Connection, FileToSend, PmaCore, PmaCoreError, UploadStatus
from pmarep.uploaders.presigned import PresignedClient, expiry, is_live

SESSION = "the-session-id"
SECRET = "X-Amz-Signature=5ec2e7"

# Text as JSON can hold it: with halves of surrogate pairs, which no encoder takes.
texts = st.text(alphabet=st.characters(categories=None), max_size=12) | st.sampled_from(
    ["", "Slides", "Slides/in", "/", "\ud800", "\0", "..", "x" * 3000, f"https://storage.example/x?{SECRET}", "1e999"]
)
numbers = st.integers() | st.floats() | st.sampled_from([0, -1, 2**63, 10**400, 0.5])
scalars = st.none() | st.booleans() | numbers | texts
names = st.sampled_from(
    "Id UploadType Urls MultipartFiles FilePath UploadId Parts PartNumber Url RangeStart RangeEnd Path Size Files "
    "Complete Success SessionId Reason Code Message ExceptionMessage d Width".split()
)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | texts, inner, max_size=6),
    max_leaves=12,
)

CALLS: dict[str, Any] = {
    "root_directories": lambda core: core.root_directories(),
    "directories": lambda core: core.directories("Slides/in"),
    "slides": lambda core: core.slides("Slides/in"),
    "slide_files": lambda core: core.slide_files("Slides/in/x.svs"),
    "image_info": lambda core: core.image_info("Slides/in/x.svs"),
    "fingerprint": lambda core: core.fingerprint("Slides/in/x.svs"),
    "create_directory": lambda core: core.create_directory("Slides/in"),
    "delete_slide": lambda core: core.delete_slide("Slides/in/x.svs"),
    "announce": lambda core: core.announce("Slides/in", [FileToSend("x.svs", 9, True)]),
    "complete_multipart": lambda core: core.complete_multipart("Slides/in/x.svs", "u", [(1, "e")]),
    "upload_status": lambda core: core.upload_status(17),
}


def dumped(answer: Any) -> bytes:
    """JSON as a server may write it, also where Python's own is none (NaN)."""
    return json.dumps(answer).encode()


class Server:
    """Honest until somebody is logged in, then it says what it was told."""

    def __init__(self, status: int, content: bytes, kind: str, *, also_login: bool = False) -> None:
        self._answer = status, content, {"Content-Type": kind}
        self._also_login = also_login

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("GetVersionInfo"):
            return httpx.Response(200, json="3.0.3.2222")
        if path.endswith("authenticate") and not self._also_login:
            return httpx.Response(200, json={"Success": True, "SessionId": SESSION})
        if path.endswith(("Ping", "DeAuthenticate")):
            return httpx.Response(200, json=True)
        status, content, headers = self._answer
        return httpx.Response(status, content=content, headers=headers)


async def asked(call: str, server: Server) -> Any:
    """The result, or the error that came out, which has to be a bearable one of ours."""

    async def password() -> str:
        return "the password"

    http = httpx.AsyncClient(transport=httpx.MockTransport(server))
    async with PmaCore(Connection("https://pma.example/", "seeder"), password, http=http) as core:
        try:
            return await CALLS[call](core)
        except PmaCoreError as error:
            words = str(error)
            assert words.isprintable()
            assert len(words) < 700
            assert "5ec2e7" not in words
            assert SESSION not in words
            return error


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=FEW)
@given(answer=anything, status=st.sampled_from([200, 200, 200, 201, 204, 400, 401, 404, 413, 500, 503]))
async def test_any_json(call: str, answer: Any, status: int) -> None:
    await asked(call, Server(status, dumped(answer), "application/json"))


@given(
    call=st.sampled_from(sorted(CALLS)),
    content=st.binary(max_size=200)
    | st.sampled_from(
        [b"<html><title>&#x202e;%s</title>" % (b"x" * 999), b'{"d":', b"\xef\xbb\xbf[]", b"NaN", b"[" * 9999]
    ),
    status=st.sampled_from([200, 206, 302, 404, 500]),
    kind=st.sampled_from(["application/json", "text/html; charset=utf-16", "text/plain; charset=nonsense", ""]),
)
async def test_any_bytes(call: str, content: bytes, status: int, kind: str) -> None:
    await asked(call, Server(status, content, kind))


async def test_a_session_that_is_no_text() -> None:
    await asked("slides", Server(200, b'{"Success": true, "SessionId": "\\ud800"}', "text/json", also_login=True))


def _is_no_odd_text(value: Any) -> bool:
    return not isinstance(value, str) or value.isascii()


@given(
    answer=anything
    | st.fixed_dictionaries({"Success": scalars, "SessionId": scalars.filter(_is_no_odd_text), "Reason": scalars})
)
async def test_any_answer_to_a_login(answer: Any) -> None:
    await asked("slides", Server(200, dumped(answer), "application/json", also_login=True))


# Models, nearer to what a server means


urls = st.none() | texts | st.just(f"https://storage.example/x?{SECRET}")
part = st.fixed_dictionaries(
    {"PartNumber": numbers, "Url": urls, "RangeStart": numbers, "RangeEnd": numbers},
)
paths = texts.filter(lambda text: SECRET not in text)  # a path is no secret, whatever a server writes there
announcements = st.fixed_dictionaries(
    {"Id": st.just(17) | scalars, "UploadType": st.sampled_from([0, 1, 2, "AmazonS3", "azure", "1", 3]) | scalars},
    optional={
        "Urls": st.lists(urls, max_size=3) | scalars,
        "MultipartFiles": st.lists(
            st.fixed_dictionaries({"FilePath": paths, "UploadId": texts, "Parts": st.lists(part, max_size=3) | scalars})
        )
        | scalars,
    },
)


@given(announcements)
@example({"Id": 17, "UploadType": 1, "Urls": [f"https://storage.example/x?{SECRET}"], "MultipartFiles": 7})
def test_an_announcement(answer: dict[str, Any]) -> None:
    try:
        read = Announcement.read(answer, "transfer/Upload")
    except PmaCoreError as error:
        assert "5ec2e7" not in str(error)
        assert str(error).isprintable()
    else:
        assert "5ec2e7" not in repr(read).replace(repr(read.id), "")
        assert all(isinstance(url, str) for url in read.every_url)


@given(anything)
def test_an_upload_status(answer: Any) -> None:
    try:
        assert all(isinstance(value, bool) for value in UploadStatus.read(answer, "transfer/Upload").complete.values())
    except PmaCoreError as error:
        assert str(error).isprintable()


# URLs that a server hands out


_pieces = st.sampled_from(
    "http https ftp :// // / ? # & = @ : [ ] % %zz ä 127.0.0.1 localhost ::1 :99999 :-1 storage.example \r \n \t \0 "
    "X-Amz-Date=20260101T000000Z X-Amz-Expires=9999999999999 se=2026-01-01 se=0001-01-01T00:00:00+23:59 "
    "AWSAccessKeyId=x Expires=99999999999999999 \ud800".split(" ")
)
odd_urls = st.lists(_pieces, max_size=8).map("".join) | st.builds(
    "https://storage.example/x?{}".format, st.lists(_pieces, max_size=5).map("&".join)
)


@given(odd_urls)
@example("http://[::1/x")
async def test_any_upload_url(url: str) -> None:
    http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, headers={"ETag": "e"})))
    storage = PresignedClient(Connection("https://pma.example/", "seeder"), allow_http=True, http=http)
    try:
        await storage.put(url, b"x", 1, {})
    except PmaCoreError as error:
        assert str(error).isprintable()
    finally:
        await storage.close()


@given(odd_urls)
@example("http://[::1/x?se=2026-01-01")
def test_when_any_url_ends(url: str) -> None:
    end = expiry(url)
    assert end is None or end.tzinfo is not None
    assert isinstance(is_live(url, datetime(2026, 1, 1, tzinfo=UTC)), bool)
