"""Between the catalogue and a site's lanes: what is at the site already is settled here, many slides at a time.

A nightly run finds a hundred thousand slides of which two are new. The journal and the listings of the site know that,
and what they know costs no lane and no question per slide.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from ...aio import ChangeEvent, together
from ...errors import PmarepError
from ...sites import Site
from ...slides import Slide
from ...state.journal import Known
from ..circuit_breaker import CircuitBreaker
from ..context import RunContext
from ..discovery.slide_list import SlideCursor
from ..options import Options
from ..remote_listing import Listing, RemoteListing
from ..slide.decide import Decision, Destination, destination, foreseen, looks_again
from .recheck import Recheck

log = logging.getLogger(__name__)

CHUNK_SLIDES = 100  # that are looked up at once ...
CHUNK_FILES = 1000  # ... or fewer, where they have many files
CHUNKS = 8  # that are looked up at the same time ...
LISTINGS = 8  # ... with so many listings under way at most: on a long way, each takes a round trip ...
NEAR_LISTINGS = 2  # ... and so many on a short one: more are only more work, as long as answers come at once
SLOW_LISTING = 0.05  # seconds: while an answer takes longer, there is room for more and more
BUSY = 0.02  # seconds that we come late to something: more than Windows' clock does, which goes in steps of 0.016
READY = 16
"""So many slides wait for lanes at most; the chunks that have more of them wait too."""

KnownSlide = tuple[Slide, Destination, Decision]
Settle = Callable[[Sequence[KnownSlide]], Awaitable[None]]


class KnownSlideFilter:
    """Of one site. While `run` goes on, `take` gives the slides that something may have to be done about.

    `settle` hears of the others. `far`: whether the way to the site is a long one, asked when `run` begins. Whatever
    goes wrong here, slides are passed on instead: the lanes find the same error where they know what to do about it.
    `doubted`: slides that are passed on since they are not there as they should be.
    """

    def __init__(
        self,
        site: Site,
        shared: RunContext,
        health: CircuitBreaker,
        remote: RemoteListing,
        cursor: SlideCursor,
        settle: Settle,
        far: Callable[[], bool],
        recheck: Recheck,
    ) -> None:
        self._site = site
        self._shared = shared
        self._breaker = health
        self._remote = remote
        self._cursor = cursor
        self._settle = settle
        self._settles = _settles(shared.options)
        self._reading = asyncio.Lock()
        self._far = far
        self._recheck = recheck
        self.doubted: set[str] = set()
        self._asking = asyncio.Semaphore(NEAR_LISTINGS)
        self._asked: dict[object, float] = {}  # since when each listing is under way
        self._question = ChangeEvent()  # notified when one begins
        self._passed: asyncio.Queue[Slide | None] = asyncio.Queue(READY)
        self._error: Exception | None = None

    async def take(self) -> Slide | None:
        """The next slide, None at the end; several takers never get the same one. Raises what `run` ended with."""
        slide = await self._passed.get()
        if slide is None:
            self._passed.put_nowait(None)  # for the other takers
            if self._error is not None:
                raise self._error
        return slide

    async def run(self) -> None:
        """Until everything is settled or taken; raises nothing."""
        asking = asyncio.create_task(self._ask_more())
        try:
            await together(self._sift() for _ in range(CHUNKS if self._settles else 1))
        except Exception as error:
            self._error = error
        finally:
            asking.cancel()
        await self._passed.put(None)

    async def _sift(self) -> None:
        while chunk := await self._chunk():
            await self._breaker.wait_closed()
            async for slide in self._left_of(chunk):
                await self._passed.put(slide)

    async def _chunk(self) -> list[Slide]:
        """What comes next in the catalogue and is there already; empty at its end."""
        async with self._reading:
            first = await self._cursor.take()
            if first is None:
                return []
            return [first, *self._cursor.take_ready(CHUNK_SLIDES - 1, CHUNK_FILES - len(first.files))]

    async def _left_of(self, chunk: Sequence[Slide]) -> AsyncIterator[Slide]:
        """The slides that are not settled; first those that nobody has to be asked about."""
        shared = self._shared
        if not self._settles or (shared.deadline is not None and shared.clock.monotonic() > shared.deadline):
            for slide in chunk:
                yield slide
            return
        left = [(slide, destination(self._site, shared.options.to, slide)) for slide in chunk]
        known: dict[str, Known] = {}
        listings: dict[str, Listing] = {}
        try:
            known = await shared.journal.known(self._site.url, [at.path for _, at in left])
            if not shared.options.dry_run:
                for slide, at in left:
                    if at.path not in known:
                        yield slide
                left = [one for one in left if one[1].path in known]
            listings = await self._listings({at.folder for _, at in left})
        except PmarepError as error:
            log.debug("%s: nothing is foreseen: %s", self._site.name, error)
        settled: list[KnownSlide] = []
        unsure: list[Slide] = []
        for slide, at in left:
            decision = self._foreseen(slide, known.get(at.path), listings.get(at.folder), at.path)
            if decision is None:
                unsure.append(slide)
            else:
                settled.append((slide, at, decision))
        again, settled = await self._to_look_at_again(settled)
        await self._settle(settled)
        for slide in unsure:
            yield slide
        for slide in await self._differing(again):
            yield slide

    async def _to_look_at_again(self, settled: list[KnownSlide]) -> tuple[list[KnownSlide], list[KnownSlide]]:
        """Those that have their turn, and the others."""
        if self._shared.options.dry_run:
            return [], settled
        due = await self._recheck.due([at.path for _, at, _ in settled])
        return [one for one in settled if one[1].path in due], [one for one in settled if one[1].path not in due]

    async def _differing(self, again: list[KnownSlide]) -> list[Slide]:
        """Look at slides again, and settle those that are there as they should be; the others."""
        if not again:
            return []
        wrong = await self._recheck.differing([(slide, at.path) for slide, at, _ in again])
        await self._settle([one for one in again if one[1].path not in wrong])
        slides = [slide for slide, at, _ in again if at.path in wrong]
        self.doubted.update(slide.path for slide in slides)
        return slides

    async def _listings(self, folders: set[str]) -> dict[str, Listing]:
        found: dict[str, Listing] = {}

        async def one(folder: str) -> None:
            async with self._asking:
                question = object()
                self._asked[question] = self._shared.clock.monotonic()
                self._question.notify()
                try:
                    found[folder] = await self._remote.listing(folder)
                finally:
                    del self._asked[question]

        await together(one(folder) for folder in folders)
        return found

    async def _ask_more(self) -> None:
        """At once, where answers take long or do not come at all; not where it is we who have no time for them."""
        clock = self._shared.clock
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

    def _foreseen(self, slide: Slide, known: Known | None, listing: Listing | None, path: str) -> Decision | None:
        """What needs no lane: to leave a slide alone, and in a dry run whatever is certain."""
        if listing is None:
            return None
        decision = foreseen(known, self._shared.journal.signature(slide), listing.find(path))
        if decision is None or (decision.sends and not self._shared.options.dry_run):
            return None
        return decision


def _settles(options: Options) -> bool:
    """Whether a slide that is known to be at the site needs nothing more."""
    return not (options.verify_only or looks_again(options))
