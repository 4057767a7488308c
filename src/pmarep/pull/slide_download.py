"""Bring one slide here: all its files under temporary names, then each to its place, the main file last.

So nobody who looks at DIR finds half a slide. What is broken off goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from ..aio import together
from ..pmacore import FileChanged
from ..remote.tree import RemoteSlide, RemoteTree
from .disk import Disk
from .file_download import FileDownload, FileDownloader, PullCounts
from .partial_file import PartialFile, sync_folder
from .plan import Plan

FILES_AT_ONCE = 64
"""Files of one slide that are asked for at once, at most; a Zarr has 100,000."""


@dataclass(slots=True, eq=False)
class SlideDownload:
    """One slide on its way, over all attempts of a run. `place` stands in the names of its temporary files.

    `by_ranges`: its files may be asked for in ranges.
    """

    slide: RemoteSlide
    plan: Plan
    place: str
    by_ranges: bool = True
    counts: PullCounts = field(default_factory=PullCounts)
    files: list[FileDownload] | None = None

    @property
    def progress(self) -> int:
        """Bytes of the slide that are here: more than at the last attempt mean that another makes sense."""
        return sum(one.part.size for one in self.files or ())

    def discard(self) -> int:
        """Forget what has come: the slide is another at the site by now. Return how many bytes that was."""
        lost, self.files, self.counts = self.progress, None, PullCounts()
        return lost


class SlideDownloader:
    """Brings the slides of one site to DIR, file by file with a FileDownloader."""

    def __init__(self, tree: RemoteTree, files: FileDownloader, disk: Disk) -> None:
        self._tree = tree
        self._files = files
        self._disk = disk

    async def bring(self, download: SlideDownload) -> None:
        """Bring a slide here, or raise PmarepError: then call it again, and it goes on where it was.

        Raises FileChanged where the slide is another at the site by now.
        """
        if download.files is None:
            download.files = [
                FileDownload(
                    download.slide.path,
                    one,
                    PartialFile(download.place, one.file, one.path),
                    download.counts,
                    download.by_ranges,
                )
                for one in download.plan.files
            ]
        files = download.files
        waiting = iter(files)
        await together(self._take(waiting) for _ in range(min(FILES_AT_ONCE, len(files))))
        if (await self._tree.with_files(download.slide)).files != download.slide.files:
            raise FileChanged(f"{download.slide.path} has changed at the site while it was pulled")
        await self._disk.run(partial(_commit, files))

    async def _take(self, waiting: Iterator[FileDownload]) -> None:
        for one in waiting:
            if not one.part.finished:
                await self._files.bring(one)


def _commit(files: list[FileDownload]) -> None:
    """Give all files their names, and the main file, which is the last, after the others are on the disk.

    Where some could not get theirs, a second call goes on with those. Raises OSError.
    """
    for one in files[:-1]:
        one.part.commit()
    for folder in {one.part.path.parent for one in files[:-1]}:
        sync_folder(folder)
    files[-1].part.commit()
    sync_folder(files[-1].part.path.parent)
