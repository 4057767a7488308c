"""One site's share of a run, at its own pace: whatever happens here stops no other site."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import replace

from ...errors import PmarepError, Remedy, internal_error, where
from ...events import Notice, SiteState, SlideStatus, State
from ...limits import NEAR
from ...pmacore import NotArrived, PmaCore
from ...sites import Site
from ...sites.site_connection import connection_of
from ...slides import Slide
from ...source import SiteReader
from ...uploaders import PresignedClient, RequestScheduler, TransferCounts, UploadContext
from ..circuit_breaker import CircuitBreaker
from ..context import RunContext
from ..discovery.slide_list import SiteSlides
from ..gate.site_gate import SiteGate
from ..label_images import LabelLooks, LabelPolicy
from ..mirror.site_mirror import SiteMirror
from ..options import Existing
from ..remote_listing import RemoteListing
from ..site_events import KnownSlide
from ..slide.announce import UploadAnnouncer
from ..slide.attempt import SlideAttempts, planned
from ..slide.decide import destination
from ..slide.job import SlideJob
from ..slide.ownership import diagnose
from ..slide.prepared_attempt import PreparedSlideAttempts
from ..slide.upload import SlideUploader
from ..slide.verify import SlideVerifier
from .admission import AdmissionGate
from .annotations import SiteAnnotations
from .deadline_admission import DeadlineAdmission
from .dispatcher import SlideDispatcher
from .prefilter import KnownSlideFilter
from .recheck import BUDGET, Recheck
from .report import SiteReport
from .stall_monitor import StallMonitor

log = logging.getLogger(__name__)

BROKEN_OFF = "interrupted"
"""Why a site is STOPPED of which nothing is wrong: its run ends."""


class SiteWorker:
    """Brings the slides of a run to one site; its SiteEvents."""

    def __init__(
        self, site: Site, core: PmaCore, scheduler: RequestScheduler, connections: int | None, context: RunContext
    ) -> None:
        self.site = site
        self.scheduler = scheduler
        self._core = core
        self._context = context
        self.report = SiteReport(site, scheduler, context)
        self.breaker = CircuitBreaker(
            context.clock,
            context.options.patience,
            context.deadline,
            self.state_changed,
            lambda: scheduler.connections > 0 or context.others_work(site.name),
        )
        self._slides = SiteSlides(context.slide_list, site.name)
        self._gate = SiteGate(site, context.gate, self._slides.names)
        self._preparation = self._gate.preparation
        looks = context.labels
        if self._preparation is not None:
            looks = LabelLooks(self._preparation.reader, context.journal)
        self._labels = LabelPolicy(
            site,
            context.options,
            looks,
            self._slides,
            context.journal,
            context.clock,
            context.listener,
        )
        self._listings = RemoteListing(core, context.clock)
        self._recheck = Recheck(
            site, core, context.journal, context.clock, context.options.recheck, BUDGET // context.sites
        )
        self._admission = AdmissionGate(scheduler, connections)
        only_looks = context.options.dry_run or context.options.verify_only
        stop_time = None if only_looks else context.stop_time
        self._deadline_gate = DeadlineAdmission(stop_time, scheduler, context.clock, self._say_end_is_near)
        self._annotations: SiteAnnotations | None = None
        if context.annotations is not None:
            self._annotations = SiteAnnotations(site, core, context.annotations, context, self.report)
        self._dispatcher = SlideDispatcher(
            context, scheduler, self._admission, self.breaker, self._deadline_gate, self.report, self._slide_there
        )
        self._stall_monitor = StallMonitor(
            context.stop_time, context.clock, lambda what: self.state_changed(self._state, what), self._stop
        )
        scheduler.on_acknowledged(self.breaker.record_success)
        self._state = State.CONNECTING
        self._task: asyncio.Task[None] | None = None  # while it runs
        self._broken_off = False

    @property
    def busy(self) -> bool:
        """Return whether this site has a slide in progress."""
        return bool(self._deadline_gate.in_progress)

    @property
    def works(self) -> bool:
        """Return whether this site has a slide in progress, and is neither paused nor done."""
        return self.busy and self.breaker.is_closed

    async def run(self) -> None:
        """Return when every slide is at the site or the site is given up. Raises nothing but CancelledError."""
        with self._says_how_it_ends():
            await self._connect()
            self.state_changed(State.RUNNING)
            async with self._clients() as (source, storage):
                prefilter, attempts = self._parts(source, storage)
                try:
                    await self._dispatcher.run(prefilter, attempts)
                    if self._annotations is not None:
                        await self._annotations.finish()
                    if self._context.mirror is not None:
                        await SiteMirror(self.site, self._core, self._context.mirror, self._context, self.report).run()
                finally:
                    if self._annotations is not None:
                        await self._annotations.cancel()
                    self.report.add_left_alone(attempts.left, attempts.changed)
                    self.report.say_overdue(self._recheck.overdue)

    @contextmanager
    def _says_how_it_ends(self) -> Iterator[None]:
        """Say that the site's share of the run begins, and how it ends. The block raises nothing but CancelledError."""
        self._task = asyncio.current_task()
        self.state_changed(State.CONNECTING)
        try:
            yield
        except PmarepError as error:
            self.report.error = str(error)
            if error.remedy is Remedy.STOP_RUN:
                self._context.stop_run(str(error))
        except asyncio.CancelledError:
            if not self._broken_off:  # else `_stop` has said why
                self.state_changed(State.STOPPED, BROKEN_OFF)
                raise
        except Exception as error:  # a bug of ours: no reason for the other sites to stop
            log.debug("%s: internal error in %s", self.site.name, where(error))
            self.report.error = internal_error(error)
        else:
            if self.report.error is None:
                self.state_changed(State.DONE)
        finally:
            self._task = None
            if self.report.error is not None:
                self.state_changed(State.STOPPED, self.report.error)
            self.report.close()

    @asynccontextmanager
    async def _clients(self) -> AsyncIterator[tuple[SiteReader, PresignedClient]]:
        """Yield what reads slides for this site, and what sends them to its storage."""
        reader = self._context.reader if self._preparation is None else self._preparation.reader
        with closing(SiteReader(reader)) as source:
            self.report.finished = source.done
            storage = PresignedClient(
                connection_of(self.site), allow_http=self.site.allow_http_uploads, on_round_trip=self._set_round_trip
            )
            try:
                yield source, storage
            finally:
                await storage.close()

    def tick(self) -> None:
        """Measure the rate, and notice a site that is silent; to be called about once a second."""
        if self._task is None:
            return
        self._deadline_gate.tick()
        waits_for = None
        if self._state in (State.CONNECTING, State.PAUSED):
            waits_for = f"{self._core.url} to answer the log-in"
        if self.busy:
            path = next(iter(self._deadline_gate.in_progress)).slide.path
            command = self._gate.command_of(path)
            waits_for = f"{self._core.url} to answer about {path}" if command is None else f"{command} of {path}"
        sign = self._state, self.report.slides_known, self.scheduler.bytes_transferred, self.scheduler.bytes_in_flight
        self._stall_monitor.tick(self._state, sign, waits_for)

    def _stop(self, why: str) -> None:
        """Break off: the run is to end, and this site is silent."""
        self._dispatcher.end_early(why)
        self._broken_off = True
        if self._task is not None:
            self._task.cancel()

    async def _connect(self) -> None:
        """Log in and find the target; wait for a site that is away. Raises PmarepError."""

        async def once() -> None:
            await self._core.login()
            await self._find_target()

        try:
            await once()
        except PmarepError as error:
            if error.remedy is not Remedy.RETRY or not self._context.options.patience:
                raise
            await self.breaker.handle_failure(error, once)
        self.breaker.record_success()
        self._set_round_trip()

    async def _find_target(self) -> None:
        """Check that the root-directory is there, and list meanwhile the folder that most slides go to."""
        options = self._context.options
        folder = "/".join(part for part in (self.site.target, options.to) if part)
        listing = asyncio.create_task(self._list_ahead(folder))
        try:
            await self._listings.check_root(self.site.target)
            await listing
        finally:
            listing.cancel()
            await asyncio.gather(listing, return_exceptions=True)

    async def _list_ahead(self, folder: str) -> None:
        with suppress(PmarepError):  # whoever needs it asks again, and hears what is wrong
            await self._listings.listing(folder)

    def _parts(self, source: SiteReader, storage: PresignedClient) -> tuple[KnownSlideFilter, SlideAttempts]:
        """Wire together what finds out which slides are to be sent, and what sends them."""
        context = self._context
        digests = context.digests if self._preparation is None else self._preparation.digests
        verifier = self._verifier = SlideVerifier(
            self.site.name,
            self._core,
            source,
            digests,
            context.clock,
            context.fingerprints,
            lambda slide: destination(self.site, context.options.to, slide).path,
            self,
            self._gate.named,
        )
        uploads = UploadContext(self._core, storage, self.scheduler, source, digests, context.journal)
        announcer = UploadAnnouncer(
            uploads,
            self._listings,
            verifier,
            context.clock,
            context.ids_of(self.site.url),
            self,
            context.deletions,
        )
        uploader = SlideUploader(
            uploads,
            self._listings,
            verifier,
            context.options.verify,
            announcer,
            context.options.existing is not Existing.OVERWRITE,
            self,
            hashed=context.audit is not None,
        )
        prefilter = KnownSlideFilter(
            self.site,
            context,
            self.breaker,
            self._listings,
            self._recheck,
            self,
            lambda: (self._core.round_trip or 0.0) >= NEAR,
            self._gate,
        )
        attempts = (PreparedSlideAttempts if self._gate.prepares else SlideAttempts)(
            self.site,
            context,
            self.breaker,
            self._listings,
            verifier,
            uploader,
            self,
            prefilter.differing,
            self._labels,
            self._gate,
        )
        return prefilter, attempts

    def _slide_there(self, slide: Slide, *, planned: bool) -> None:
        """Let the annotations of a slide follow it, which is at the site now or would be sent by a dry run."""
        if self._annotations is not None:
            self._annotations.add(slide, planned=planned)

    def _set_round_trip(self, to_storage: float = 0.0) -> None:
        """Tell the scheduler how long the way is, in seconds; the storage may be farther away than PMA.core."""
        if longest := max(self._core.round_trip or 0.0, to_storage):
            self.scheduler.set_round_trip(longest)

    def _say_end_is_near(self) -> None:
        if self._context.stop_time is not None:
            end = f"the end ({self._context.stop_time.option}) is near"
            text = f"{self.site.name}: {end}; only slides that can be there by then are begun"
            self._context.listener(Notice(text=text, passing=True))

    # SiteEvents

    def state_changed(self, state: State, reason: str | None = None, retry_seconds: float | None = None) -> None:
        """Say in which state the site is, why, and when it is tried again."""
        self._state = state
        self._context.listener(SiteState(site=self.site.name, state=state, reason=reason, retry_seconds=retry_seconds))

    async def slides_known(self, known: Sequence[KnownSlide]) -> None:
        """Record slides about which nothing has to be done, or by a dry run no more than to say so."""
        if any(decision.sends for _, _, decision in known):
            await self._labels.warn()
        for slide, at, decision in known:
            if self._context.options.dry_run:
                self._context.listener(planned(slide, at, decision))
            log.info("%s: %s: %s (%s)", self.site.name, slide.path, decision.action.value, decision.reason)
        for sends, status in ((True, SlideStatus.SENT), (False, SlideStatus.SKIPPED)):
            await self.report.record_known([one[0] for one in known if one[2].sends is sends], status)
        for slide, _, decision in known:
            self._slide_there(slide, planned=decision.sends)

    def slide_excluded(self, slide: Slide) -> None:
        """Keep nothing of the slide for the site."""
        self.report.finished(slide)

    def slide_announced(self, slide: Slide) -> None:
        """End the preparation of the slide."""
        self._dispatcher.slide_announced(slide)

    def slide_waits(self, slide: Slide) -> None:
        """Let others begin while the slide waits."""
        self._dispatcher.slide_waits(slide)

    def slide_restarted(self, slide: Slide, lost: int, reason: str) -> None:
        """Say that so many bytes of a slide have to be sent again."""
        self.report.say_restarted(slide.path, lost, reason)

    async def slide_arrived(self, job: SlideJob, status: SlideStatus, attempt: TransferCounts) -> None:
        """Put on record that the slide is there whole, with the bytes of all its attempts."""
        counts = replace(job.counts)
        counts.add(attempt)
        await self.report.record_arrival(job.slide, status, counts, job.started)

    async def slide_wrong(self, slide: Slide, error: str) -> None:
        """Find out what is wrong with a slide that was said to be there, tell the journal, and take it back."""
        at = destination(self.site, self._context.options.to, slide)
        wrong = await diagnose(NotArrived(error), slide, at, self._verifier, self._context.journal)
        if wrong is not None:
            await self.slide_suspect(slide, wrong)

    async def slide_suspect(self, slide: Slide, reason: str) -> None:
        """Take back that a slide is there."""
        await self.report.record_retraction(slide, reason)
