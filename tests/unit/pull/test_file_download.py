"""What free slots are for: halves of long ranges, and a second connection for one that is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from pmarep.clock import Clock
from pmarep.limits import RateLimiter
from pmarep.pmacore import NO_VALIDATORS, Download, FileChanged, PmaCore, RemoteFile, TransferBroken, Validators
from pmarep.pmacore.ranges import ByteRange
from pmarep.pull import file_download
from pmarep.pull.disk import Disk
from pmarep.pull.file_download import FileDownload, FileDownloader, PullCounts
from pmarep.pull.local_folder import LocalFolder
from pmarep.pull.partial_file import PartialFile
from pmarep.pull.plan import FileToPull
from pmarep.pull.scheduler import DownloadScheduler
from pmarep.retry import ONCE, Retry

CONTENT = bytes(range(240)) * 10
PIECE = 100


class Server:
    """Sends ranges of CONTENT in pieces, each of them when `may_send` lets it go: told from where, and which piece."""

    def __init__(self, may_send: Callable[[int, int], bool]) -> None:
        self.asked: list[tuple[int, int]] = []
        self.ended: list[int] = []
        self.changed = asyncio.Condition()
        self._may_send = may_send
        self.validators: Callable[[], Validators] = lambda: NO_VALIDATORS
        self.whole_files: set[int] = set()  # by where what is asked for begins: the whole file comes
        self.broken_ends: set[int] = set()  # by where they start: their last bytes come, and no end

    @asynccontextmanager
    async def download(
        self, slide: str, file: str, size: int, *, start: int, end: int, seen: Validators
    ) -> AsyncIterator[Download]:
        assert (slide, file, size) == ("in/x.svs", "x.svs", len(CONTENT))
        self.asked.append((start, end))
        ByteRange(start, end, size)  # raises where there are no bytes in it
        asked = start
        if start in self.whole_files:
            start, end = 0, size

        async def chunks() -> AsyncIterator[bytes]:
            for number, position in enumerate(range(start, end, PIECE)):
                while not self._may_send(asked, number):
                    await asyncio.sleep(0.001)
                yield CONTENT[position : min(position + PIECE, end)]
            if start in self.broken_ends:
                raise TransferBroken("it breaks off")

        try:
            yield Download(cast(Any, chunks()), start, self.validators(), is_part=(start, end) != (0, size))
        finally:
            self.ended.append(start)


async def bring(
    folder: Path,
    server: Server,
    connections: int = 4,
    *,
    limiters: Sequence[RateLimiter] = (),
    retry: Retry = ONCE,
    resumed: int = 0,
) -> FileDownload:
    """Bring the file. `resumed`: bytes of another file of the slide, which an earlier run has left."""
    file = RemoteFile(path="in/x.svs", size=len(CONTENT), lastmodified="1700000000000")
    part = PartialFile("0" * 12, file, folder / "x.svs")
    download = FileDownload("in/x.svs", FileToPull(file, "x.svs", part.path), part, PullCounts(resumed=resumed), True)
    disk = Disk(folder, Clock())
    try:
        scheduler = DownloadScheduler(connections, limiters, retry, Clock())
        downloader = FileDownloader(
            cast(PmaCore, server), scheduler, LocalFolder(folder), disk, lambda *_: None, lambda: None
        )
        async with asyncio.timeout(60):
            await downloader.bring(download)
    finally:
        disk.close()
    assert download.counts.resumed == resumed
    assert (part.size, download.counts.received, disk.needed) == (len(CONTENT), len(CONTENT), -len(CONTENT))
    part.commit()
    assert part.path.read_bytes() == CONTENT
    return download


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download, "RANGE", 1000)
    monkeypatch.setattr(file_download, "SMALLEST_RANGE", 200)
    monkeypatch.setattr(file_download, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(file_download, "STUCK_SECONDS", 0.0)


async def test_free_slots_take_the_second_half_of_the_longest_range(tmp_path: Path) -> None:
    server = Server(lambda start, number: start != 0 or number < 1 or len(server.asked) > 3)
    await bring(tmp_path, server)
    assert server.asked[:3] == [(0, 1000), (1000, 2000), (2000, 2400)]
    assert server.asked[3] == (550, 1000)  # of (100, 1000)


async def test_what_is_stuck_comes_over_another_connection(tmp_path: Path) -> None:
    """What is left of it is too little to be halved. Then nobody waits for the first one."""
    server = Server(lambda start, number: start != 0 or number < 1)
    await bring(tmp_path, server)
    assert (100, 325) in server.asked
    assert 0 in server.ended  # of which nothing more would ever have come


async def test_only_a_few_ranges_are_hedged_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all are stuck, the line is."""
    monkeypatch.setattr(file_download, "RANGE", 300)
    looks, share = 0, FileDownloader._share

    def look(downloader: FileDownloader) -> None:
        nonlocal looks
        share(downloader)
        looks += any(one.rival is not None for one in downloader._under_way)

    monkeypatch.setattr(FileDownloader, "_share", look)
    server = Server(lambda start, number: start == 0 or number < 1 or looks > 20)
    hedged: list[int] = []
    race = FileDownloader._race

    async def note_and_race(downloader: FileDownloader, *range_: Any) -> None:
        hedged.append(sum(one.rival is not None for one in downloader._under_way))
        await race(downloader, *range_)

    monkeypatch.setattr(FileDownloader, "_race", note_and_race)
    await bring(tmp_path, server, 30)
    assert 0 < max(hedged) <= 2 * file_download.HEDGES_AT_ONCE


async def test_a_hedge_that_is_later_is_left_alone(tmp_path: Path) -> None:
    server = Server(
        lambda start, number: start != 100 and (start != 0 or number < 1 or any(one == 100 for one, _ in server.asked))
    )
    await bring(tmp_path, server)
    assert 100 in server.ended


class HoldingBack:
    """A bandwidth limit that holds back what comes after the first range until free slots have been looked at."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self._server = server
        self._monkeypatch = monkeypatch
        self._looks = 0
        share = FileDownloader._share

        def look(downloader: FileDownloader) -> None:
            self._looks += 1
            share(downloader)

        monkeypatch.setattr(FileDownloader, "_share", look)

    async def acquire(self, _count: int) -> bool:
        if self._server.ended:
            self._monkeypatch.setattr(file_download, "STUCK_SECONDS", -1.0)
            before = self._looks
            while self._looks < before + 2:
                await asyncio.sleep(0.001)
            self._monkeypatch.setattr(file_download, "STUCK_SECONDS", 1000.0)
        return True


async def test_what_a_bandwidth_limit_holds_back_is_not_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would come twice, and make the limit worse."""
    monkeypatch.setattr(file_download, "RANGE", 2100)
    monkeypatch.setattr(file_download, "SMALLEST_RANGE", 2000)
    monkeypatch.setattr(file_download, "STUCK_SECONDS", 1000.0)
    server = Server(lambda start, _: start != 2100 or 0 in server.ended)
    await bring(tmp_path, server, limiters=[cast(RateLimiter, HoldingBack(server, monkeypatch))])
    assert server.asked == [(0, 2100), (2100, 2400)]


async def test_an_answer_that_breaks_off_after_its_last_byte_is_complete(tmp_path: Path) -> None:
    server = Server(lambda *_: True)
    server.broken_ends = {2000}
    await bring(tmp_path, server, retry=Retry(sleep=lambda _: asyncio.sleep(0)))
    assert (2400, 2400) not in server.asked


async def test_what_comes_again_is_taken_off_no_other_file_of_the_slide(tmp_path: Path) -> None:
    server = Server(lambda start, _: start != 1000 or 0 in server.ended)
    server.whole_files = {1000}
    await bring(tmp_path, server, resumed=700)
    assert (0, 2400) in server.asked


async def test_ranges_of_two_versions_are_no_file(tmp_path: Path) -> None:
    server = Server(lambda *_: True)
    server.validators = lambda: Validators(f'"{len(server.asked)}"')
    with pytest.raises(FileChanged):
        await bring(tmp_path, server)


async def test_a_hedge_of_another_version_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file is asked for without a range, also when nothing of it has come yet."""
    monkeypatch.setattr(file_download, "RANGE", len(CONTENT))
    monkeypatch.setattr(file_download, "SMALLEST_RANGE", len(CONTENT))
    race = FileDownloader._race

    async def share_and_race(downloader: FileDownloader, *range_: Any) -> None:
        downloader._gives_ranges["in"] = True
        downloader._share_soon()
        await race(downloader, *range_)

    monkeypatch.setattr(FileDownloader, "_race", share_and_race)
    server = Server(lambda *_: len(server.asked) > 1)
    server.validators = lambda: Validators(f'"{len(server.asked)}"')
    with pytest.raises(FileChanged):
        await bring(tmp_path, server)
    assert server.asked == [(0, 2400), (0, 2400)]
