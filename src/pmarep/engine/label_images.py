"""Label and macro images of the slides of a run: a site refuses such slides, warns of them, or takes them.

`label_images` of the site book. Only slides that would be sent are looked at, each once for all sites.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection
from typing import Any

from ..clock import Clock
from ..errors import SourceError
from ..events import Listener, Notice
from ..sites import Site
from ..slides import Slide
from ..slides.labels import Carries, LabelImages
from ..source import SharedReader
from ..state.journal import Journal
from ..state.journal_bounds import MAX_RUNS
from ..units import count_of
from .discovery.slide_list import SiteSlides
from .options import Options
from .slide.decide import destination

REMEMBERED = 10_000
"""Slides whose answer is kept: sites are at about the same slides, and another look costs little."""

RECENT_RUNS = 10
"""Last runs that are asked first for the same sources: to read all, with the numbers of every site, takes long."""

COUNTING_SECONDS = 5.0
"""For so long slides are counted before the first one goes to a site."""

_CHUNK = 100  # slides that the journal is asked about at once


class LabelLooks:
    """Looks for label and macro images in the slides of a run, for all sites."""

    def __init__(self, reader: SharedReader, journal: Journal) -> None:
        self._reader = reader
        self._journal = journal
        self._known: OrderedDict[str, LabelImages] = OrderedDict()
        self._looking: dict[str, asyncio.Lock] = {}
        self._pushed: dict[int, dict[str, set[str]]] = {}  # by numbers of runs
        self._asking = asyncio.Lock()

    async def look(self, slide: Slide) -> LabelImages:
        """Look at a slide, or remember what was found in these files. Raises SourceError."""
        key = self._journal.signature(slide)
        if key not in self._known:
            async with self._looking.setdefault(key, asyncio.Lock()):
                if key not in self._known:
                    self._known[key] = await self._reader.label_images(slide)
            self._looking.pop(key, None)
        found = self._known[key]
        self._known.move_to_end(key)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found

    async def are_pushed_again(self, sources: Collection[str], site: str) -> bool:
        """Return whether each source was pushed to this site by an earlier run that has ended."""
        for count in (RECENT_RUNS, MAX_RUNS):
            if (await self._pushed_by(count)).get(site, set()).issuperset(sources):
                return True
        return False

    async def _pushed_by(self, count: int) -> dict[str, set[str]]:
        """Return the sources that the last runs have pushed, by the names of sites; read once for all of these."""
        async with self._asking:
            if count not in self._pushed:
                found = defaultdict[str, set[str]](set)
                for run in await self._journal.runs(count):
                    for site in _sent_to(run.summary or {}):
                        found[site].update(run.sources)
                self._pushed[count] = found
            return self._pushed[count]


class LabelPolicy:
    """What one site does about label and macro images."""

    def __init__(
        self,
        site: Site,
        options: Options,
        looks: LabelLooks,
        slides: SiteSlides,
        journal: Journal,
        clock: Clock,
        listener: Listener,
    ) -> None:
        self._site = site
        self._options = options
        self._looks = looks
        self._slides = slides
        self._journal = journal
        self._clock = clock
        self._listener = listener
        self._warned = False
        self._warning = asyncio.Lock()

    @property
    def refuses(self) -> bool:
        return self._site.label_images == "refuse"

    async def refusal(self, slide: Slide) -> str | None:
        """Return why a slide that would be sent must not be, or None; warn before the first one. Raises SourceError.

        What is not known is refused too: a site that refuses labels would rather do without a slide.
        """
        if self._site.label_images == "warn":
            await self.warn()
        if not self.refuses:
            return None
        found = await self._looks.look(slide)
        if found.either is Carries.NO:
            return None
        kinds = ("a label image", found.label), ("a macro image", found.macro)
        carried = " and ".join(name for name, answer in kinds if answer is Carries.YES)
        rule = f'{self._site.name} has label_images = "refuse"'
        if carried:
            return f"it carries {carried}, and {rule}; send a copy without"
        return f"whether it carries a label or macro image is not known, and {rule}; look at it, then allow it there"

    async def warn(self) -> None:
        """Say how many slides carry such an image, once, before a source's first push to the site."""
        if self._site.label_images != "warn" or self._site.prepare:  # nothing is known of what prepare will make
            return
        async with self._warning:
            if not self._warned:
                await self._warn()
                self._warned = True

    async def _warn(self) -> None:
        if await self._looks.are_pushed_again(self._options.source_names, self._site.name):
            return
        counts, looked, all_of_them = await self._count()
        carry, may = counts[Carries.YES], counts[Carries.UNKNOWN]
        if not carry + may:
            return
        found = count_of(looked, "slide")
        of = f"{found} to be sent" if all_of_them else f"the first {found}"
        does = "carry" if carry else "may carry"
        words = f"{carry or may} of {of} {does} a label or macro image"
        text = f"{self._site.name}: {words}{f', {may} more may' if carry and may else ''}, perhaps with a name on it; "
        text += 'pmarep slides --labels says which, label_images = "refuse" in the site book keeps them here'
        self._listener(Notice(text=text))

    async def _count(self) -> tuple[dict[Carries, int], int, bool]:
        """Count the slides found until now that the journal does not know at the site; whether these are all."""
        counts = dict.fromkeys(Carries, 0)
        end = self._clock.monotonic() + COUNTING_SECONDS
        index = 0
        while index < self._slides.end:
            numbers = range(index, min(index + _CHUNK, self._slides.end))
            slides = [self._slides.found(number) for number in numbers if self._slides.takes(number)]
            paths = [destination(self._site, self._options.to, slide).path for slide in slides]
            known = await self._journal.known(self._site.url, paths)
            for slide, path in zip(slides, paths, strict=True):
                if self._clock.monotonic() > end:
                    return counts, sum(counts.values()), False
                if path not in known:
                    counts[await self._answer(slide)] += 1
            index = numbers.stop
        return counts, sum(counts.values()), self._slides.is_complete

    async def _answer(self, slide: Slide) -> Carries:
        try:
            return (await self._looks.look(slide)).either
        except SourceError:
            return Carries.UNKNOWN


def _sent_to(summary: dict[str, Any]) -> list[str]:
    """Return the sites to which a run that has ended brought slides, or found them there; none where it verified."""
    if summary.get("verify_only"):
        return []
    return [name for name, at in summary.get("sites", {}).items() if at.get("sent") or at.get("skipped")]
