"""Filter out the slides that are known to be at a site, many at a time, before any attempt is made at them.

A nightly run finds a hundred thousand slides of which two are new. The journal and the listings of the site know that,
and what they know costs no attempt and no question per slide.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from ...aio import ChangeEvent, together
from ...errors import PmarepError
from ...sites import Site
from ...slides import Slide
from ...state.records import KnownState
from ..circuit_breaker import CircuitBreaker
from ..context import RunContext
from ..discovery.slide_list import SiteSlides, SlideCursor
from ..gate.site_gate import SiteGate
from ..options import Options
from ..remote_listing import Listing, RemoteListing
from ..site_events import KnownSlide, SiteEvents
from ..slide.action import Action
from ..slide.attempt import planned
from ..slide.decide import Decision, destination, foreseen, looks_again
from .recheck import Recheck

log = logging.getLogger(__name__)

CHUNK_SLIDES = 100  # that are looked up at once ...
CHUNK_FILES = 1000  # ... or fewer, where they have many files
CHUNKS = 8  # that are looked up at the same time ...
LISTINGS = 8  # ... with so many listings under way at most: on a long way, each takes a round trip ...
NEAR_LISTINGS = 2  # ... and so many on a short one: more are only more work, as long as answers come at once
SLOW_LISTING = 0.05  # seconds: while an answer takes longer, there is room for more and more
BUSY = 0.02  # seconds that we come late to something: more than Windows' clock does, which goes in steps of 0.016
Put = Callable[[Slide], Awaitable[None]]


class KnownSlideFilter:
    """Passes on the slides of one site that something may have to be done about, and reports the others as known.

    `far`: whether the way to the site is a long one, asked when `run` begins. Whatever goes wrong here, slides are
    passed on instead: an attempt finds the same error where it is known what to do about it. `differing`: paths of
    slides that are passed on since they are not there as the journal says.
    """

    def __init__(
        self,
        site: Site,
        context: RunContext,
        breaker: CircuitBreaker,
        listings: RemoteListing,
        recheck: Recheck,
        events: SiteEvents,
        far: Callable[[], bool],
        gate: SiteGate,
    ) -> None:
        self._site = site
        self._context = context
        self._breaker = breaker
        self._listings = listings
        self._slides = SiteSlides(context.slide_list, site.name)
        left = events.slide_excluded if context.options.places else None
        self._cursor = SlideCursor(self._slides, self._say_excluded if context.options.dry_run else left)
        self._events = events
        self._recheck = recheck
        self._far = far
        self._gate = gate
        self._passes_all = _passes_all(context.options)
        self._reading = asyncio.Lock()
        self.differing: set[str] = set()
        self._asking = asyncio.Semaphore(NEAR_LISTINGS)
        self._asked: dict[object, float] = {}  # since when each listing is under way
        self._question = ChangeEvent()  # notified when one begins

    async def run(self, put: Put) -> None:
        """Look at every slide of the run once. Raises TemporaryFileError."""
        asking = asyncio.create_task(self._ask_more())
        try:
            await together(self._read_and_filter(put) for _ in range(1 if self._passes_all else CHUNKS))
        finally:
            asking.cancel()

    async def _read_and_filter(self, put: Put) -> None:
        while chunk := await self._chunk():
            await self._breaker.wait_closed()
            await self._filter(chunk, put)

    async def _chunk(self) -> list[Slide]:
        """Return the next slides of the run that have been found already; none at the end."""
        async with self._reading:
            first = await self._cursor.take()
            if first is None:
                return []
            return [first, *self._cursor.take_ready(CHUNK_SLIDES - 1, CHUNK_FILES - len(first.files))]

    def _say_excluded(self, slide: Slide) -> None:
        at = destination(self._site, self._context.options.to, slide)
        reason = None if self._slides.choice is None else self._slides.choice.refusal(slide)
        self._context.listener(planned(slide, at, Decision(Action.EXCLUDE, reason or "")))

    async def _filter(self, chunk: Sequence[Slide], put: Put) -> None:
        """Pass on the slides that are not known to be there; first those that nobody has to be asked about."""
        context = self._context
        if self._passes_all or (context.deadline is not None and context.clock.monotonic() > context.deadline):
            for slide in chunk:
                await put(slide)
            return
        chunk = await self._as_sent(chunk, put)
        left = [(slide, destination(self._site, context.options.to, slide)) for slide in chunk]
        known: dict[str, KnownState] = {}
        listings: dict[str, Listing] = {}
        try:
            known = await context.journal.known(self._site.url, [at.path for _, at in left])
            if not context.options.dry_run:
                for slide, at in left:
                    if at.path not in known:
                        await put(slide)
                left = [one for one in left if one[1].path in known]
            listings = await self._list({at.folder for _, at in left})
        except PmarepError as error:
            log.debug("%s: what is there already cannot be told beforehand: %s", self._site.name, error)
        known_slides: list[KnownSlide] = []
        unsure: list[Slide] = []
        for slide, at in left:
            decision = self._foreseen(slide, known.get(at.path), listings.get(at.folder), at.path)
            if decision is None:
                unsure.append(slide)
            else:
                known_slides.append((slide, at, decision))
        again, known_slides = await self._to_look_at_again(known_slides)
        await self._events.slides_known(known_slides)
        for slide in (*unsure, *await self._differing(again)):
            await put(slide)

    async def _as_sent(self, chunk: Sequence[Slide], put: Put) -> Sequence[Slide]:
        """Return what the site would be sent of these slides; pass on those of which that is not known."""
        if not self._gate.prepares:
            return chunk
        results = await self._gate.known(chunk)
        for slide, result in zip(chunk, results, strict=True):
            if result is None:
                await put(slide)
        return [result for result in results if result is not None]

    async def _to_look_at_again(self, known_slides: list[KnownSlide]) -> tuple[list[KnownSlide], list[KnownSlide]]:
        """Split known slides into those that have their turn to be looked at again, and the others."""
        if self._context.options.dry_run:
            return [], known_slides
        due = await self._recheck.due([at.path for _, at, _ in known_slides])
        return [one for one in known_slides if one[1].path in due], [
            one for one in known_slides if one[1].path not in due
        ]

    async def _differing(self, again: list[KnownSlide]) -> list[Slide]:
        """Look at slides again, report those that are there as they should be, and return the others."""
        if not again:
            return []
        wrong = await self._recheck.differing([(slide, at.path) for slide, at, _ in again])
        await self._events.slides_known([one for one in again if one[1].path not in wrong])
        slides = [slide for slide, at, _ in again if at.path in wrong]
        self.differing.update(slide.path for slide in slides)
        return slides

    async def _list(self, folders: set[str]) -> dict[str, Listing]:
        found: dict[str, Listing] = {}

        async def one(folder: str) -> None:
            async with self._asking:
                question = object()
                self._asked[question] = self._context.clock.monotonic()
                self._question.notify()
                try:
                    found[folder] = await self._listings.listing(folder)
                finally:
                    del self._asked[question]

        await together(one(folder) for folder in folders)
        return found

    async def _ask_more(self) -> None:
        """Allow more listings at once where answers take long or do not come; not where it is we who have no time."""
        clock = self._context.clock
        for _ in range(LISTINGS - NEAR_LISTINGS):
            while not self._far():
                if not self._asked:
                    await self._question.wait()
                before = clock.monotonic()
                await clock.sleep(SLOW_LISTING)
                busy = clock.monotonic() - before > SLOW_LISTING + BUSY
                if not busy and any(asked <= before for asked in self._asked.values()):
                    break
            self._asking.release()

    def _foreseen(self, slide: Slide, known: KnownState | None, listing: Listing | None, path: str) -> Decision | None:
        """Decide where that needs no attempt: to leave a slide alone, and in a dry run whatever is certain."""
        if listing is None:
            return None
        decision = foreseen(known, self._context.journal.signature(slide), listing.find(path))
        if decision is None:
            return None
        says_more = self._site.label_images == "refuse" or self._gate.active
        if decision.sends and (not self._context.options.dry_run or says_more):
            return None  # an attempt finds out what the site thinks of it
        return decision


def _passes_all(options: Options) -> bool:
    """Return whether a slide that is known to be at the site is looked at all the same."""
    return options.verify_only or looks_again(options)
