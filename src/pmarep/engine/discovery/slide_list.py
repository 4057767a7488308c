"""The slides of a run, in the order of sending. Sites read it each at its own pace, while the walk still goes on.

There may be a million: they lie in a temporary file, and only those that sites are at are in memory.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from ...aio import ChangeEvent
from ...slides import Slide
from .disk_list import DiskList, pack_found, unpack_slide

KEPT_FILES = 10_000
"""Slides of so many files stay in memory after a site has read them: others, at the same pace, read them next."""

BLOCK = 64
"""So many slides at most are read at once, since whoever wants one wants the next too."""


class SlideList:
    """Filled by a SlideProducer, until `complete` is set. Raises TemporaryFileError, also when it is made.

    Slides that are read from it have their `number`: how many were written before.

    `len()` and `bytes` are what the run will send, as far as is known: `admitted` slides, which sites can have, and
    those `expected`, which may still be being written.
    """

    def __init__(self) -> None:
        numbers = itertools.count()
        self._slides: DiskList[Slide] = DiskList(lambda slide: (next(numbers), *pack_found(slide)), _unpack_numbered)
        self._recent: OrderedDict[int, Slide] = OrderedDict()
        self._recent_files = 0
        self._grown = ChangeEvent()
        self._admitted_bytes = 0
        self._expected_bytes = 0
        self.admitted = 0
        self.expected = 0
        self.complete = asyncio.Event()

    def __len__(self) -> int:
        return self.admitted + self.expected

    @property
    def bytes(self) -> int:
        return self._admitted_bytes + self._expected_bytes

    def write(self, slides: Sequence[Slide]) -> None:
        """Write slides down, from the thread that finds them. Sites have them after `admit`."""
        self._slides.extend(slides)

    def admit(self, count: int, size: int) -> None:
        """Let sites read the next `count` slides that were written, of `size` bytes together."""
        self.admitted += count
        self._admitted_bytes += size
        self._grown.notify()

    def expect(self, count: int, size: int) -> None:
        """Expect so many slides more, of so many bytes together, to come later; less than 0: fewer."""
        self.expected += count
        self._expected_bytes += size

    def expect_no_more(self) -> None:
        self.expected = self._expected_bytes = 0

    def finish(self) -> None:
        self.complete.set()
        self._grown.notify()

    def close(self) -> None:
        self._slides.close()

    async def at(self, index: int) -> Slide | None:
        """Return the slide with this number, as soon as it is found; None when there is none."""
        while index >= self.admitted:
            if self.complete.is_set():
                return None
            await self._grown.wait()
        return self.found(index)

    def found(self, index: int) -> Slide:
        """Return the slide with this number, one of the `admitted` ones."""
        slide = self._recent.get(index)
        if slide is not None:
            self._recent.move_to_end(index)
            return slide
        block = self._slides.read(index, min(BLOCK, self.admitted - index))
        for ahead in reversed(range(len(block))):  # so that the one that is wanted is the latest
            if index + ahead not in self._recent:
                self._recent[index + ahead] = block[ahead]
                self._recent_files += len(block[ahead].files)
        while self._recent_files > KEPT_FILES and len(self._recent) > 1:
            _, old = self._recent.popitem(last=False)
            self._recent_files -= len(old.files)
        return block[0]


def _unpack_numbered(row: tuple[Any, ...]) -> Slide:
    return unpack_slide(row[1:], row[0])


class SlideCursor:
    """The position of one site in the list of slides."""

    def __init__(self, slide_list: SlideList) -> None:
        self._slide_list = slide_list
        self._next = 0

    async def take(self) -> Slide | None:
        """Return the next slide, None at the end; several takers never get the same one."""
        index, self._next = self._next, self._next + 1
        return await self._slide_list.at(index)

    def take_ready(self, slides: int, files: int) -> list[Slide]:
        """Return the next slides that are there already: so many at most, with about so many files."""
        taken: list[Slide] = []
        while len(taken) < slides and files > 0 and self._next < self._slide_list.admitted:
            taken.append(self._slide_list.found(self._next))
            files -= len(taken[-1].files)
            self._next += 1
        return taken
