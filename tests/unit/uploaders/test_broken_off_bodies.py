"""Whoever breaks off an upload or a download in the middle leaves no generator open.

The event loop would close those later, in tasks of their own, while others already go on.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import AsyncGeneratorType
from typing import Any, cast

import pytest

import pmarep
from pmarep.clock import Clock
from pmarep.pmacore import Announcement, Connection, PmaCore
from pmarep.pmacore.early_response import EarlyResponseStream
from pmarep.retry import Retry
from pmarep.slides import Slide, SlideFile
from pmarep.source import SharedReader, SiteReader
from pmarep.state.records import RemotePath
from pmarep.uploaders import (
    Digests,
    PresignedClient,
    RequestScheduler,
    SlideUpload,
    TransferCounts,
    UploadContext,
    uploader_for,
)
from pmarep.uploaders.transport.body import SMALLEST_PIECE

PACKAGE = Path(pmarep.__file__).parent
MIB = 1024 * 1024
SIZE = 5 * MIB
ANSWERS = {"GetVersionInfo": b'"3.0.0"', "authenticate": b'{"Success": true, "SessionId": "s"}'}


class SilentServer:
    """A PMA.core and a bucket that wait for a file, or give the beginning of one, and say nothing more."""

    def __init__(self) -> None:
        self.url = ""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if "/Download" in head:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(3 * MIB))
                    await asyncio.Event().wait()
                length = int((re.search(r"content-length: (\d+)", head, re.IGNORECASE) or "00")[1])
                await reader.readexactly(length)
                answer = next((answer for name, answer in ANSWERS.items() if name in head), b"true")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer) + answer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[SilentServer]:
    silent = SilentServer()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(silent(reader, writer)))

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    silent.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    yield silent
    listening.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the network has been given the first piece of a file, which it never takes."""
    event = asyncio.Event()
    write = EarlyResponseStream.write

    async def write_or_hang(stream: EarlyResponseStream, buffer: bytes, timeout: float | None = None) -> None:
        if len(buffer) >= SMALLEST_PIECE:
            event.set()
            await asyncio.Event().wait()
        await write(stream, buffer, timeout)

    monkeypatch.setattr(EarlyResponseStream, "write", write_or_hang)
    return event


async def password() -> str:
    return "secret"


@contextmanager
def noting_generators() -> Iterator[list[AsyncGeneratorType[Any, Any]]]:
    """All that are begun inside. As long as they are in the list, nobody but those who iterate closes them."""
    begun: list[Any] = []
    before = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(begun.append, before.finalizer)
    try:
        yield begun
    finally:
        sys.set_asyncgen_hooks(*before)


def names(generators: list[AsyncGeneratorType[Any, Any]], *, only_open: bool = False) -> list[str]:
    return [one.ag_code.co_qualname for one in generators if not only_open or one.ag_frame is not None]


@pytest.mark.parametrize("kind", ["FileSystem", "S3"])
async def test_an_upload_that_is_cancelled_closes_its_generators(
    tmp_path: Path, server: SilentServer, stuck: asyncio.Event, kind: str
) -> None:
    path = tmp_path / "a.svs"
    with path.open("wb") as file:
        file.truncate(SIZE)
    slide = Slide("a.svs", "Aperio SVS", tmp_path, (SlideFile("a.svs", SIZE, path.stat().st_mtime_ns),))
    answer: dict[str, Any] = {"Id": 1}
    if kind == "S3":
        answer |= {"UploadType": 1, "Urls": [f"{server.url}b/k?AWSAccessKeyId=a&Expires=9999999999&Signature=abc"]}
    connection, reader = Connection(server.url, "u"), SharedReader(1)  # so that no part is hashed ahead of its request
    source, digests = SiteReader(reader), Digests(reader)
    core, storage = PmaCore(connection, password), PresignedClient(connection, allow_http=True)
    scheduler = RequestScheduler(4, [], Retry(attempts=1), Clock())
    context = UploadContext(core, storage, scheduler, source, digests, cast(Any, None))
    upload = SlideUpload(
        context, Announcement.read(answer, "x"), "in", slide, RemotePath("x", "in/a.svs"), TransferCounts()
    )
    with noting_generators() as generators:
        sending = asyncio.create_task(uploader_for(upload).send(slide.main))
        begun = asyncio.create_task(stuck.wait())
        await asyncio.wait({sending, begun}, return_when=asyncio.FIRST_COMPLETED)
        sending.cancel()
        begun.cancel()
        await asyncio.wait({sending, begun})
        assert sending.cancelled()
        assert names(generators, only_open=True) == []
        assert {"UploadBody.stream", "SiteReader.read"} <= set(names(generators))
    await storage.close()
    await core.close()
    source.close()
    digests.close()
    reader.close()


async def test_a_download_that_is_left_closes_its_generators(server: SilentServer) -> None:
    async with PmaCore(Connection(server.url, "u"), password) as core:
        with noting_generators() as generators:
            async with core.download("in/a.svs", "a.svs", SIZE) as chunks:
                assert await anext(chunks)
            ours = [one for one in generators if Path(one.ag_code.co_filename).is_relative_to(PACKAGE)]
            assert names(ours, only_open=True) == []
            assert "iter_at_minimum_rate" in names(ours)
