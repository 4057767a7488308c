"""One site's share of a run, at its own pace: whatever happens here stops no other site."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from ...aio import together
from ...errors import PmarepError, Remedy, internal_error, where
from ...events import Notice, SiteState, SlideStatus, State
from ...pmacore import NotArrived, PmaCore
from ...reading import SiteReader
from ...sites import Site
from ...sites.site_connection import connection_of
from ...slides import Slide
from ...uploaders import NEAR, PresignedClient, Replaced, RequestScheduler, TransferCounts, UploadContext
from ..circuit_breaker import CircuitBreaker
from ..context import RunContext
from ..discovery.slide_list import SlideCursor
from ..options import Existing
from ..remote_listing import RemoteListing
from ..slide.attempt import SlideAttempts, planned
from ..slide.decide import destination
from ..slide.ownership import diagnose
from ..slide.upload import LEAVES, SlideUploader
from ..slide.verify import SlideVerifier
from .admission import AdmissionGate, Ticket
from .ahead import Ahead
from .deadline_admission import DeadlineAdmission
from .prefilter import KnownSlide, KnownSlideFilter
from .queue import SlideJob, SlideQueue
from .recheck import BUDGET, Recheck
from .report import SiteReport
from .stall_monitor import StallMonitor

log = logging.getLogger(__name__)

HELD = 1.0  # seconds after which is looked again whether there is time for a slide
QUEUEING = 0.02  # seconds after which the requests of a slide that has been announced wait for their slots


class SiteWorker:
    """`run` returns when every slide is at the site or the site is given up; it raises nothing."""

    def __init__(
        self, site: Site, core: PmaCore, scheduler: RequestScheduler, connections: int | None, shared: RunContext
    ) -> None:
        self.site = site
        self.scheduler = scheduler
        self._core = core
        self._remote = RemoteListing(core, shared.clock)
        self._shared = shared
        self._lanes = AdmissionGate(scheduler, connections)
        self._cursor = SlideCursor(shared.catalogue)
        self._turns: dict[str, Ticket] = {}  # by the paths of slides in hand
        self.account = SiteReport(site, scheduler, shared)
        self.breaker = CircuitBreaker(
            shared.clock,
            shared.options.patience,
            shared.deadline,
            self._say,
            lambda: scheduler.connections > 0 or shared.others_work(site.name),
        )
        scheduler.on_acknowledged(self.breaker.record_success)
        self._recheck = Recheck(
            site, core, shared.journal, shared.clock, shared.options.recheck, BUDGET // shared.sites
        )
        self._sieve = KnownSlideFilter(
            site, shared, self.breaker, self._remote, self._cursor, self._settled, self._is_far, self._recheck
        )
        self._ahead = Ahead(self._sieve.take)
        self._errands = SlideQueue(self._ahead.take, shared.clock)
        self._state = State.CONNECTING
        self._work: asyncio.Task[None] | None = None
        looks = shared.options.dry_run or shared.options.verify_only
        self._closing = DeadlineAdmission(None if looks else shared.ending, scheduler, shared.clock, self._say_closing)
        self._watch = StallMonitor(shared.ending, shared.clock, lambda what: self._say(self._state, what), self._stop)

    @property
    def busy(self) -> bool:
        """Whether this site has a slide in hand."""
        return bool(self._closing.in_hand)

    @property
    def works(self) -> bool:
        """Whether this site has a slide in hand, and is neither paused nor done."""
        return self.busy and self.breaker.is_closed

    async def run(self) -> None:
        self._say(State.CONNECTING)
        self._work = asyncio.create_task(self._connect_and_send())
        try:
            await asyncio.wait({self._work})
            if not self._work.cancelled():  # else it was broken off by `look`, which has said why
                self._work.result()
        except PmarepError as error:
            self.account.error = str(error)
            if error.remedy is Remedy.STOP_RUN:
                self._shared.stop_run(str(error))
        except asyncio.CancelledError:
            self._say(State.STOPPED, "interrupted")
            raise
        except Exception as error:  # a bug of ours: no reason for the other sites to stop
            log.debug("%s: internal error in %s", self.site.name, where(error))
            self.account.error = internal_error(error)
        else:
            if self.account.error is None:
                self._say(State.DONE)
        finally:
            if self.account.error is not None:
                self._say(State.STOPPED, self.account.error)
            await _end(self._work)
            self.account.close()

    async def _connect_and_send(self) -> None:
        await self._connect()
        self._say(State.RUNNING)
        await self._send_all()

    def look(self) -> None:
        """About once a second."""
        if self._work is None or self._work.done():
            return
        self._closing.look()
        waits_for = None
        if self._state in (State.CONNECTING, State.PAUSED):
            waits_for = f"{self._core.url} to answer the log-in"
        if self._closing.in_hand:
            waits_for = f"{self._core.url} to answer about {next(iter(self._closing.in_hand))}"
        sign = (
            self._state,
            self.account.settled_slides,
            self.scheduler.bytes_transferred,
            self.scheduler.bytes_in_flight,
        )
        self._watch.look(self._state, sign, waits_for)

    def _stop(self, why: str) -> None:
        """The run is to end, and this site is silent."""
        self._end_early(why)
        if self._work is not None:
            self._work.cancel()

    async def _connect(self) -> None:
        async def once() -> None:
            await self._core.login()
            await self._look_around()

        try:
            await once()
        except PmarepError as error:
            if error.remedy is not Remedy.RETRY or not self._shared.options.patience:
                raise
            await self.breaker.handle_failure(error, once)
        self.breaker.record_success()
        self._measured()

    async def _look_around(self) -> None:
        """Whether the root-directory is there, and meanwhile what is in the folder that most slides go to."""
        options = self._shared.options
        folder = "/".join(part for part in (self.site.target, options.to) if part)
        ahead = asyncio.create_task(self._look_ahead(folder))
        try:
            await self._remote.check_root(self.site.target)
            await ahead
        finally:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)

    async def _look_ahead(self, folder: str) -> None:
        with suppress(PmarepError):  # whoever needs it asks again, and hears what is wrong
            await self._remote.listing(folder)

    async def _send_all(self) -> None:
        shared = self._shared
        source = SiteReader(shared.reader)
        storage = PresignedClient(
            connection_of(self.site), allow_http=self.site.allow_http_uploads, on_round_trip=self._measured
        )

        async def retract(slide: Slide, error: str) -> None:
            at = destination(self.site, shared.options.to, slide)
            wrong = await diagnose(NotArrived(error), slide, at, inspector, shared.journal)
            if wrong is not None:
                await self.account.accuse(slide, wrong)

        inspector = SlideVerifier(
            self.site.name,
            self._core,
            source,
            shared.digests,
            shared.clock,
            shared.fingerprints,
            lambda slide: destination(self.site, shared.options.to, slide).path,
            retract,
            self.account.accuse,
        )
        try:
            context = UploadContext(self._core, storage, self.scheduler, source, shared.digests, shared.journal)
            shipper = SlideUploader(
                context,
                self._remote,
                inspector,
                shared.options.verify,
                shared.clock,
                shared.ids_of(self.site.url),
                shared.options.existing is not Existing.OVERWRITE,
                self.account.restarted,
                self._announced,
                hashed=shared.audit is not None,
                deletions=shared.deletions,
            )
            bringer = SlideAttempts(
                self.site,
                shared,
                self.breaker,
                self._remote,
                inspector,
                shipper,
                self._waits,
                self._arrived,
                self._sieve.doubted,
            )
            try:
                await self._run_lanes(bringer)
            finally:
                self.account.left(bringer.left, bringer.changed)
                self.account.say_overdue(self._recheck.overdue)
        finally:
            source.close()
            await storage.close()

    async def _run_lanes(self, bringer: SlideAttempts) -> None:
        """Several slides at a time. Raises what ends the site."""
        try:
            await self._feed_and_run_lanes(bringer)
        except (PmarepError, asyncio.CancelledError) as end:
            # What ends the site is said once for all slides, unless it leaves one in a state that people have to know.
            early = self.account.ended_early
            await self._give_up(
                lambda errand: _harmed(errand.sent) or (early and errand.error is not None), str(end) or "interrupted"
            )
            raise
        finally:
            await self._errands.close()

    async def _feed_and_run_lanes(self, bringer: SlideAttempts) -> None:
        work = (
            together(self._lane(bringer) for _ in range(self._lanes.number)),
            together([self._sieve.run(), self._ahead.run()]),
        )
        tasks = lanes, feeding = [asyncio.create_task(one) for one in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done() and feeding.exception() is None:
                await asyncio.wait({lanes})
        finally:  # lanes that have ended, because the run is to end, want no more
            self.account.broken_off = self.scheduler.bytes_in_flight
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()

    def _measured(self, to_storage: float = 0.0) -> None:
        """The storage may be far from PMA.core: the longer way counts. Seconds."""
        if longest := max(self._core.round_trip or 0.0, to_storage):
            self.scheduler.set_round_trip(longest)

    def _is_far(self) -> bool:
        return (self._core.round_trip or 0.0) >= NEAR

    async def _settled(self, settled: Sequence[KnownSlide]) -> None:
        """The sieve has found that nothing has to be done about these, or by a dry run not more than to say so."""
        for slide, at, decision in settled:
            if self._shared.options.dry_run:
                self._shared.listener(planned(slide, at, decision))
            log.info("%s: %s: %s (%s)", self.site.name, slide.path, decision.action.value, decision.reason)
        for sends, status in ((True, SlideStatus.SENT), (False, SlideStatus.SKIPPED)):
            await self.account.settled([one[0] for one in settled if one[2].sends is sends], status)

    async def _lane(self, bringer: SlideAttempts) -> None:
        while await self._next(bringer):
            pass

    async def _next(self, bringer: SlideAttempts) -> bool:
        """One slide, in its turn; whether there was one."""
        turn, errand = await self._lanes.turn(), None
        try:
            errand = await self._errands.take(new_first=self.breaker.is_half_open)
            if errand is None:
                return False
            await self.breaker.admit()
            if self._too_late():
                self.breaker.trial_done()
                self._errands.put_back(errand)
                await self._give_up(lambda errand: errand.error is not None)
                return False
            if not self._closing.may_begin(errand):
                await self._hold_back(errand, turn)
                return True
            self._turns[errand.slide.path] = turn
            try:
                done = await self._closing.attempt(errand, self._one(errand, bringer))
            finally:
                del self._turns[errand.slide.path]
            if not done:
                self._errands.put_back(errand)
            return True
        except asyncio.CancelledError:  # the site is given up, or the run: what becomes of the slide is said there
            if errand is not None and not errand.ended:
                self._errands.put_back(errand)
            raise
        finally:
            turn.end()
            self._over(turn)

    async def _hold_back(self, errand: SlideJob, turn: Ticket) -> None:
        """There may be no time for it; a smaller one may fit, and this one as soon as the line is faster."""
        self.breaker.trial_done()
        turn.end()
        if self.busy:
            await self._shared.clock.sleep(HELD)
            self._errands.put_back(errand)
            return
        self._end_early()  # the rate will not be another any more
        if errand.error is not None:
            await self._ended(errand, SlideStatus.FAILED, errand.error)

    def _say_closing(self) -> None:
        if self._shared.ending is not None:
            end = f"the end ({self._shared.ending.option}) is near"
            text = f"{self.site.name}: {end}; only slides that can be there by then are begun"
            self._shared.listener(Notice(text=text, passing=True))

    def _too_late(self) -> bool:
        deadline = self._shared.deadline
        if deadline is None or self._shared.clock.monotonic() <= deadline:
            return False
        self._end_early()
        return True

    def _end_early(self, why: str = "") -> None:
        """Slides that were not begun are for the next run."""
        ending = self._shared.ending
        if ending is not None:
            self.account.ended_early = True
            self.account.error = f"stopped at {ending.option}{why and ' ' + why}; the next run sends the rest"

    def _announced(self, slide: Slide) -> None:
        """Its requests with bytes come now."""
        asyncio.get_running_loop().call_later(QUEUEING, self._over, self._turns[slide.path])

    async def _arrived(self, errand: SlideJob, status: SlideStatus, attempt: TransferCounts) -> None:
        sent = replace(errand.sent)
        sent.add(attempt)
        await self.account.arrived(errand.slide, status, sent, errand.started)

    def _waits(self, slide: Slide) -> None:
        """Until the site is well again; others may try whether it is."""
        self._turns[slide.path].end()

    def _over(self, turn: Ticket) -> None:
        turn.over()
        self.scheduler.ending(self._errands.at_the_end and self._lanes.preparing == 0)

    async def _one(self, errand: SlideJob, bringer: SlideAttempts) -> bool:
        """One attempt; False if there is to be another. Raises only what concerns the whole site."""
        before = errand.sent.bytes, errand.sent.resumed
        try:
            outcome = await bringer.bring(errand)
        except PmarepError as problem:
            ends = problem.remedy in (Remedy.STOP_SITE, Remedy.STOP_RUN)
            if not ends or _harmed(errand.sent):
                await self._ended(errand, SlideStatus.FAILED, str(problem))
            if ends:
                raise
        else:
            if outcome is None:
                return False
            await self._ended(errand, *outcome)
            if outcome[0] is SlideStatus.SKIPPED:
                self.breaker.record_read_ok()
            elif outcome[0] is not SlideStatus.FAILED:
                self.breaker.record_arrival(errand.slide.path)
        finally:
            self.account.moved(errand.sent.bytes - before[0], errand.sent.resumed - before[1])
        self.breaker.trial_done()
        return True

    async def _give_up(self, which: Callable[[SlideJob], bool], why: str = "") -> None:
        """Those that are not tried again; of some something is said, and `why` where they have not failed yet."""
        for errand in self._errands.give_up():
            if which(errand):
                await self._ended(errand, SlideStatus.FAILED, errand.error or why)
            elif errand.begun:
                self.account.unfinished(errand.sent)

    async def _ended(self, errand: SlideJob, status: SlideStatus, error: str | None) -> None:
        errand.ended = True
        if error is not None and errand.sent.replaced and status is SlideStatus.FAILED:
            error = f"{error}; {LEAVES[errand.sent.replaced]}"
        await self.account.ended(errand.slide, status, errand.sent, errand.started, error)

    def _say(self, state: State, reason: str | None = None) -> None:
        self._state = state
        self._shared.listener(SiteState(site=self.site.name, state=state, reason=reason))


def _harmed(sent: TransferCounts) -> bool:
    """Whether a slide that was to be replaced is no longer what it was."""
    return sent.replaced > Replaced.INTACT


async def _end(task: asyncio.Task[None]) -> None:
    """Cancelled, if it is not done, and waited for; whatever it ends with is somebody else's to hear."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
