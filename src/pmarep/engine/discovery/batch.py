"""Batches of what discovery finds: many things are written down and counted at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...sites.site_choices import SiteChoices
from ...slides import LeftOut, Slide
from ...slides.source_counts import SourceCounts
from .slide_list import NO_CHOICES
from .stability import UnstableSlide

BATCH = 200  # things that are written down and handed over at once ...
BATCH_FILES = 2000  # ... or fewer, where they have many files


@dataclass(slots=True)
class FoundBatch:
    """What a thread has found and hands over at once, and its counts, which stay when the rest is on disk.

    `now`: seconds since the epoch. `waiting`, `expected`, `expected_bytes`: by how much there is more to look at again;
    `expected_excluded`: of that, slides and bytes that sites do not take, by the masks of `choices`.
    """

    now: float
    slides: list[Slide] = field(default_factory=list)
    unstable: list[UnstableSlide] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    things: int = 0
    files: int = 0
    waiting: int = 0
    expected: int = 0
    expected_bytes: int = 0
    choices: SiteChoices = NO_CHOICES
    expected_excluded: dict[int, list[int]] = field(default_factory=dict)
    counts: SourceCounts = field(default_factory=SourceCounts)

    def add(self, thing: Slide | LeftOut | UnstableSlide) -> None:
        self.things += 1
        if not isinstance(thing, UnstableSlide):
            self.counts.add(thing)
        if isinstance(thing, Slide):
            self.files += len(thing.files)
            self.slides.append(thing)
        elif isinstance(thing, UnstableSlide):
            self.unstable.append(thing)
            self._count(thing, 1)
        elif thing.why.is_problem:
            self.left_out.append(thing)
        else:
            self.others.append(thing.path)

    def pass_over(self) -> None:
        """Note what belongs to another shard or slide, so that batches come as often as in a run without."""
        self.things += 1

    def replaces(self, unstable: UnstableSlide) -> None:
        """Uncount an unstable slide: what is added next is what has become of it."""
        self._count(unstable, -1)

    def _count(self, unstable: UnstableSlide, sign: int) -> None:
        self.waiting += sign
        if isinstance(unstable.found, Slide):
            self.files += len(unstable.found.files)
            self.expected += sign
            self.expected_bytes += sign * unstable.found.size
            if self.choices and (mask := self.choices.mask(unstable.found)):
                sums = self.expected_excluded.setdefault(mask, [0, 0])
                sums[0] += sign
                sums[1] += sign * unstable.found.size

    @property
    def full(self) -> bool:
        return self.things >= BATCH or self.files >= BATCH_FILES
