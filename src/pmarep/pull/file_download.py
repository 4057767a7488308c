"""Bring one file here: a large one in several ranges at once, where the server gives back parts of files.

One connection carries little over a long way, and the last files of a pull would each be left to one. Whether there are
parts, the first answer tells; a server without them sends each file over one connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

from ..aio import TaskPool
from ..pmacore import NO_VALIDATORS, FileChanged, PmaCore, RangeRefused, Validators
from .disk import Disk
from .local_folder import LocalFolder
from .partial_file import PartialFile
from .plan import FileToPull
from .scheduler import DownloadScheduler

log = logging.getLogger(__name__)

RANGE = 4 * 1024 * 1024
"""Bytes that are asked for at once: some seconds of what one connection carries, so that all end about together."""

SMALLEST_RANGE = 256 * 1024
"""Bytes that are worth a request of their own."""

IDLE_SECONDS = 0.2
"""After so long without anything to ask for, what is under way is shared."""

STUCK_SECONDS = 1.0
"""A range of which nothing has come for so long is hedged, if slots are free: a connection that has lost several
packets in a row may take ten seconds for what is left."""

HEDGES_AT_ONCE = 2
"""Ranges that come over two connections at a time: where the line is merely slow, little of it is lost so."""

RANGES_AT_ONCE = 32
"""Ranges of one file that are asked for at once, at most; the scheduler lets fewer."""


@dataclass(slots=True)
class PullCounts:
    """Bytes of one slide: `received` in this run and kept, `resumed` from an earlier one."""

    received: int = 0
    resumed: int = 0


@dataclass(slots=True, eq=False)
class FileDownload:
    """A file on its way, over all attempts of a run. `counts`: those of its slide, `slide`: the path of that.

    `by_ranges`: it may be asked for in ranges. `seen`: what the server has said of its version. `counted`: how many
    bytes of it are in `counts`, `resumed` of them from an earlier run.
    """

    slide: str
    wanted: FileToPull
    part: PartialFile
    counts: PullCounts
    by_ranges: bool
    seen: Validators = NO_VALIDATORS
    counted: int = 0
    resumed: int = 0


@dataclass(slots=True, eq=False)
class _Range:
    """Bytes of a file that are to come: from `position` up to `end`.

    `silent_since`: when its download began to wait for the server; infinity while what has come is written, or held
    back by a bandwidth limit. `rival`: the same bytes over another connection. `limit`: ends the download, when those
    have come.
    """

    position: int
    end: int
    rival: _Range | None = None
    silent_since: float = inf
    limit: asyncio.Timeout | None = None

    @property
    def has_come(self) -> bool:
        """True when nothing is left to ask for: of no bytes there is no range."""
        return self.position >= self.end


class _Transfer:
    """One attempt at the ranges of a file that are missing. `tasks`: how many bring them, or have."""

    def __init__(self, download: FileDownload) -> None:
        self.download = download
        self.pool = TaskPool()
        self.tasks = 0
        self.is_open = True  # for more tasks
        self.size = download.part.wanted - download.part.size  # as far as is known before it is open
        self._left: Iterator[_Range] = iter(())

    async def run(self) -> None:
        """Wait until all tasks have ended. Raises what the first one that failed has raised."""
        try:
            await self.pool.wait()
        finally:
            self.is_open = False
            await self.pool.cancel()
        self.pool.raise_error()

    def plan(self) -> None:
        """Cut what is missing into ranges, once the file is open."""
        missing, by_ranges = self.download.part.missing(), self.download.by_ranges
        self.size = sum(end - start for start, end in missing)
        self._left = (
            _Range(position, min(position + RANGE, end) if by_ranges else end)
            for start, end in missing
            for position in range(start, end, RANGE if by_ranges else end - start)
        )

    def take(self) -> _Range | None:
        """Take the next range; None where all are taken."""
        return next(self._left, None)

    def take_all(self, one: _Range) -> None:
        """Let a range be the whole file, and leave no other."""
        one.position, one.end = 0, self.download.part.wanted
        self._left = iter(())


class FileDownloader:
    """Brings files of one site to DIR.

    `restarted` is told the path of a slide, how many bytes of it come again, and why; `came` that bytes have come.
    """

    def __init__(
        self,
        core: PmaCore,
        scheduler: DownloadScheduler,
        folder: LocalFolder,
        disk: Disk,
        restarted: Callable[[str, int, str], None],
        came: Callable[[], None],
    ) -> None:
        self._core = core
        self._scheduler = scheduler
        self._folder = folder
        self._disk = disk
        self._restarted = restarted
        self._came = came
        self._gives_ranges: dict[str, bool] = {}  # by root-directories: what their answers have shown
        self._under_way: dict[_Range, _Transfer] = {}
        self._sharing: asyncio.TimerHandle | None = None

    async def bring(self, download: FileDownload) -> None:
        """Bring what is missing of a file, be it nothing, and force it to the disk. Raises FileChanged, PmarepError."""
        part = download.part
        try:
            while not part.finished:
                transfer = _Transfer(download)
                self._start(transfer, 1)
                try:
                    await transfer.run()
                    self._count(download)
                    if not part.missing():
                        await self._disk.run(part.finish)
                except RangeRefused as error:
                    if not download.by_ranges and not part.size:
                        raise
                    download.by_ranges = False
                    await self._restart(download, str(error))
                except FileChanged as error:
                    await self._restart(download, str(error))
                    raise
        finally:  # also when it is cancelled: what has come is for the next run
            if not part.finished:  # which closes it
                await asyncio.shield(self._disk.run(part.close))
        log.debug("%s: all bytes are here", download.wanted.file.path)

    def _start(self, transfer: _Transfer, tasks: int) -> None:
        """Have so many tasks in all."""
        while transfer.tasks < tasks:
            transfer.tasks += 1
            transfer.pool.start(self._bring_ranges(transfer, is_first=transfer.tasks == 1))

    def _start_all(self, transfer: _Transfer) -> None:
        if transfer.download.by_ranges:
            self._start(transfer, min(RANGES_AT_ONCE, -(-transfer.size // RANGE)))

    async def _bring_ranges(self, transfer: _Transfer, *, is_first: bool) -> None:
        """Bring one range after the other. The first task opens the file."""
        if is_first:
            await self._bring_range(transfer, None)
        while (one := transfer.take()) is not None:
            await self._bring_range(transfer, one)

    async def _bring_range(self, transfer: _Transfer, one: _Range | None) -> None:
        """Bring a range, over as many attempts as make sense; None: open the file, and bring its first one."""
        attempts = self._scheduler.attempts(lambda: True)
        while one is None or not one.has_come:
            with attempts:
                async with self._scheduler.slot(transfer.size if one is None else one.end - one.position):
                    if one is None:
                        await self._open(transfer)
                        one = transfer.take()
                    if one is not None:
                        await self._race(transfer, one)
                    if not transfer.download.part.missing():  # so that a kill costs no more files than there are slots
                        await self._disk.run(transfer.download.part.finish)
                break
            await attempts.pause()
        self._share_soon()

    async def _race(self, transfer: _Transfer, one: _Range) -> None:
        """Download what is missing of a range, unless its rival is sooner."""
        if one.has_come:
            return
        loop = asyncio.get_running_loop()
        self._under_way[one] = transfer
        one.silent_since = loop.time()
        try:
            async with asyncio.timeout(None) as one.limit:
                await self._receive(transfer, one)
        except TimeoutError:
            if not one.has_come:
                raise
        finally:
            del self._under_way[one]
        if one.rival is not None:
            one.rival.position = one.rival.end
            if one.rival in self._under_way and one.rival.limit is not None:
                one.rival.limit.reschedule(loop.time())

    def _share_soon(self) -> None:
        """Look for free slots in a moment: mostly there are some only until the next slide has been looked at."""
        if self._sharing is None:
            self._sharing = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._share)

    def _share(self) -> None:
        """Give what is under way to free slots: the last bytes take as long as the slowest connection."""
        self._sharing = None
        for _ in range(self._scheduler.free_slots):
            ranges = [one for one, transfer in self._under_way.items() if self._may_be_shared(transfer)]
            longest = max(ranges, key=lambda one: one.end - one.position, default=None)
            if longest is not None and longest.end - longest.position >= 2 * SMALLEST_RANGE:
                middle = (longest.position + longest.end) // 2
                rest, longest.end = _Range(middle, longest.end), middle
            else:
                longest = self._stuck(ranges)
                if longest is None:
                    break
                rest = longest.rival = _Range(longest.position, longest.end, longest)
            transfer = self._under_way[longest]
            transfer.tasks += 1
            transfer.pool.start(self._bring_range(transfer, rest))
        if self._under_way:
            self._share_soon()

    def _stuck(self, ranges: Sequence[_Range]) -> _Range | None:
        """Return a range for which the server has been silent for long; None where none, or others are hedged."""
        if len({frozenset((one, one.rival)) for one in ranges if one.rival is not None}) >= HEDGES_AT_ONCE:
            return None
        latest = asyncio.get_running_loop().time() - STUCK_SECONDS
        stuck = (one for one in ranges if one.rival is None and not one.has_come and one.silent_since < latest)
        return next(stuck, None)

    def _may_be_shared(self, transfer: _Transfer) -> bool:
        return (
            transfer.is_open and transfer.download.by_ranges and self._gives_ranges.get(_root(transfer.download), False)
        )

    async def _open(self, transfer: _Transfer) -> None:
        download, disk = transfer.download, self._disk
        disk.reusable -= await disk.run(partial(self._open_part, download.part))
        if download.counted == 0:
            download.counted = download.resumed = download.part.size
            download.counts.resumed += download.resumed
            disk.needed -= download.resumed
        gives_ranges = self._gives_ranges.get(_root(download))
        download.by_ranges &= gives_ranges is not False
        transfer.plan()
        if gives_ranges:
            self._start_all(transfer)

    def _open_part(self, part: PartialFile) -> int:
        self._folder.make_parents(part.path)
        return part.open()

    async def _receive(self, transfer: _Transfer, one: _Range) -> None:
        """Download what is missing of a range. Raises RangeRefused, FileChanged."""
        download = transfer.download
        part, file, asked = download.part, download.wanted, one.end
        await self._disk.check_room()
        async with self._core.download(
            download.slide, file.name, part.wanted, start=one.position, end=one.end, seen=download.seen
        ) as coming:
            if not coming.is_part and asked - one.position < part.wanted:
                await self._take_whole(transfer, one)
            if (coming.is_part or transfer.tasks > 1) and coming.validators.differ_from(download.seen):
                raise FileChanged(f"{file.file.path} has changed at the site while it was pulled")
            if coming.is_part:
                self._gives_ranges[_root(download)] = True
                self._start_all(transfer)
            download.seen = coming.validators
            generation = part.generation
            async for data in coming:
                chunk = data[: one.end - one.position]
                start, one.position = one.position, one.position + len(chunk)
                one.silent_since = inf
                await self._disk.run(partial(part.write, start, chunk, generation))
                self._count(download)
                self._came()
                await self._scheduler.record_received(len(chunk))
                if one.position >= one.end < asked:  # another brings the rest of what was asked for
                    return
                one.silent_since = asyncio.get_running_loop().time()

    def _count(self, download: FileDownload) -> None:
        """Count what has come: once, though a thread may have written it for a task that was broken off."""
        more = download.part.size - download.counted
        download.counted += more
        download.counts.received += more
        self._disk.needed -= more

    async def _take_whole(self, transfer: _Transfer, one: _Range) -> None:
        """Take the whole file, which comes in place of a range. Raises RangeRefused where others are under way."""
        download, why = transfer.download, "the server sends whole files only"
        self._gives_ranges.setdefault(_root(download), False)
        if transfer.tasks > 1:
            raise RangeRefused(why)
        download.by_ranges = False
        transfer.take_all(one)
        await self._restart(download, why)

    async def _restart(self, download: FileDownload, why: str) -> None:
        """Throw away what is here of a file."""
        await self._disk.run(download.part.restart)
        lost, download.counted, download.seen = download.counted, 0, NO_VALIDATORS
        download.counts.resumed -= download.resumed
        download.counts.received -= lost - download.resumed
        download.resumed = 0
        self._disk.needed += lost
        if lost:
            self._restarted(download.slide, lost, why)


def _root(download: FileDownload) -> str:
    return download.slide.strip("/").partition("/")[0]
