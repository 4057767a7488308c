"""Look again, in each run, at a share of the slides that the journal calls sent.

Somebody may have deleted, cut off or replaced a slide behind our back. What is looked at are names and sizes
(`GetFilenames`), of the slides that were not looked at for the longest time. A run looks at so many that all have had
their turn within the period if runs come as often as before, and at its share of `BUDGET` at most.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ...aio import together
from ...clock import Clock
from ...errors import PmarepError
from ...pmacore import PermissionDenied, PmaCore, Refused, StorageFull
from ...sites import Site
from ...slides import Slide
from ...state.journal import Journal
from ..remote_listing import differences, harmful

log = logging.getLogger(__name__)

BUDGET = 4000
"""Questions of a run at most, for all its sites together: they cost 1.4 ms of CPU time each, 5 to 6 seconds in all."""

AT_ONCE = 16  # questions


class Recheck:
    """Of one site. `period` in seconds; None: nothing is looked at again. `budget`: questions at most.

    `overdue`: slides of this run that had to wait, although they were not looked at for the whole period.
    """

    def __init__(
        self, site: Site, core: PmaCore, journal: Journal, clock: Clock, period: float | None, budget: int
    ) -> None:
        self._site = site
        self._core = core
        self._journal = journal
        self._clock = clock
        self._period = period
        self._budget = self._left = budget
        self._oldest = 0.0  # what was looked at no later than this has its turn
        self._begun = False
        self._in_trouble = False
        self._beginning = asyncio.Lock()
        self._asking = asyncio.Semaphore(AT_ONCE)
        self.overdue = 0

    async def due(self, paths: Sequence[str]) -> set[str]:
        """Return the virtual paths of the slides that have their turn in this run."""
        if self._period is None or not paths:
            return set()
        async with self._beginning:
            if not self._begun:
                self._begun = True
                self._oldest = await self._choose(self._period)
        old = await self._journal.not_checked_since(self._site.url, paths, self._oldest)
        chosen = sorted(old, key=lambda path: old[path])[: self._left]
        self._left -= len(chosen)
        too_old = self._now() - self._period
        self.overdue += sum(last <= too_old for last in old.values()) - sum(old[path] <= too_old for path in chosen)
        return set(chosen)

    async def _choose(self, period: float) -> float:
        """Choose `_oldest`: so that the share since the last look has its turn, and those whose time is over."""
        now = self._now()
        looks = await self._journal.check_summary(self._site.url, self._site.target)
        since = looks.newest if looks.newest is not None else looks.first
        if since is None:
            return 0.0
        pause = min(max(now - since, 0.0), period)
        share = min(int(looks.slides * pause / period), self._budget)
        oldest = await self._journal.oldest_check(self._site.url, self._site.target, share) if share else 0.0
        return max(oldest, now - period + pause)

    async def differing(self, slides: Sequence[tuple[Slide, str]]) -> set[str]:
        """Look at slides, each with its virtual path. The paths of those that are not there as they should be."""
        right: list[str] = []
        wrong: set[str] = set()

        async def look(slide: Slide, path: str) -> None:
            async with self._asking:
                if self._in_trouble:
                    return
                try:
                    found = await differences(self._core, path, slide)
                except Refused as error:
                    if isinstance(error, PermissionDenied | StorageFull):
                        return  # says nothing about the slide
                    found = [str(error)]
                except PmarepError as error:
                    log.debug("%s: no more is rechecked in this run: %s", self._site.name, error)
                    self._in_trouble = True
                    return
            if harmful(found):
                wrong.add(path)
            else:
                right.append(path)

        await together(look(*one) for one in slides)
        await self._journal.record_checked(self._site.url, right, self._now())
        return wrong

    def _now(self) -> float:
        return self._clock.local().timestamp()
