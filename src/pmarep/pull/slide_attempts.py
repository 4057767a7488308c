"""The attempts at one slide of a site, until it is here or waits for the next run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from ..engine.circuit_breaker import CircuitBreaker
from ..engine.slide.action import Action
from ..errors import PmarepError, Remedy
from ..events import SlideStarted
from ..pmacore import FileChanged
from ..remote.tree import RemoteTree
from ..retry import backoff
from .context import PullContext
from .discovery import FoundSlide
from .plan import plan_slide
from .site_report import SiteReport
from .slide_download import SlideDownload, SlideDownloader

VERSIONS = 3
"""So many times a slide is looked at again because it has changed at the site while it was pulled."""

FRUITLESS_ATTEMPTS = 3
"""So many attempts at a slide without a byte more, while its site is well; then it waits for the next run."""


class SlideAttempts:
    """Brings one slide here. `probe` asks whether the site answers."""

    def __init__(
        self,
        found: FoundSlide,
        tree: RemoteTree,
        downloader: SlideDownloader,
        breaker: CircuitBreaker,
        probe: Callable[[], Awaitable[object]],
        report: SiteReport,
        context: PullContext,
    ) -> None:
        self._found = found
        self._slide = found.slide
        self._tree = tree
        self._downloader = downloader
        self._breaker = breaker
        self._probe = probe
        self._report = report
        self._context = context
        self._started = context.clock.monotonic()
        self._download: SlideDownload | None = None
        self._versions = self._fruitless = 0
        self._farthest = -1
        self._begun = False

    async def run(self) -> None:
        """Return when the outcome is recorded. Raises what ends the site or the run."""
        try:
            while True:
                await self._breaker.admit()
                try:
                    if await self._attempt():
                        return
                except PmarepError as error:
                    if not await self._is_repeated(error):
                        return
                finally:
                    self._breaker.trial_done()
        except asyncio.CancelledError:
            if self._download is not None:
                self._report.add_unfinished(self._found, self._download)
            raise

    async def _attempt(self) -> bool:
        """Make one attempt; return True when the slide is here. Raises PmarepError."""
        if self._download is None:
            context, found = self._context, self._found
            plan = await context.disk.run(
                partial(plan_slide, context.folder, found.base, self._slide, context.options.existing)
            )
            if plan.action is Action.SKIP:
                await self._report.record_skipped(found, differs=plan.differs)
                return True
            if plan.action is Action.CONFLICT:
                await self._report.record_failed(found, plan.reason, needs_decision=True)
                return True
            # A server may name another version with each answer: a whole file is of one.
            self._download = SlideDownload(self._slide, plan, found.place, by_ranges=self._versions < VERSIONS)
            self._report.begin(self._download)
            if not self._begun:
                context.listener(SlideStarted(site=self._report.site.name, slide=found.name))
            self._begun = True
        await self._downloader.bring(self._download)
        self._breaker.record_arrival(self._found.name)
        await self._report.record_pulled(self._found, self._download, self._started)
        return True

    async def _is_repeated(self, error: PmarepError) -> bool:
        """Return whether there is another attempt; record the slide where not. Raises what ends the site."""
        if isinstance(error, FileChanged) and self._versions < VERSIONS:
            try:
                return await self._look_again(error)
            except PmarepError as found:
                error = found
        try:
            if error.remedy is Remedy.RETRY and await self._makes_sense(error):
                return True
        except PmarepError as found:  # by the probe that was to tell
            error = found
        if error.remedy in (Remedy.STOP_SITE, Remedy.STOP_RUN):
            if self._download is not None:
                self._report.add_unfinished(self._found, self._download)
            raise error
        download = self._download
        self._context.disk.needed -= self._found.size if download is None else download.plan.size - download.progress
        await self._report.record_failed(self._found, str(error), self._download, self._started)
        return False

    async def _look_again(self, error: PmarepError) -> bool:
        """Ask for the slide's files once more: it is another by now."""
        self._versions += 1
        before = self._slide.size
        self._slide = await self._tree.with_files(self._slide)
        lost = 0
        if self._download is not None:
            before, lost = self._download.plan.size, self._download.discard()
            self._report.forget(self._download, self._slide.size - before)
            self._download = None
        self._context.disk.needed += lost + self._slide.size - before
        self._context.disk.reusable += lost
        if lost:
            self._report.say_restarted(self._found.name, lost, str(error))
        return True

    async def _makes_sense(self, error: PmarepError) -> bool:
        progress = self._download.progress if self._download is not None else 0
        away = await self._breaker.handle_failure(error, self._probe, self._found.name)
        if progress > self._farthest:
            self._farthest, self._fruitless = progress, 0
        elif not away:
            self._fruitless += 1
        if self._fruitless >= FRUITLESS_ATTEMPTS:
            return False
        if not away:
            await self._context.clock.sleep(backoff(self._fruitless + 1))
        return True
