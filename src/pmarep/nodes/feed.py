"""`ShardFeed`: the slides of a node's run, which are not found but given, shard by shard.

A shard is sent only where this node sees the same source as the coordinator: each file of it is looked at first.
"""

from __future__ import annotations

import asyncio
import os
from array import array
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from ..daemon_thread import in_thread
from ..engine.discovery.disk_list import unpack_slide
from ..engine.discovery.producer import SlideProducer
from ..errors import TemporaryFileError
from ..sites import Site
from ..sites.name_map import NameMap
from ..sites.site_choices import SiteChoices
from ..slides import Slide
from .messages import Message

CLOCKS_NS = 2_000_000_000
"""Two mounts of one folder may round the times of its files differently, as SMB and FAT do."""


class ShardSites(SiteChoices):
    """Which sites get the slides of the shard that is written at the moment: the coordinator has chosen them."""

    def __init__(self, sites: Sequence[Site], now: float, only: NameMap | None = None) -> None:  # noqa: ARG002
        super().__init__((), now)
        self._bits = {site.name: 1 << number for number, site in enumerate(sites)}
        self._mask = 0

    def __bool__(self) -> bool:
        return True

    def choose(self, sites: Collection[str]) -> None:
        """Let these sites get what is written from now on."""
        self._mask = sum(bit for name, bit in self._bits.items() if name not in sites)

    def mask(self, slide: Slide) -> int:  # noqa: ARG002  (all of a shard are alike)
        """Return the bits of the sites that do not get a slide."""
        return self._mask


class ShardFeed(SlideProducer):
    """Fills the list of slides with the shards that `take` gets, until `finish`.

    `said` gets a message where slides differ here: then the shard waits for `judge`. `prepare` is awaited with the
    slides of a shard, and its sites, before they are sent. Raises UsageError, when it is made, where a source is not
    here at all.
    """

    def __init__(
        self,
        *arguments: Any,
        said: Callable[[Message], None],
        prepare: Callable[[Sequence[Slide], Collection[str]], Awaitable[None]],
    ) -> None:
        super().__init__(*arguments)
        self._said = said
        self._prepare = prepare
        self._shards: asyncio.Queue[Message | None] = asyncio.Queue()
        self._verdict: asyncio.Future[bool] | None = None
        self._by_path: dict[str, int] = {}
        self._numbers = array("Q")  # the coordinator's, in the order of the list of slides

    def take(self, shard: Message) -> None:
        """Take a shard: rows of its slides, each with the coordinator's number first."""
        self._shards.put_nowait(shard)

    def finish(self) -> None:
        """Say that no more shards come."""
        self._shards.put_nowait(None)

    def judge(self, same: bool) -> None:
        """Say whether the coordinator has found that its own slides have changed as well."""
        if self._verdict is not None and not self._verdict.done():
            self._verdict.set_result(same)

    def number(self, path: str) -> int:
        """Return the coordinator's number of a slide."""
        return self._by_path[path]

    def numbers(self, slides: Sequence[Slide]) -> list[int]:
        """Return the coordinator's numbers of slides of the list."""
        return [self._numbers[slide.number] for slide in slides]

    async def walk(self) -> None:
        """Put the slides of one shard after the other on the list."""
        try:
            while (shard := await self._shards.get()) is not None:
                if not await self._put(shard["slides"], shard["sites"]):
                    return
        except TemporaryFileError as error:
            self.error = str(error)
        except Exception as error:
            self._failed(error)

    async def watch_unstable(self, idle: Callable[[], bool], deadline: float | None) -> None:  # noqa: ARG002
        """End the list: what still changed, the coordinator has waited for."""
        self._slide_list.finish()

    async def _put(self, rows: Sequence[Any], sites: Collection[str]) -> bool:
        """Look at the slides and put them on the list; return False where the node sees another source."""
        slides: list[Slide] = []
        differ: list[int] = []

        def look() -> None:
            for number, *row in rows:
                slide = unpack_slide(tuple(row))
                here = as_seen_here(slide)
                if here is None:
                    differ.append(number)
                slides.append(here or slide)

        await in_thread(look)
        if differ:
            self._verdict = asyncio.get_running_loop().create_future()
            self._said({"kind": "differs", "slides": differ})
            if not await self._verdict:
                example = next(slide.path for slide, row in zip(slides, rows, strict=True) if row[0] == differ[0])
                words = f"{len(differ)} of {len(rows)} slides are not here, or are others, the first {example}"
                self._said({"kind": "refused", "error": f"it does not see the same SRC: {words}"})
                return False
        for slide, row in zip(slides, rows, strict=True):
            self._by_path[slide.path] = row[0]
            self._numbers.append(row[0])
        await self._prepare(slides, sites)

        def write() -> None:
            if isinstance(self._slide_list.choices, ShardSites):
                self._slide_list.choices.choose(sites)
            self._slide_list.write(slides)
            self._listener.found(slides, ())

        await in_thread(write)
        self._slide_list.admit(len(slides), sum(slide.size for slide in slides))
        return True


def as_seen_here(slide: Slide) -> Slide | None:
    """Return a slide with the times that its files have here; None where one is not here, or is another."""
    files = []
    folder = slide.folder_name
    for file in slide.files:
        try:
            found = os.stat(os.path.join(folder, file.source_name))  # noqa: PTH116, PTH118  (a third of Path's time)
        except (OSError, ValueError):
            return None
        if found.st_size != file.size or abs(found.st_mtime_ns - file.mtime_ns) > CLOCKS_NS:
            return None
        same = found.st_mtime_ns == file.mtime_ns
        files.append(file if same else replace(file, mtime_ns=found.st_mtime_ns))
    return slide if files == list(slide.files) else replace(slide, files=tuple(files))
