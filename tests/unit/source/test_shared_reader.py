"""Reading once for all sites, where each has its own pace, its own end, and perhaps its own trouble."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.slides import slide_at

import pmarep.source.reader
from pmarep.errors import SourceError
from pmarep.slides import Slide
from pmarep.source import CHUNK, FileVersion, SharedReader, SiteReader
from pmarep.source.files import read_at
from pmarep.uploaders import Digests

LENGTH = 6 * CHUNK + 1000
CONTENT = os.urandom(LENGTH)
PATIENCE = 60.0  # seconds after which a test fails


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Slide:
    return written(tmp_path_factory.mktemp("slides"), CONTENT)


@pytest.fixture
async def reader() -> AsyncIterator[SharedReader]:
    reader = SharedReader()
    yield reader
    reader.close()


def written(folder: Path, content: bytes) -> Slide:
    path = folder / "a.svs"
    path.write_bytes(content)
    return slide_at(path)


def version_of(slide: Slide) -> FileVersion:
    return FileVersion.of(slide, slide.main)


async def read(source: SiteReader, slide: Slide, start: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in source.read(slide, slide.main, start, length)])


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """How often each chunk has been read from the disk."""
    counted: Counter[int] = Counter()

    def counting(handle: BinaryIO, version: FileVersion, start: int, length: int) -> bytes:
        counted[start // CHUNK] += 1
        return read_at(handle, version, start, length)

    monkeypatch.setattr(pmarep.source.files, "read_at", counting)
    return counted


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch, slide: Slide, times: int) -> Iterator[threading.Semaphore]:
    """The first reads of a slide hang until the end of the block; a semaphore counts them as they begin."""
    let_go, begun, left = threading.Event(), threading.Semaphore(0), threading.Semaphore(times)

    def hang(handle: BinaryIO, version: FileVersion, start: int, length: int) -> bytes:
        if version == version_of(slide) and left.acquire(blocking=False):
            begun.release()
            let_go.wait(PATIENCE)
        return read_at(handle, version, start, length)

    with monkeypatch.context() as patched:
        patched.setattr(pmarep.source.files, "read_at", hang)
        try:
            yield begun
        finally:
            let_go.set()


ONCE = Counter(range(7))


async def test_sites_that_keep_pace_read_once(reader: SharedReader, slide: Slide, reads: Counter[int]) -> None:
    sources = [SiteReader(reader) for _ in range(4)]
    assert set(await asyncio.gather(*(read(source, slide) for source in sources))) == {CONTENT}
    assert reads == ONCE
    assert reader.chunks.held == 0


async def test_a_part_is_read_once_for_its_digest_and_for_all_sites(
    reader: SharedReader, slide: Slide, reads: Counter[int]
) -> None:
    digests = Digests(reader)
    sources = [SiteReader(reader) for _ in range(4)]

    async def send(source: SiteReader, start: int, length: int) -> None:
        async with digests.pinned_md5(slide, slide.main, start, length) as digest:
            sent = await read(source, slide, start, length)
        assert digest == hashlib.md5(sent).digest()
        assert sent == CONTENT[start : start + length]

    parts = [(start, min(2_500_000, LENGTH - start)) for start in range(0, LENGTH, 2_500_000)]
    await asyncio.gather(*(send(source, *part) for part in parts for source in sources))
    digests.close()
    assert reads == ONCE
    assert reader.chunks.held == 0


async def test_a_slow_site_holds_up_nobody_and_reads_for_itself(slide: Slide) -> None:
    reader = SharedReader(bound=2 * CHUNK)
    slow, fast = SiteReader(reader), SiteReader(reader)
    chunks = slow.read(slide, slide.main)
    begun = await anext(chunks)
    for _ in range(3):
        assert await read(fast, slide) == CONTENT
        assert reader.chunks.held <= 2 * CHUNK
    assert begun + b"".join([chunk async for chunk in chunks]) == CONTENT
    reader.close()


async def test_a_site_that_is_given_up_takes_no_read_away(
    reader: SharedReader, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = SiteReader(reader), SiteReader(reader)
    with hanging(monkeypatch, slide, times=1) as begun:
        given_up = asyncio.create_task(read(one, slide))
        await asyncio.to_thread(begun.acquire)
        going_on = asyncio.create_task(read(other, slide))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
        assert given_up.cancelled()
    assert await going_on == CONTENT


async def test_reads_that_hang_hold_up_no_others(slide: Slide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmarep.source.reader, "CONCURRENT_READS", 2)
    reader = SharedReader(slow=0.01)
    digests = Digests(reader, at_once=1)
    away, site = written(tmp_path, CONTENT), SiteReader(reader)
    with hanging(monkeypatch, away, times=100) as begun:
        stuck = [asyncio.create_task(read(SiteReader(reader), away, n % 7 * CHUNK)) for n in range(14)]
        stuck += [asyncio.create_task(digests.sha256(away, away.main))]
        await asyncio.to_thread(begun.acquire)
        async with asyncio.timeout(PATIENCE):
            assert await read(site, slide) == CONTENT
            async with digests.pinned_md5(slide, slide.main, 0, CHUNK) as digest:
                assert digest == hashlib.md5(CONTENT[:CHUNK]).digest()
        for task in stuck:
            task.cancel()
        await asyncio.wait(stuck, timeout=PATIENCE)
        assert all(task.cancelled() for task in stuck)
    digests.close()
    reader.close()


async def test_one_read_that_hangs_is_tried_again(slide: Slide, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SharedReader(slow=0.01)
    with hanging(monkeypatch, slide, times=1) as begun:
        stuck = asyncio.create_task(read(SiteReader(reader), slide))
        await asyncio.to_thread(begun.acquire)
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        assert await read(SiteReader(reader), slide) == CONTENT
                        break
    assert await stuck == CONTENT
    reader.close()


async def test_what_is_read_after_it_was_given_up_is_kept_for_nobody(reader: SharedReader, slide: Slide) -> None:
    SiteReader(reader)
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def use(chunk: bytes) -> None:
        begun.set()
        let_go.wait(PATIENCE)
        if len(chunk) < CHUNK:
            ended.set()

    sweep = asyncio.create_task(reader.sweep(version_of(slide), 0, LENGTH, use))
    await asyncio.to_thread(begun.wait)
    sweep.cancel()
    await asyncio.wait({sweep})
    let_go.set()
    assert await asyncio.to_thread(ended.wait, PATIENCE)
    assert [index for index in range(7) if reader.chunks.get((version_of(slide), index))] == [0]


async def test_an_error_is_for_all_who_wait_and_for_nobody_later(
    reader: SharedReader, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [SiteReader(reader), SiteReader(reader)]

    def broken(_handle: BinaryIO, _version: FileVersion, _start: int, _length: int) -> bytes:
        raise SourceError("cannot read a.svs")

    with monkeypatch.context() as patched:
        patched.setattr(pmarep.source.files, "read_at", broken)
        ends = await asyncio.gather(*(read(source, slide) for source in sources), return_exceptions=True)
    assert [type(end) for end in ends] == [SourceError, SourceError]
    assert await read(sources[0], slide) == CONTENT


async def test_cached_chunks_of_a_changed_file_complete_no_request(reader: SharedReader, tmp_path: Path) -> None:
    slide = written(tmp_path, CONTENT)
    one, other = SiteReader(reader), SiteReader(reader)
    assert await read(one, slide) == CONTENT
    slide.local(slide.main).write_bytes(os.urandom(LENGTH))
    chunks = other.read(slide, slide.main)
    assert b"".join([await anext(chunks) for _ in range(6)]) == CONTENT[: 6 * CHUNK]
    with pytest.raises(SourceError, match=r"changed|was replaced"):
        await anext(chunks)


async def test_what_the_storage_refuses_is_read_again_from_the_disk(reader: SharedReader, tmp_path: Path) -> None:
    """Size and mtime may hide that the source has changed; what memory has of it would hide it too."""
    slide = written(tmp_path, CONTENT)
    digests, sites = Digests(reader), [SiteReader(reader), SiteReader(reader)]
    async with digests.pinned_md5(slide, slide.main, 0, LENGTH):
        assert await read(sites[0], slide) == CONTENT
        await digests.check_again(slide, slide.main, 0, LENGTH)
        path = slide.local(slide.main)
        path.write_bytes(os.urandom(LENGTH))
        os.utime(path, ns=(0, slide.main.mtime_ns))
        with pytest.raises(SourceError, match=r"changed|was replaced"):
            await digests.check_again(slide, slide.main, 0, LENGTH)
    digests.close()


async def test_a_part_that_is_not_sent_leaves_its_room_to_others(slide: Slide) -> None:
    reader = SharedReader(bound=2 * CHUNK)
    digests, _site = Digests(reader), SiteReader(reader)
    with suppress(RuntimeError):
        async with digests.pinned_md5(slide, slide.main, 0, 2 * CHUNK):
            raise RuntimeError
    async with digests.pinned_md5(slide, slide.main, 2 * CHUNK, 2 * CHUNK) as digest:
        assert digest == hashlib.md5(CONTENT[2 * CHUNK : 4 * CHUNK]).digest()
    digests.close()
    reader.close()


async def test_a_site_that_is_given_up_takes_no_digest_away(
    reader: SharedReader, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = Digests(reader)
    with hanging(monkeypatch, slide, times=1) as begun:
        given_up = asyncio.create_task(digests.sha256(slide, slide.main))
        await asyncio.to_thread(begun.acquire)
        going_on = asyncio.create_task(digests.sha256(slide, slide.main))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait({given_up})
    assert await going_on == hashlib.sha256(CONTENT).digest()
    digests.close()


class SlowMd5:
    """Says if it is given two pieces at once; which comes first would be chance."""

    def __init__(self, **_options: bool) -> None:
        self._free = threading.Lock()
        self.hashed = 0

    def update(self, data: bytes) -> None:
        assert self._free.acquire(blocking=False)
        time.sleep(0.005)
        self.hashed += len(data)
        self._free.release()

    def digest(self) -> int:
        return self.hashed


async def test_sites_together_hash_one_chunk_after_the_other(
    reader: SharedReader, slide: Slide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmarep.uploaders.digests.hashlib.md5", SlowMd5)
    digests = Digests(reader, at_once=4)
    stream = digests.stream(slide, slide.main, 0, LENGTH)

    async def send() -> object:
        chunks = SiteReader(reader).read(slide, slide.main)
        assert b"".join([chunk async for chunk in stream.through(chunks)]) == CONTENT
        return await stream.digest()

    assert await asyncio.gather(*(send() for _ in range(3))) == [LENGTH] * 3
    digests.close()


# Whatever the order

ranges = st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(sorted).map(tuple)
readers = st.tuples(
    st.integers(0, 3),  # site
    st.sampled_from(["read", "part", "stream", "sha256"]),
    st.one_of(ranges, st.just((0, LENGTH)), st.just((CHUNK, 3 * CHUNK))),
    st.lists(st.integers(0, 3), max_size=8),  # turns of the loop that each chunk takes
    st.one_of(st.none(), st.integers(0, 8)),  # given up at this chunk
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(readers, min_size=1, max_size=12), st.integers(0, 8), st.data())
async def test_each_gets_exactly_the_bytes_of_the_file(
    slide: Slide,
    wanted: list[tuple[int, str, tuple[int, int], list[int], int | None]],
    bound: int,
    data: st.DataObject,
) -> None:
    reader = SharedReader(bound=bound * CHUNK)
    digests = Digests(reader)
    sources = [SiteReader(reader) for _ in range(4)]

    async def carry(chunks: AsyncIterator[bytes], pace: list[int], end: int | None) -> bytes | None:
        got, count = b"", 0
        async for chunk in chunks:
            if count == end:
                await chunks.aclose()  # type: ignore[attr-defined]
                return None
            for _ in range(pace[count % len(pace)] if pace else 0):
                await asyncio.sleep(0)
            assert 0 <= reader.chunks.held <= reader.chunks.bound
            got += chunk
            count += 1
        return got

    async def one(site: int, how: str, span: tuple[int, int], pace: list[int], end: int | None) -> None:
        start, length = span[0], span[1] - span[0]
        expected = CONTENT[start : start + length]
        chunks = sources[site].read(slide, slide.main, start, length)
        if how == "sha256":
            assert await digests.sha256(slide, slide.main) == hashlib.sha256(CONTENT).digest()
        elif how == "read":
            assert await carry(chunks, pace, end) in (None, expected)
        else:
            async with digests.pinned_md5(slide, slide.main, start, length) as digest:
                if digest is not None:
                    assert digest == hashlib.md5(expected).digest()
                    assert await carry(chunks, pace, end) in (None, expected)
                elif how == "part":
                    digest = await digests.md5(slide, slide.main, start, length)
                    assert digest == hashlib.md5(expected).digest()
                    assert await carry(chunks, pace, end) in (None, expected)
                else:
                    stream = digests.stream(slide, slide.main, start, length)
                    got = await carry(stream.through(chunks), pace, end)
                    assert got in (None, expected)
                    assert got is None or await stream.digest() == hashlib.md5(expected).digest()

    tasks = [asyncio.create_task(one(*want)) for want in wanted]
    for task in data.draw(st.lists(st.sampled_from(tasks), max_size=3)):
        await asyncio.sleep(0)
        task.cancel()
    async with asyncio.timeout(PATIENCE):
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            assert end is None or isinstance(end, asyncio.CancelledError), end
    for source in sources:
        source.close()
    while others := asyncio.all_tasks() - {asyncio.current_task()}:  # reads that nobody waits for any more
        await asyncio.wait(others)
    assert reader.chunks.held == 0
    digests.close()
    reader.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 3), max_size=8)), min_size=1, max_size=6),
    st.integers(0, 8),
    st.integers(0, 20),
)
async def test_never_two_versions_as_one(
    tmp_path: Path, wanted: list[tuple[bool, list[int]]], bound: int, when: int
) -> None:
    slide = written(tmp_path, CONTENT)
    reader = SharedReader(bound=bound * CHUNK)
    digests = Digests(reader)
    sources = [SiteReader(reader) for _ in wanted]
    chunks_left = when

    async def one(source: SiteReader, hashed: bool, pace: list[int]) -> bytes | None:
        nonlocal chunks_left
        chunks, got = source.read(slide, slide.main), b""
        try:
            stream = digests.stream(slide, slide.main, 0, LENGTH)
            async for chunk in stream.through(chunks) if hashed else chunks:
                got += chunk
                chunks_left -= 1
                if chunks_left == 0:
                    slide.local(slide.main).write_bytes(bytes(LENGTH))
                for _ in range(pace[len(got) // CHUNK % len(pace)] if pace else 0):
                    await asyncio.sleep(0)
        except SourceError:
            return None
        assert not hashed or await stream.digest() == hashlib.md5(CONTENT).digest()
        return got

    async with asyncio.timeout(PATIENCE):
        ends = await asyncio.gather(*(one(source, *want) for source, want in zip(sources, wanted, strict=True)))
    assert set(ends) <= {CONTENT, None}
    if chunks_left <= 0 < when:
        assert await one(sources[0], False, []) is None
    digests.close()
    reader.close()
