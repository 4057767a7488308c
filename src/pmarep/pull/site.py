"""One site's share of a pull, at its own pace: whatever happens here stops no other site."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ..aio import ChangeEvent, TaskPool, together
from ..engine.circuit_breaker import CircuitBreaker
from ..engine.slide.action import Action
from ..errors import PmarepError, Remedy, internal_error, where
from ..events import SiteState, State
from ..pmacore import PmaCore
from ..remote.tree import RemoteTree
from ..sites import Site
from ..sites.place import Place
from .context import PullContext
from .discovery import FoundSlide, FoundSlides, SlideFinder
from .file_download import FileDownloader
from .plan import Plan
from .scheduler import DownloadScheduler
from .site_report import SiteReport
from .slide_attempts import SlideAttempts
from .slide_download import SlideDownloader

log = logging.getLogger(__name__)

MOST, PREPARING = 64, 16
"""Slides of a site at once, at most; and so many more than downloads: their lists are compared, or asked for again."""


class SitePull:
    """Brings the slides of one site's places to DIR."""

    def __init__(
        self, site: Site, places: Sequence[Place], core: PmaCore, scheduler: DownloadScheduler, context: PullContext
    ) -> None:
        self.site = site
        self.report = SiteReport(site, scheduler, context)
        self._places = places
        self._core = core
        self._scheduler = scheduler
        self._context = context
        self._breaker = CircuitBreaker(
            context.clock,
            context.options.patience,
            context.deadline,
            self._say_state,
            lambda: scheduler.connections > 0 or context.others_work(site.name),
        )
        self._tree = RemoteTree(core)
        files = FileDownloader(
            core, scheduler, context.folder, context.disk, self._say_restarted, self._breaker.record_success
        )
        self._downloader = SlideDownloader(self._tree, files, context.disk)
        self._found = FoundSlides()
        self._all_found = False
        self._changed = ChangeEvent()
        self._names: dict[str, str] = {}  # of slides under way, by their paths at the site
        self._in_use: set[str] = set()  # files of slides under way, by their paths at the site
        self._running = False

    @property
    def works(self) -> bool:
        """Return whether slides of this site are under way, and it is not paused."""
        return bool(self._names) and self._breaker.is_closed

    def tick(self) -> None:
        """Say how far the site is; to be called about once a second."""
        self._context.listener(self.report.progress())

    def discount_sleep(self, seconds: float) -> None:
        """Count the time for which this machine was asleep as no absence of the site."""
        self._breaker.discount_sleep(seconds)

    async def run(self) -> None:
        """Return when every slide is here or the site is given up. Raises nothing but CancelledError."""
        self._say_state(State.CONNECTING)
        try:
            await self._connect()
            self._say_state(State.RUNNING)
            await together([self._find(), self._pull()])
        except PmarepError as error:
            self.report.error = str(error)
            if error.remedy is Remedy.STOP_RUN:
                self._context.stop_run(str(error))
        except asyncio.CancelledError:
            self._say_state(State.STOPPED, "interrupted")
            raise
        except Exception as error:  # a bug of ours: no reason for the other sites to stop
            log.debug("%s: internal error in %s", self.site.name, where(error))
            self.report.error = internal_error(error)
        else:
            self._say_state(State.DONE)
        finally:
            if self.report.error is not None:
                self._say_state(State.STOPPED, self.report.error)
            self.report.close()
            self._found.close()

    async def _connect(self) -> None:
        try:
            await self._core.login()
        except PmarepError as error:
            if error.remedy is not Remedy.RETRY or not self._context.options.patience:
                raise
            await self._breaker.handle_failure(error, self._core.login)
        self._breaker.record_success()
        self._scheduler.set_round_trip(self._core.round_trip or 0.0)

    # Finding

    async def _find(self) -> None:
        finder = SlideFinder(
            self._tree,
            self._context,
            self.report.record_found,
            self._planned,
            lambda name, error: self.report.record_failed(name, str(error)),
            self.report.say_problem,
            lambda error: self._breaker.handle_failure(error, self._core.probe, sending=False),
        )
        for place in self._places:
            await finder.find(place)
        self._all_found = True
        self._changed.notify()

    async def _planned(self, found: FoundSlide, plan: Plan) -> None:
        if self._context.options.dry_run:
            self.report.say_planned(found, plan)
            self._context.disk.needed += plan.size
        elif plan.action is Action.SKIP:
            await self.report.record_skipped(found, differs=plan.differs)
        elif plan.action is Action.CONFLICT:
            await self.report.record_failed(found, plan.reason, needs_decision=True)
        else:
            self.report.add(plan.size)
            self._context.disk.needed += plan.size
            await self._context.disk.check_room()
            self._found.extend([found])
            self._changed.notify()

    # Pulling

    async def _pull(self) -> None:
        pool, index = TaskPool(), 0
        try:
            while not (self._all_found and index == len(self._found)) and not self._too_late():
                if index < len(self._found) and self._may_begin():
                    await self._breaker.wait_answering()
                    pool.start(self._bring(self._found[index]))
                    index += 1
                    await asyncio.sleep(0)  # so that it is counted
                else:
                    await self._wait(pool)
            await pool.wait()
        finally:
            await pool.cancel()
        pool.raise_error()

    def _may_begin(self) -> bool:
        return self._scheduler.waiting == 0 and len(self._names) < min(MOST, self._scheduler.limit + PREPARING)

    def _too_late(self) -> bool:
        deadline = self._context.deadline
        if deadline is None or self._context.clock.monotonic() < deadline:
            return False
        if self.report.open > len(self._names) or not self._all_found:
            self.report.ended_early = True
        return True

    async def _wait(self, pool: TaskPool) -> None:
        """Wait until something has changed, a slide has failed for all, or a second has passed."""
        waiting = [asyncio.ensure_future(one.wait()) for one in (self._changed, self._scheduler.changed)]
        try:
            await asyncio.wait(waiting, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()
        pool.raise_error()

    async def _bring(self, found: FoundSlide) -> None:
        """Bring one slide here, with as many attempts as make sense. Raises what ends the site or the run."""
        files = {file.path for file in found.slide.files}
        self._names[found.slide.path] = found.name
        try:
            while not self._in_use.isdisjoint(files):  # two slides may have a file in common
                await self._changed.wait()
            self._in_use |= files
            try:
                await SlideAttempts(
                    found, self._tree, self._downloader, self._breaker, self._core.probe, self.report, self._context
                ).run()
                self.report.open -= 1
            finally:
                self._in_use -= files
        finally:
            del self._names[found.slide.path]
            self._changed.notify()

    def _say_restarted(self, slide: str, lost: int, why: str) -> None:
        self.report.say_restarted(self._names.get(slide, slide), lost, why)

    def _say_state(self, state: State, reason: str | None = None, retry_seconds: float | None = None) -> None:
        self._context.listener(SiteState(site=self.site.name, state=state, reason=reason, retry_seconds=retry_seconds))
