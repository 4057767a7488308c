"""Files at a PMA.core: each byte comes once for all sites, and never two versions as one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from pmarep.errors import SourceAway, SourceError
from pmarep.pmacore import Download, FileChanged, PmaCore, RangeRefused, Refused, RemoteFile, Unreachable, Validators
from pmarep.retry import ONCE
from pmarep.slides import Slide, SlideFile
from pmarep.source import CHUNK, FileVersion, SharedReader, SiteReader
from pmarep.source.place import downloads, spool, wants
from pmarep.source.place.files import PlaceFiles, is_dated, moment_ns
from pmarep.source.place.page_file import READS_NOW, PageFile

SIZE = 5 * CHUNK + 100
CONTENT = os.urandom(SIZE)


class Server:
    """A PMA.core with one slide, as far as a source asks it."""

    round_trip = None

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []
        self.read_to_the_end = 0
        self.looks = self.refused = 0
        self.modified = "1700000000000"
        self.etag = '"1"'
        self.error: Exception | None = None
        self.ranges = True
        self.refusing = 0  # parts are refused, once so many are asked for
        self._refusals = 0

    @asynccontextmanager
    async def download(
        self, slide: str, name: str, size: int, *, start: int, end: int, seen: Validators
    ) -> AsyncIterator[Download]:
        assert (slide, name, size) == ("Slides/2026/a.svs", "a.svs", SIZE)
        if self.error is not None:
            self.refused += 1
            raise self.error
        whole = not self.ranges or (start, end) == (0, size)
        self.asked.append((0, size) if whole else (start, end))
        if self.refusing and not whole:
            self._refusals += 1
            while self._refusals < self.refusing:
                await asyncio.sleep(0)
            raise RangeRefused("ghent has packed a part of a file")
        validators = Validators(self.etag)
        if validators.differ_from(seen) and not whole:
            raise FileChanged("the file has changed at the server")

        async def chunks() -> Any:
            data = CONTENT if whole else CONTENT[start:end]
            for at in range(0, len(data), 100_000):
                await asyncio.sleep(0)
                yield data[at : at + 100_000]
            self.read_to_the_end += 1

        yield Download(chunks(), 0 if whole else start, validators, is_part=not whole)

    async def slide_files(self, path: str) -> list[RemoteFile]:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return [RemoteFile.model_validate({"path": path, "size": SIZE, "lastmodified": self.modified})]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def reader(server: Server, tmp_path: Path) -> AsyncIterator[SharedReader]:
    files = PlaceFiles({"ghent": cast("PmaCore", server)}, tmp_path, 0, lambda: ONCE)
    reader = SharedReader(files=files)
    yield reader
    await reader.stop()
    reader.close()


MAIN = SlideFile("a.svs", SIZE, 1_700_000_000_000_000_000)
SLIDE = Slide("2026/a.svs", "Aperio SVS", "ghent:/Slides/2026", (MAIN,), 0)


async def read(site: SiteReader, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in site.read(SLIDE, MAIN, start, length)])


async def test_sites_share_what_comes(server: Server, reader: SharedReader) -> None:
    sites = [SiteReader(reader) for _ in range(3)]
    for site in sites:
        site.announce(SLIDE, [MAIN])
    assert set(await asyncio.gather(*map(read, sites))) == {CONTENT}
    assert sum(end - start for start, end in server.asked) == SIZE


async def test_only_what_is_read_comes(server: Server, reader: SharedReader) -> None:
    site = SiteReader(reader)
    assert await read(site, 2 * CHUNK, CHUNK) == CONTENT[2 * CHUNK : 3 * CHUNK]
    assert server.asked == [(2 * CHUNK, 3 * CHUNK)]


async def test_answers_are_read_to_their_end_so_that_connections_are_used_again(
    server: Server, reader: SharedReader
) -> None:
    site = SiteReader(reader)
    await read(site, CHUNK, CHUNK)
    await read(site)
    await reader.stop()
    assert server.read_to_the_end == len(server.asked) == 3


async def test_ranges_longer_than_may_be_at_hand_at_once(reader: SharedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PlaceFiles, "step", 2 * CHUNK)
    found: list[bytes] = []
    await reader.range(FileVersion.of(SLIDE, MAIN), 100, SIZE - 150, found.append)
    assert b"".join(found) == CONTENT[100:-50]


async def test_a_server_that_ignores_ranges_is_asked_once(server: Server, reader: SharedReader) -> None:
    server.ranges = False
    site = SiteReader(reader)
    parts = [(2 * CHUNK, CHUNK), (0, CHUNK), (4 * CHUNK, 50)]
    found = await asyncio.gather(*(read(site, *part) for part in parts))
    assert found == [CONTENT[start : start + length] for start, length in parts]
    assert server.asked == [(0, SIZE)]


async def test_parts_that_are_refused_at_the_same_time_come_with_the_whole_file(
    server: Server, reader: SharedReader
) -> None:
    site = SiteReader(reader)
    await read(site, 0, CHUNK)
    server.refusing = 2
    found = await asyncio.gather(read(site, 2 * CHUNK, CHUNK), read(site, 4 * CHUNK, CHUNK))
    assert list(found) == [CONTENT[start * CHUNK : (start + 1) * CHUNK] for start in (2, 4)]


async def test_the_spool_hears_of_each_page_that_a_site_has_had(
    reader: SharedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    had: list[int] = []
    monkeypatch.setattr(PlaceFiles, "had", lambda _self, _site, _version, index: had.append(index))
    await read(SiteReader(reader), CHUNK, SIZE - CHUNK)
    assert had == [1, 2, 3, 4, 5]


async def test_the_end_of_a_whole_file_comes_through_a_spool_that_its_beginning_fills(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SMALLEST_SPOOL", 0)
    monkeypatch.setattr(downloads, "STUCK_SECONDS", 0.01)
    server.ranges = False
    reader = SharedReader(files=PlaceFiles({"ghent": cast("PmaCore", server)}, tmp_path, 3 * CHUNK, lambda: ONCE))
    async with asyncio.timeout(60):
        assert await read(SiteReader(reader), 4 * CHUNK, CHUNK) == CONTENT[4 * CHUNK : 5 * CHUNK]
    await reader.stop()
    reader.close()


async def test_a_range_is_complete_although_the_spool_is_full_of_what_nobody_has_had(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pages go for none of each other."""
    monkeypatch.setattr(spool, "SMALLEST_SPOOL", 0)
    files = PlaceFiles({"ghent": cast("PmaCore", server)}, tmp_path, 3 * CHUNK, lambda: ONCE)
    reader, version = SharedReader(files=files), FileVersion.of(SLIDE, MAIN)
    SiteReader(reader).announce(SLIDE, [MAIN])
    async with asyncio.timeout(60):
        while files._spool.fresh < 3:
            await asyncio.sleep(0.001)
        async with files.at_hand(version, 3 * CHUNK, 2 * CHUNK):
            assert files.open(version).read(3 * CHUNK, 2 * CHUNK) == CONTENT[3 * CHUNK : 5 * CHUNK]
    await reader.stop()
    reader.close()


async def test_pages_in_use_stay_in_the_spool_when_others_need_room(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "SMALLEST_SPOOL", 0)
    files = PlaceFiles({"ghent": cast("PmaCore", server)}, tmp_path, 3 * CHUNK, lambda: ONCE)
    reader, version = SharedReader(files=files), FileVersion.of(SLIDE, MAIN)
    async with files.at_hand(version, CHUNK - 5, 10):
        assert await read(SiteReader(reader)) == CONTENT
        assert files.open(version).read(CHUNK - 5, 10) == CONTENT[CHUNK - 5 : CHUNK + 5]
    await reader.stop()
    reader.close()


@pytest.mark.skipif(not READS_NOW, reason="this system cannot tell whether a read would wait")
async def test_what_the_system_has_in_memory_is_read_in_no_thread(
    reader: SharedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def preadv(_descriptor: int, buffers: list[bytearray], start: int, flags: int) -> int:
        assert flags == os.RWF_NOWAIT
        buffers[0][:] = CONTENT[start : start + len(buffers[0])]
        return len(buffers[0])

    monkeypatch.setattr(os, "preadv", preadv)
    monkeypatch.setattr(PageFile, "read", None)
    async with reader.at_hand(FileVersion.of(SLIDE, MAIN), 0, SIZE):
        assert await read(SiteReader(reader)) == CONTENT


@pytest.mark.skipif(not READS_NOW, reason="this system cannot tell whether a read would wait")
@pytest.mark.parametrize("count", [None, CHUNK - 1])
async def test_what_the_system_would_wait_for_is_read_in_a_thread(
    reader: SharedReader, monkeypatch: pytest.MonkeyPatch, count: int | None
) -> None:
    asked = 0

    def preadv(*_: object) -> int:
        nonlocal asked
        asked += 1
        if count is None:
            raise BlockingIOError
        return count

    monkeypatch.setattr(os, "preadv", preadv)
    async with reader.at_hand(FileVersion.of(SLIDE, MAIN), 0, SIZE):
        assert await read(SiteReader(reader)) == CONTENT
    assert asked


@pytest.mark.parametrize(
    ("round_trips", "count"), [([None], 12), ([0.001], 4), ([0.02], 4), ([0.08], 8), ([0.18], 12), ([0.02, 0.08], 8)]
)
def test_more_is_downloaded_at_once_over_a_longer_way(round_trips: list[float | None], count: int) -> None:
    assert downloads.downloads_at_once(round_trips) == count


async def test_nothing_is_downloaded_ahead_from_a_server_that_is_away(
    server: Server, reader: SharedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wants, "PIECE", 1)
    monkeypatch.setattr(downloads, "AT_ONCE", 1)
    server.error = Unreachable("ghent does not answer")
    site = SiteReader(reader)
    site.announce(SLIDE, [MAIN])
    for _ in range(20):
        await asyncio.sleep(0)
    assert server.refused == 1


async def test_a_whole_main_file_is_confirmed_after_its_last_bytes_came(server: Server, reader: SharedReader) -> None:
    site = SiteReader(reader)
    chunks = site.read(SLIDE, MAIN)
    await anext(chunks)
    server.modified = "1700000000001"
    with pytest.raises(SourceError, match="changed while being sent"):
        async for _ in chunks:
            pass


async def test_a_file_in_parts_is_confirmed_before_it_becomes_visible(server: Server, reader: SharedReader) -> None:
    site = SiteReader(reader)
    await read(site, 0, CHUNK)
    assert server.looks == 0
    await site.confirm(SLIDE)
    await site.confirm(SLIDE)
    assert server.looks == 1  # nothing has come since
    await read(site, CHUNK, CHUNK)
    server.modified = "1700000000001"
    with pytest.raises(SourceError, match="changed"):
        await site.confirm(SLIDE)


async def test_another_etag_is_another_version(server: Server, reader: SharedReader) -> None:
    site = SiteReader(reader)
    await read(site, 0, CHUNK)
    server.etag = '"2"'
    for _ in range(2):  # also the next time, without asking
        with pytest.raises(SourceError, match="changed while being sent"):
            await read(site, CHUNK, CHUNK)
    assert len(server.asked) == 2


async def test_a_whole_file_that_comes_since_the_part_has_changed_is_another_version(
    server: Server, reader: SharedReader
) -> None:
    site = SiteReader(reader)
    await read(site, 0, CHUNK)
    server.etag, server.ranges = '"2"', False
    with pytest.raises(SourceError, match="changed while being sent"):
        await read(site, CHUNK, CHUNK)


async def test_a_server_that_is_away_comes_back(server: Server, reader: SharedReader) -> None:
    site = SiteReader(reader)
    server.error = Unreachable("ghent does not answer")
    with pytest.raises(SourceAway, match="ghent does not answer"):
        await read(site)
    with pytest.raises(SourceAway):
        await site.check(SLIDE)
    server.error = None
    assert await site.check(SLIDE) == ""
    assert await read(site) == CONTENT


async def test_a_look_that_failed_is_taken_again(server: Server, reader: SharedReader) -> None:
    site = SiteReader(reader)
    server.error = Unreachable("ghent does not answer")
    with pytest.raises(SourceAway):
        await site.confirm(SLIDE)
    server.error = None
    await site.confirm(SLIDE)


async def test_a_refusal_is_no_absence(server: Server, reader: SharedReader) -> None:
    server.error = Refused("no right to download")
    with pytest.raises(SourceError, match="no right to download") as found:
        await read(SiteReader(reader))
    assert not isinstance(found.value, SourceAway)


async def test_an_error_of_the_program_reaches_whoever_waits(server: Server, reader: SharedReader) -> None:
    server.error = RuntimeError("no such thing")
    async with asyncio.timeout(60):
        with pytest.raises(RuntimeError, match="no such thing"):
            await read(SiteReader(reader))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1700000000123", 1_700_000_000_123_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
        ("2023-11-14T22:13:20", 1_700_000_000_000_000_000),
    ],
)
def test_times_that_are_known(text: str, expected: int) -> None:
    assert moment_ns(RemoteFile.model_validate({"path": "a", "size": 1, "lastmodified": text})) == expected


@pytest.mark.parametrize("text", ["yesterday", "-5", None, "9" * 30])
def test_times_that_are_not_known_stay_the_same(text: str | None) -> None:
    first, second = (moment_ns(RemoteFile.model_validate({"path": p, "size": 1, "lastmodified": text})) for p in "ab")
    assert first == second
    assert not is_dated(first)
