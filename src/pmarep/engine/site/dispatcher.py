"""Bring the slides of one site there, several at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ...aio import TaskPool
from ...errors import PmarepError, Remedy
from ...events import SlideStatus
from ...slides import Slide
from ...uploaders import Replaced, RequestScheduler, TransferCounts
from ..circuit_breaker import CircuitBreaker
from ..context import RunContext
from ..slide.attempt import SlideAttempts
from ..slide.job import Outcome, SlideJob
from ..slide.upload import LEAVES
from .admission import AdmissionGate, Ticket
from .deadline_admission import DeadlineAdmission
from .prefilter import KnownSlideFilter
from .queue import SlideQueue
from .report import SiteReport

log = logging.getLogger(__name__)

HELD = 1.0  # seconds after which is looked again whether there is time for a slide
QUEUEING = 0.02  # seconds after which the requests of a slide that has been announced wait for their slots


class SlideThere(Protocol):
    """Hears of each slide that is at the site as it should be; `planned`: that a dry run would send there."""

    def __call__(self, slide: Slide, *, planned: bool) -> None: ...


class SlideDispatcher:
    """Starts a task for each slide of one site as soon as the site can take one more; owns their tickets."""

    def __init__(
        self,
        context: RunContext,
        scheduler: RequestScheduler,
        admission: AdmissionGate,
        breaker: CircuitBreaker,
        deadline_gate: DeadlineAdmission,
        report: SiteReport,
        slide_there: SlideThere,
    ) -> None:
        self._context = context
        self._slide_there = slide_there
        self._scheduler = scheduler
        self._admission = admission
        self._breaker = breaker
        self._deadline_gate = deadline_gate
        self._report = report
        self._queue = SlideQueue(context.clock)
        self._tickets: dict[str, Ticket] = {}  # by the paths of slides in progress

    async def run(self, prefilter: KnownSlideFilter, attempts: SlideAttempts) -> None:
        """Return when no slide is left, or the run is to end. Raise what ends the site."""
        pool = TaskPool()
        filtering = pool.start(self._filter(prefilter))
        pool.start(self._dispatch(pool, filtering, attempts))
        try:
            try:
                await pool.wait()
            finally:
                self._report.bytes_broken_off = self._scheduler.bytes_in_flight
                await pool.cancel()
            pool.raise_error()
            await self._give_up(lambda job: job.error is not None)
        except (PmarepError, asyncio.CancelledError) as end:
            # What ends the site is said once for all slides, unless it leaves one in a state that people have to know.
            early = self._report.ended_early
            await self._give_up(
                lambda job: _harmed(job.counts) or (early and job.error is not None), str(end) or "interrupted"
            )
            raise

    async def _filter(self, prefilter: KnownSlideFilter) -> None:
        await prefilter.run(self._queue.put)
        self._queue.close()

    async def _dispatch(self, pool: TaskPool, filtering: asyncio.Task[None], attempts: SlideAttempts) -> None:
        while True:
            await self._admission.wait()
            await self._breaker.wait_answering()  # only then is it known whether a new slide had better be tried
            job = await self._queue.get(new_first=self._breaker.is_half_open)
            if job is None:
                return
            await self._breaker.admit()
            if self._too_late():
                self._breaker.trial_done()
                filtering.cancel()
                return
            if self._deadline_gate.may_begin(job):
                self._deadline_gate.begin(job)
                ticket = self._tickets[job.slide.path] = self._admission.admit()
                pool.start(self._make_attempt(job, ticket, attempts))
            else:
                await self._hold_back(job)

    async def _make_attempt(self, job: SlideJob, ticket: Ticket, attempts: SlideAttempts) -> None:
        """Make one attempt at a slide, and put it back if there is to be another. Raise what ends the site."""
        with self._in_progress(job, ticket):
            try:
                outcome = await attempts.run(job)
            except PmarepError as error:
                if await self._is_repeated(job, error, attempts):
                    self._queue.put_back(job)
                    return
            else:
                await self._record(job, outcome)
                if outcome.status in (SlideStatus.SENT, SlideStatus.SKIPPED):
                    planned = self._context.options.dry_run and outcome.status is SlideStatus.SENT
                    self._slide_there(job.slide, planned=planned)
                if outcome.status in (SlideStatus.SKIPPED, SlideStatus.LEFT_OUT):
                    self._breaker.record_read_ok()
                elif outcome.status is not SlideStatus.FAILED:
                    self._breaker.record_arrival(job.slide.path)
            self._breaker.trial_done()
            self._queue.done(job)

    @contextmanager
    def _in_progress(self, job: SlideJob, ticket: Ticket) -> Iterator[None]:
        """Count a slide as in progress; put it back where it is withdrawn, since it cannot be there by the end."""
        before = job.counts.bytes, job.counts.resumed
        self._deadline_gate.attempt_begins(job)
        try:
            yield
        except asyncio.CancelledError:
            if not self._deadline_gate.withdraws(job):
                raise
            job.begun = False
            self._breaker.trial_done()
            self._queue.put_back(job)
        finally:
            self._deadline_gate.end(job)
            self._report.add_bytes(job.counts.bytes - before[0], job.counts.resumed - before[1])
            del self._tickets[job.slide.path]
            ticket.end()
            self._end_preparation(ticket)

    async def _is_repeated(self, job: SlideJob, error: PmarepError, attempts: SlideAttempts) -> bool:
        """Return whether there is another attempt; record the slide where not. Raise what ends the site."""
        try:
            if await attempts.may_be_repeated(job, error):
                return True
        except PmarepError as found:  # by the probe that was to tell
            error = found
        ends = error.remedy in (Remedy.STOP_SITE, Remedy.STOP_RUN)
        if not ends or _harmed(job.counts):
            await self._record(job, Outcome(SlideStatus.FAILED, str(error)))
        if ends:
            raise error
        return False

    async def _hold_back(self, job: SlideJob) -> None:
        """Leave a slide for later: a smaller one may be there in time, and this one if the line becomes faster."""
        self._breaker.trial_done()
        if self._deadline_gate.in_progress:
            self._queue.hold(job, HELD)
            return
        self.end_early()  # the rate will not be another any more
        if job.error is not None:
            await self._record(job, Outcome(SlideStatus.FAILED, job.error))
        self._queue.done(job)

    def _too_late(self) -> bool:
        deadline = self._context.deadline
        if deadline is None or self._context.clock.monotonic() <= deadline:
            return False
        self.end_early()
        return True

    def end_early(self, why: str = "") -> None:
        """Leave the slides that were not begun to the next run, since this one is to end."""
        stop_time = self._context.stop_time
        if stop_time is not None:
            self._report.ended_early = True
            self._report.error = f"stopped at {stop_time.option}{why and ' ' + why}; the next run sends the rest"

    def slide_announced(self, slide: Slide) -> None:
        """End the preparation of a slide whose requests with bytes come now."""
        ticket = self._tickets.get(slide.path)
        if ticket is not None:
            asyncio.get_running_loop().call_later(QUEUEING, self._end_preparation, ticket)

    def slide_waits(self, slide: Slide) -> None:
        """Give up the ticket of a slide that waits until the site is well again."""
        self._tickets[slide.path].end()

    def _end_preparation(self, ticket: Ticket) -> None:
        ticket.end_preparation()
        self._scheduler.set_draining(self._queue.exhausted and self._admission.preparing == 0)

    async def _give_up(self, which: Callable[[SlideJob], bool], why: str = "") -> None:
        """End the jobs that are not tried again. Those that `which` selects failed: with their last error, or `why`."""
        for job in self._queue.drain():
            if job.ended:
                continue
            if which(job):
                await self._record(job, Outcome(SlideStatus.FAILED, job.error or why))
            elif job.begun:
                self._report.add_unfinished(job.slide, job.counts)

    async def _record(self, job: SlideJob, outcome: Outcome) -> None:
        job.ended = True
        if outcome.error is not None and job.counts.replaced:
            outcome = outcome._replace(error=f"{outcome.error}; {LEAVES[job.counts.replaced]}")
        await self._report.record_outcome(job.slide, outcome, job.counts, job.started)


def _harmed(counts: TransferCounts) -> bool:
    """Return whether a slide that was to be replaced is no longer what it was."""
    return counts.replaced > Replaced.INTACT
