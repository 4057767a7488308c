"""The slides of a run, in the order of sending. Sites read it each at its own pace, while the walk still goes on.

There may be a million: they lie in a temporary file, and only those that sites are at are in memory.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ...aio import ChangeEvent
from ...sites.name_map import OWN_NAMES, NameMap
from ...sites.site_choices import SiteChoices
from ...slides import Slide
from .disk_list import DiskList, pack_found, unpack_slide

KEPT_FILES = 10_000
"""Slides of so many files stay in memory after a site has read them: others, at the same pace, read them next."""

NO_CHOICES = SiteChoices((), 0.0)
NONE_EXCLUDED: Mapping[int, Sequence[int]] = MappingProxyType({})

BLOCK = 64
"""So many slides at most are read at once, since whoever wants one wants the next too."""


class SlideList:
    """Filled by a SlideProducer, until `complete` is set. Raises TemporaryFileError, also when it is made.

    Slides that are read from it have their `number`: how many were written before.

    `len()` and `bytes` are what the run will send, as far as is known: `admitted` slides, which sites can have, and
    those `expected`, which may still be being written. `choices`: sites that do not take all of them (`SiteSlides`).
    `names`: what slides are called at sites, where that is another name.
    """

    def __init__(self, choices: SiteChoices = NO_CHOICES, names: NameMap | None = None) -> None:
        self.choices = choices
        self.names = names
        self._masks: list[int] = []  # of all slides, where there are choices: the sites that do not take it
        self._unwanted: deque[tuple[int, int, int]] = deque()  # number, mask and size, from the one thread to the other
        self._excluded: dict[int, list[int]] = defaultdict(
            lambda: [0, 0]
        )  # slides and bytes, by mask: of admitted ones
        self._expected_excluded: dict[int, list[int]] = defaultdict(lambda: [0, 0])
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
        if self.choices:
            for slide in slides:
                mask = self.choices.mask(slide)
                if mask:
                    self._unwanted.append((len(self._masks), mask, slide.size))
                self._masks.append(mask)
        self._slides.extend(slides)

    def just_excluded(self, slides: Sequence[Slide]) -> Mapping[tuple[str, str], Sequence[int]]:
        """Return the indices of those of the slides written last that sites do not take, by site and reason.

        For the thread that finds them.
        """
        if not self.choices or not slides:
            return {}
        return self.choices.excluded(slides, self._masks[-len(slides) :])

    def found_before(self, numbers: range) -> tuple[Sequence[Slide], Mapping[tuple[str, str], Sequence[int]]]:
        """Return slides that were written, and the indices of those of them that sites do not take."""
        slides = [self.found(number) for number in numbers]
        if not self.choices:
            return slides, {}
        return slides, self.choices.excluded(slides, [self._masks[number] for number in numbers])

    def admit(self, count: int, size: int) -> None:
        """Let sites read the next `count` slides that were written, of `size` bytes together."""
        self.admitted += count
        self._admitted_bytes += size
        while self._unwanted and self._unwanted[0][0] < self.admitted:
            _, mask, unwanted = self._unwanted.popleft()
            _add(self._excluded, mask, 1, unwanted)
        self._grown.notify()

    def expect(self, count: int, size: int, excluded: Mapping[int, Sequence[int]] = NONE_EXCLUDED) -> None:
        """Expect so many slides more, of so many bytes together, to come later; less than 0: fewer.

        `excluded`: slides and bytes of those that sites do not take, by their masks.
        """
        self.expected += count
        self._expected_bytes += size
        for mask, (slides, unwanted) in excluded.items():
            _add(self._expected_excluded, mask, slides, unwanted)

    def expect_no_more(self) -> None:
        self.expected = self._expected_bytes = 0
        self._expected_excluded.clear()

    def takes(self, bit: int, number: int) -> bool:
        """Return whether the site with this bit takes a slide."""
        return not bit or not self._masks[number] & bit

    def excluded(self, bit: int, *, admitted: bool = False) -> tuple[int, int]:
        """Return how many slides the site with this bit does not take, and their bytes; `admitted`: only of those."""
        counts = [self._excluded] if admitted else [self._excluded, self._expected_excluded]
        of_it = [sums for by_mask in counts for mask, sums in by_mask.items() if mask & bit]
        return sum(slides for slides, _ in of_it), sum(size for _, size in of_it)

    def finish(self) -> None:
        self.complete.set()
        self._grown.notify()

    def close(self) -> None:
        self._slides.close()

    async def has(self, index: int) -> bool:
        """Return whether there is a slide with this number, as soon as that is known."""
        while index >= self.admitted:
            if self.complete.is_set():
                return False
            await self._grown.wait()
        return True

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


def _add(counts: dict[int, list[int]], mask: int, slides: int, size: int) -> None:
    sums = counts[mask]
    sums[0] += slides
    sums[1] += size


def _unpack_numbered(row: tuple[Any, ...]) -> Slide:
    return unpack_slide(row[1:], row[0])


class SiteSlides:
    """The slides of a run that one site takes, in their order and as they are called there.

    `len()` and `bytes` as of a SlideList.
    """

    def __init__(self, slide_list: SlideList, site: str) -> None:
        self._slide_list = slide_list
        self._bit = slide_list.choices.bit(site)
        self.choice = slide_list.choices.of(site)
        self.names = OWN_NAMES if slide_list.names is None else slide_list.names.of(site)

    def __len__(self) -> int:
        return len(self._slide_list) - self.excluded

    @property
    def bytes(self) -> int:
        return self._slide_list.bytes - self._slide_list.excluded(self._bit)[1]

    @property
    def excluded(self) -> int:
        """Slides that the site does not take."""
        return self._slide_list.excluded(self._bit)[0]

    @property
    def admitted(self) -> int:
        """Slides that the site takes of those that sites can have."""
        return self._slide_list.admitted - self._slide_list.excluded(self._bit, admitted=True)[0]

    @property
    def end(self) -> int:
        """The number after the last one that sites can have."""
        return self._slide_list.admitted

    @property
    def is_complete(self) -> bool:
        return self._slide_list.complete.is_set()

    def takes(self, number: int) -> bool:
        """Return whether the site takes a slide before `end`."""
        return self._slide_list.takes(self._bit, number)

    def found(self, number: int) -> Slide:
        """Return a slide before `end`."""
        return self.names.named(self._slide_list.found(number))

    async def has(self, number: int) -> bool:
        """Return whether there is a slide with this number, as soon as that is known."""
        return await self._slide_list.has(number)


class SlideCursor:
    """The position of one site in the list of slides. `left`: is told each slide that it does not take."""

    def __init__(self, slides: SiteSlides, left: Callable[[Slide], None] | None = None) -> None:
        self._slides = slides
        self._left = left
        self._next = 0

    async def take(self) -> Slide | None:
        """Return the next slide, None at the end; several takers never get the same one."""
        while True:
            index, self._next = self._next, self._next + 1
            if not await self._slides.has(index):
                return None
            if self._slides.takes(index):
                return self._slides.found(index)
            if self._left is not None:
                self._left(self._slides.found(index))

    def take_ready(self, slides: int, files: int) -> list[Slide]:
        """Return the next slides that are there already: so many at most, with about so many files."""
        taken: list[Slide] = []
        while len(taken) < slides and files > 0 and self._next < self._slides.end:
            index, self._next = self._next, self._next + 1
            if self._slides.takes(index):
                taken.append(self._slides.found(index))
                files -= len(taken[-1].files)
            elif self._left is not None:
                self._left(self._slides.found(index))
        return taken
