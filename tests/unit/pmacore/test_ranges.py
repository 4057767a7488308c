"""Parts of files: what is asked for, and which answers count as just that."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import httpx
import pytest
from support.scripted_core import ScriptedCore, aspnet, html, refusal

from pmarep.pmacore import (
    FileChanged,
    NotFound,
    PmaCoreError,
    ProtocolError,
    RangeRefused,
    Refused,
    ServerError,
    TransferBroken,
    Validators,
)

FILE = bytes(range(256)) * 40
SIZE = len(FILE)
START, END = 100, 9_000
SEEN = Validators('"one"', "Sat, 28 Nov 2026 10:00:00 GMT")


async def chunks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


def answered(status: int, content: bytes, headers: dict[str, str]) -> httpx.Response:
    """An answer as it comes over a connection, its body still to be read."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    usual = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
    return httpx.Response(status, headers=usual | names, content=chunks(content))


def part(
    content: bytes = FILE[START:END], said: str = f"bytes {START}-{END - 1}/{SIZE}", **headers: str
) -> httpx.Response:
    return answered(206, content, {"Content-Range": said, **headers})


def whole(content: bytes = FILE, **headers: str) -> httpx.Response:
    return answered(200, content, headers)


def chunked(answer: httpx.Response, content: bytes) -> httpx.Response:
    """The same with other content, and without a length."""
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return httpx.Response(answer.status_code, headers=headers, content=chunks(content))


async def ask(script: ScriptedCore, start: int = START, end: int | None = END) -> tuple[int, bytes, Validators]:
    async with (
        script.core() as core,
        core.download("Slides/a.svs", "a.svs", SIZE, start=start, end=end, seen=SEEN) as came,
    ):
        return came.start, b"".join([chunk async for chunk in came]), came.validators


@pytest.mark.parametrize(
    "answer",
    [part(), part(ETag='"one"'), part(Last_Modified=SEEN.modified), chunked(part(), FILE[START:END])],
    ids=["bare", "same ETag", "same time", "without a length"],
)
async def test_just_the_part_that_was_asked_for(answer: httpx.Response) -> None:
    script = ScriptedCore(**{"transfer/Download": answer})
    start, content, _ = await ask(script)
    assert (start, content) == (START, FILE[START:END])
    sent = script.asked("transfer/Download")[0].headers
    assert (sent["Range"], sent["If-Range"]) == (f"bytes={START}-{END - 1}", '"one"')


async def test_a_part_up_to_the_end() -> None:
    script = ScriptedCore(**{"transfer/Download": part(FILE[START:], f"bytes {START}-{SIZE - 1}/{SIZE}", ETag='"one"')})
    assert await ask(script, end=None) == (START, FILE[START:], Validators('"one"'))
    assert script.asked("transfer/Download")[0].headers["Range"] == f"bytes={START}-"


async def test_a_server_that_sends_the_whole_file() -> None:
    script = ScriptedCore(**{"transfer/Download": whole(ETag='"two"')})
    assert await ask(script) == (0, FILE, Validators('"two"'))


@pytest.mark.parametrize("end", [None, SIZE])
async def test_a_whole_file_is_asked_for_without_a_range(end: int | None) -> None:
    script = ScriptedCore(**{"transfer/Download": whole()})
    assert (await ask(script, start=0, end=end))[:2] == (0, FILE)
    sent = script.asked("transfer/Download")[0].headers
    assert "Range" not in sent
    assert "If-Range" not in sent


@pytest.mark.parametrize("etag", ['W/"one"', "", "x" * 1000])
async def test_a_weak_or_odd_etag_is_not_sent_in_if_range(etag: str) -> None:
    seen = Validators.of(whole(ETag=etag))
    script = ScriptedCore(**{"transfer/Download": part()})
    async with script.core() as core, core.download("Slides/a.svs", "a.svs", start=START, end=END, seen=seen) as came:
        assert [chunk async for chunk in came]
    assert "If-Range" not in script.asked("transfer/Download")[0].headers


NOT_THIS_RANGE: list[tuple[str, httpx.Response]] = [
    ("none said", httpx.Response(206, content=FILE[START:END])),
    ("another start", part(said=f"bytes 0-{END - 1}/{SIZE}")),
    ("a shorter one", part(FILE[START : END - 1], f"bytes {START}-{END - 2}/{SIZE}")),
    ("a longer one", part(FILE[START:], f"bytes {START}-{SIZE - 1}/{SIZE}")),
    ("no size said", part(said=f"bytes {START}-{END - 1}/*")),
    ("another unit", part(said=f"lines {START}-{END - 1}/{SIZE}")),
    ("no numbers", part(said=f"bytes -{START}-{END - 1}/{SIZE}")),
    ("words", part(said="bytes a-b/c")),
    ("another length", part(FILE[START : END - 1])),
    (
        "several parts",
        httpx.Response(206, headers={"Content-Type": "multipart/byteranges; boundary=x"}, content=b"--x"),
    ),
    ("packed", part(gzip.compress(FILE), Content_Encoding="gzip")),
    ("416", httpx.Response(416)),
    ("416 with the size", httpx.Response(416, headers={"Content-Range": f"bytes */{SIZE}"})),
]


@pytest.mark.parametrize("answer", [answer for _, answer in NOT_THIS_RANGE], ids=[name for name, _ in NOT_THIS_RANGE])
async def test_an_answer_with_another_range_is_refused(answer: httpx.Response) -> None:
    with pytest.raises(RangeRefused):
        await ask(ScriptedCore(**{"transfer/Download": answer}))


@pytest.mark.parametrize(
    "answer",
    [
        part(said=f"bytes {START}-{END - 1}/{SIZE + 1}"),
        part(ETag='"two"'),
        part(ETag='"two"', Last_Modified=SEEN.modified),
        part(Last_Modified="Sat, 28 Nov 2026 10:00:01 GMT"),
        httpx.Response(416, headers={"Content-Range": "bytes */7"}),
        whole(FILE + b"x"),
    ],
    ids=["size", "ETag", "ETag, same time", "time", "416 with another size", "whole, and another size"],
)
async def test_a_file_that_has_changed_meanwhile(answer: httpx.Response) -> None:
    with pytest.raises(FileChanged):
        await ask(ScriptedCore(**{"transfer/Download": answer}))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal("The slide is locked"), Refused),
        (aspnet("No file", 404), NotFound),
        (html(503), ServerError),
        (html(200), ProtocolError),
        (chunked(part(), FILE[START : END - 1]), TransferBroken),
        (chunked(part(), FILE[START:]), ProtocolError),
        (chunked(whole(), FILE[:-1]), TransferBroken),
        (chunked(whole(), FILE + b"x"), ProtocolError),
    ],
    ids=["refused with 200", "404", "503", "a page", "part too short", "part too long", "too short", "too long"],
)
async def test_other_answers(answer: httpx.Response, kind: type[PmaCoreError]) -> None:
    with pytest.raises(kind):
        await ask(ScriptedCore(**{"transfer/Download": answer}))


async def test_a_part_from_a_storage_is_asked_for_without_the_session() -> None:
    script = ScriptedCore(
        **{"transfer/Download": httpx.Response(303, headers={"Location": "https://s3.example/x?sig=1"})}
    )
    asked: list[httpx.Request] = []

    def storage(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return part(ETag='"one"')

    async with script.core() as core:
        core._storage = httpx.AsyncClient(transport=httpx.MockTransport(storage))
        async with core.download("Slides/a.svs", "a.svs", SIZE, start=START, end=END, seen=SEEN) as came:
            assert b"".join([chunk async for chunk in came]) == FILE[START:END]
    assert str(asked[0].url) == "https://s3.example/x?sig=1"
    assert (asked[0].headers["Range"], asked[0].headers["If-Range"]) == (f"bytes={START}-{END - 1}", '"one"')


@pytest.mark.parametrize(("start", "end"), [(-1, None), (5, 5), (6, 5), (SIZE, None), (SIZE + 1, None)])
async def test_no_bytes_to_ask_for(start: int, end: int | None) -> None:
    with pytest.raises(ValueError, match="no bytes"):
        await ask(ScriptedCore(), start, end)
