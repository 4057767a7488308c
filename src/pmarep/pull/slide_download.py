"""Bring one slide here: all its files under temporary names, then each to its place, the main file last.

So nobody who looks at DIR finds half a slide. What is broken off goes on where it was.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from ..aio import together
from ..pmacore import NO_VALIDATORS, FileChanged, PmaCore, RangeRefused, Validators
from ..remote.tree import RemoteSlide, RemoteTree
from .disk import Disk
from .local_folder import LocalFolder
from .partial_file import PartialFile, sync_folder
from .plan import FileToPull, Plan
from .scheduler import DownloadScheduler

log = logging.getLogger(__name__)

FILES_AT_ONCE = 64
"""Files of one slide that are asked for at once, at most; a Zarr has 100,000."""


@dataclass(slots=True)
class PullCounts:
    """Bytes of one slide: `received` in this run and kept, `resumed` from an earlier one."""

    received: int = 0
    resumed: int = 0


@dataclass(slots=True)
class _File:
    """A file on its way. `seen`: what the server has said of its version."""

    wanted: FileToPull
    part: PartialFile
    seen: Validators = NO_VALIDATORS


@dataclass(slots=True, eq=False)
class SlideDownload:
    """One slide on its way, over all attempts of a run. `place` stands in the names of its temporary files."""

    slide: RemoteSlide
    plan: Plan
    place: str
    counts: PullCounts = field(default_factory=PullCounts)
    files: list[_File] | None = None

    @property
    def progress(self) -> int:
        """Bytes of the slide that are here: more than at the last attempt mean that another makes sense."""
        return sum(one.part.size for one in self.files or ())

    def discard(self) -> int:
        """Forget what has come: the slide is another at the site by now. Return how many bytes that was."""
        lost, self.files, self.counts = self.progress, None, PullCounts()
        return lost


class SlideDownloader:
    """Brings the slides of one site to DIR.

    `restarted` is told how many bytes of a slide come again, and why; `came` that bytes have come.
    """

    def __init__(
        self,
        core: PmaCore,
        tree: RemoteTree,
        scheduler: DownloadScheduler,
        folder: LocalFolder,
        disk: Disk,
        restarted: Callable[[RemoteSlide, int, str], None],
        came: Callable[[], None],
    ) -> None:
        self._core = core
        self._tree = tree
        self._scheduler = scheduler
        self._folder = folder
        self._disk = disk
        self._restarted = restarted
        self._came = came

    async def bring(self, download: SlideDownload) -> None:
        """Bring a slide here, or raise PmarepError: then call it again, and it goes on where it was.

        Raises FileChanged where the slide is another at the site by now.
        """
        if download.files is None:
            download.files = [
                _File(one, PartialFile(download.place, one.file, one.path)) for one in download.plan.files
            ]
        files = download.files
        waiting = iter(files)
        await together(self._take(download, waiting) for _ in range(min(FILES_AT_ONCE, len(files))))
        if (await self._tree.with_files(download.slide)).files != download.slide.files:
            raise FileChanged(f"{download.slide.path} has changed at the site while it was pulled")
        await self._disk.run(partial(_commit, files))

    async def _take(self, download: SlideDownload, waiting: Iterator[_File]) -> None:
        for one in waiting:
            if not one.part.finished:
                await self._bring_file(download, one)

    async def _bring_file(self, download: SlideDownload, one: _File) -> None:
        with closing(one.part):
            attempts = self._scheduler.attempts(lambda: True)
            while True:
                with attempts:
                    async with self._scheduler.slot(one.part.wanted - one.part.size):
                        await self._receive(download, one)
                        await self._disk.run(one.part.finish)
                    return
                await attempts.pause()

    async def _receive(self, download: SlideDownload, one: _File) -> None:
        """Download what is missing of a file, be it nothing."""
        part, file = one.part, one.wanted.file
        before = part.size
        left_behind = await self._disk.run(partial(self._open, part))
        self._disk.reusable -= left_behind
        if before == 0 and part.size:
            download.counts.resumed += part.size
            self._disk.needed -= part.size
        await self._disk.check_room()
        while part.size < part.wanted:
            try:
                await self._receive_from(download, one, part.size)
            except RangeRefused as error:
                if not part.size:
                    raise
                await self._restart(download, one, str(error))
            except FileChanged as error:
                await self._restart(download, one, str(error))
                raise
        log.debug("%s: %d bytes are here", file.path, part.size)

    async def _receive_from(self, download: SlideDownload, one: _File, start: int) -> None:
        part, slide, file = one.part, download.slide, one.wanted
        async with self._core.download(slide.path, file.name, file.file.size, start=start, seen=one.seen) as coming:
            if coming.start != start:
                await self._restart(download, one, "the server sends whole files only")
            one.seen = coming.validators
            async for chunk in coming:
                await self._disk.run(partial(part.write, chunk))
                download.counts.received += len(chunk)
                self._disk.needed -= len(chunk)
                self._came()
                await self._scheduler.record_received(len(chunk))

    async def _restart(self, download: SlideDownload, one: _File, why: str) -> None:
        lost = await self._disk.run(one.part.restart)
        one.seen = NO_VALIDATORS
        from_before = min(download.counts.resumed, lost)
        download.counts.resumed -= from_before
        download.counts.received -= lost - from_before
        self._disk.needed += lost
        if lost:
            self._restarted(download.slide, lost, why)

    def _open(self, part: PartialFile) -> int:
        self._folder.make_parents(part.path)
        return part.open()


def _commit(files: list[_File]) -> None:
    """Give all files their names, and the main file, which is the last, after the others are on the disk.

    Where some could not get theirs, a second call goes on with those. Raises OSError.
    """
    for one in files[:-1]:
        one.part.commit()
    for folder in {one.part.path.parent for one in files[:-1]}:
        sync_folder(folder)
    files[-1].part.commit()
    sync_folder(files[-1].part.path.parent)
