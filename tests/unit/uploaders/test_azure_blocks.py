"""Azure's rules for blocks: ids of one length, at most 50,000, nothing left out; and what is put on record."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any, cast
from unittest.mock import AsyncMock, call

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.clock import Clock
from pmarep.pmacore import Announcement, Connection
from pmarep.retry import Retry
from pmarep.slides import Slide, SlideFile
from pmarep.source import SharedReader, SiteReader
from pmarep.state.journal import Journal
from pmarep.state.records import RemotePath
from pmarep.state.unfinished import LARGEST_BLOCK, SMALLEST_BLOCK, block_size
from pmarep.uploaders import Digests, PresignedClient, RequestScheduler, SlideUpload, TransferCounts, UploadContext
from pmarep.uploaders.azure import MAX_BLOCKS, AzureUploader, _blocks, block_id
from pmarep.uploaders.base import Replaced

SIZES = st.integers(1, 3 * 1024**4)


@given(SIZES)
def test_block_sizes_keep_to_the_limits(size: int) -> None:
    block = block_size(size)
    assert SMALLEST_BLOCK <= block <= LARGEST_BLOCK
    assert block % 1024**2 == 0
    assert -(-size // block) <= MAX_BLOCKS


@given(st.integers(1, 40 * SMALLEST_BLOCK + 1))
def test_blocks_cover_the_file_exactly_once(size: int) -> None:
    at = 0
    for number, (found, start, length) in enumerate(_blocks(SlideFile("a", size, 0))):
        assert (found, start) == (number, at)
        assert 0 < length <= SMALLEST_BLOCK
        at += length
    assert at == size


@given(st.integers(0, MAX_BLOCKS - 1), st.integers(0, 2**40), st.text(max_size=20))
def test_ids_have_one_length_and_belong_to_one_version(number: int, size: int, name: str) -> None:
    file = SlideFile(name, size, 7)
    assert len(block_id(file, number)) == 16
    assert len(base64.b64decode(block_id(file, number))) == len("block_000000")
    assert block_id(file, number) == block_id(SlideFile(name, size, 7), number)
    assert block_id(file, number) != block_id(SlideFile(name, size, 8), number)
    assert block_id(file, number) != block_id(file, number + 1)


@pytest.mark.parametrize(("size", "blocks"), [(1000, 0), (SMALLEST_BLOCK + 1, 2)], ids=["whole", "in blocks"])
async def test_what_azure_has_is_counted_and_recorded(tmp_path: Path, size: int, blocks: int) -> None:
    (tmp_path / "x.svs").write_bytes(bytes(size))
    file = SlideFile("x.svs", size, (tmp_path / "x.svs").stat().st_mtime_ns)
    requests: list[httpx.Request] = []

    def container(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(201)

    http = httpx.AsyncClient(transport=httpx.MockTransport(container))
    storage = PresignedClient(Connection("http://pma.example/", "u"), allow_http=False, http=http)
    scheduler, journal = RequestScheduler(4, [], Retry(attempts=1), Clock()), AsyncMock(spec=Journal)
    reader = SharedReader()
    source, digests = SiteReader(reader), Digests(reader)
    context = UploadContext(cast(Any, None), storage, scheduler, source, digests, journal)
    announced = Announcement.read({"Id": 1, "UploadType": 2, "Urls": ["http://azure.example/c/x.svs?sig=s"]}, "x")
    slide, place = Slide("x.svs", "Aperio SVS", tmp_path, (file,)), RemotePath("http://pma.example/", "in/x.svs")
    counts, still_free = TransferCounts(replaced=Replaced.INTACT), AsyncMock()
    upload = SlideUpload(context, announced, "in", slide, place, counts, still_free=still_free)
    try:
        await AzureUploader(upload).send(file)
    finally:
        source.close()
        digests.close()
        reader.close()
    still_free.assert_awaited_once_with()
    for request in requests[: blocks or 1]:
        digest = hashlib.md5(request.content, usedforsecurity=False).digest()
        assert request.headers["content-md5"] == base64.b64encode(digest).decode()
    assert (upload.sent.bytes, upload.sent.begun, upload.sent.replaced) == (size, True, Replaced.MIXED)
    recorded = journal.record_part_sent.await_args_list
    assert sorted(recorded) == [call(place, "x.svs", number, "") for number in range(blocks)]
    journal.record_file_sent.assert_awaited_once_with(place, "x.svs")
