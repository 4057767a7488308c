"""Make one attempt at a slide for one site: decide, upload or look, verify, record."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from ...errors import PmarepError, Remedy, SourceError
from ...events import SlidePlanned, SlideStarted, SlideStatus, VerifiedBy
from ...pmacore import NotArrived, Overtaken, PmaCore
from ...sites import Site
from ...slides import Slide
from ...source.prepared import NotPrepared, PreparedSlide
from ...state.records import SENT, Entry, are_of_one_source
from ...units import format_size
from ...uploaders import TransferCounts
from ..circuit_breaker import CircuitBreaker, Probe
from ..context import RunContext
from ..gate.site_gate import SiteGate
from ..label_images import LabelPolicy
from ..options import Options, Verify
from ..remote_listing import RemoteListing
from ..site_events import SiteEvents
from .action import Action
from .announced_upload import kept_of
from .decide import Decision, Destination, decide, destination
from .job import Outcome, SlideJob
from .ownership import ContentCheck, diagnose, known_wrong
from .upload import SlideUploader
from .verify import SlideVerifier

log = logging.getLogger(__name__)


class SlideAttempts:
    """Makes attempts at the slides of one site: decide, upload or look, verify, record.

    `differing`: paths of slides that the journal knows to be there, and that are not there as they should be.
    """

    def __init__(
        self,
        site: Site,
        context: RunContext,
        breaker: CircuitBreaker,
        listings: RemoteListing,
        verifier: SlideVerifier,
        uploader: SlideUploader,
        events: SiteEvents,
        differing: Container[str],
        labels: LabelPolicy,
        gate: SiteGate,
    ) -> None:
        self._site = site
        self._context = context
        self._breaker = breaker
        self._listings = listings
        self._verifier = verifier
        self._uploader = uploader
        self._events = events
        self._differing = differing
        self._labels = labels
        self._gate = gate
        self.changed = 0
        """Slides that were left as they are, although their files have changed here since they were sent."""
        self.left = 0
        """Slides that differ, and were left as they are."""

    @property
    def _core(self) -> PmaCore:
        return self._uploader.context.core

    async def run(self, job: SlideJob) -> Outcome:
        """Make one attempt at a slide. Raises PmarepError; may_be_repeated() says whether another one makes sense."""
        with self._counted(job):
            at, slide, options = self._destination(job.slide), job.slide, self._context.options
            if options.verify_only:
                return await self._examine(job, at)
            if job.counts.reannounced:  # what this run itself has announced is no earlier upload to be forgotten
                options = replace(options, fresh=False)
            decision = await self._decide(job, at, options)
            if options.dry_run:
                self._context.listener(planned(slide, at, decision))
                return await self._outcome(job, at, decision)
            inspected = True
            wrong = await self._found_wrong(slide, at, decision)
            if wrong is not None:  # perhaps damage that this run can mend
                decision = await self._decide(job, at, options)
                if not decision.sends and not decision.left:
                    return Outcome(
                        SlideStatus.FAILED, wrong, needs_decision=decision.action in (Action.CONFLICT, Action.REFUSE)
                    )
            if decision.sends:
                again = self._begin(job)
                try:
                    await self._uploader.upload(job, at, decision, again=again)
                except Overtaken as error:
                    log.info("%s: %s: %s", self._site.name, slide.path, error)
                    decision, inspected = await self._decide(job, at, options), False
                    if decision.sends:  # something of ours, torn
                        self._uploader.context.scheduler.uncount(job.attempt.bytes)
                        job.attempt.bytes = job.attempt.resumed = 0
                        await self._uploader.upload(job, at, decision, again=True)
            return await self._outcome(job, at, decision, inspected=inspected)

    @contextmanager
    def _counted(self, job: SlideJob) -> Iterator[None]:
        """Count an attempt from zero, and add it to those before it."""
        attempt = job.begin_attempt()
        try:
            yield
        finally:
            if attempt.reannounced:
                self._uploader.context.scheduler.uncount(job.counts.bytes)
            job.counts.add(attempt)

    def _begin(self, job: SlideJob) -> bool:
        """Say that the slide is being sent; return whether that has been said before."""
        before, job.begun = job.begun, True
        if not before:
            self._context.listener(SlideStarted(site=self._site.name, slide=job.slide.path))
        return before

    async def _outcome(self, job: SlideJob, at: Destination, decision: Decision, *, inspected: bool = False) -> Outcome:
        """Return what has become of a slide by the last decision about it. `inspected`: by `_found_wrong`."""
        options = self._context.options
        if decision.sends:
            verified_by = VerifiedBy(options.verify.value)
            entry = None
            if options.at_all_sites is not None and options.verify is not Verify.NONE:
                entry = await self._entry_of_sent(job.slide, at)
            return Outcome(SlideStatus.SENT, None, verified_by, None if entry is None else entry.source)
        if decision.left_out:
            return Outcome(SlideStatus.LEFT_OUT, decision.reason)
        if decision.action is not Action.SKIP:
            return Outcome(SlideStatus.FAILED, decision.reason, needs_decision=True)
        self.changed += decision.changed
        self.left += decision.left
        if not decision.same:
            return Outcome(SlideStatus.SKIPPED)
        # What an attempt of this run has sent is there after all.
        verified_by = _looked(decision, options, inspected=inspected)
        proof = await self._proof(job.slide, at, verified_by, decision.stamp)
        return Outcome(_there(job), None, verified_by, proof)

    async def may_be_repeated(self, job: SlideJob, error: PmarepError) -> bool:
        """Wait until another attempt makes sense after this failure; False where none does.

        False too where the slide has failed often and long enough although the site is well. Raises GivenUp.
        """
        probe = self._probe(error, job.slide)
        if probe is None:
            return False
        job.error = str(error)
        self._events.slide_waits(job.slide)
        away = await self._breaker.handle_failure(error, probe, job.slide.path, sending=job.sending)
        now, deadline = self._context.clock.monotonic(), self._context.deadline
        patience, attempt = self._context.options.patience, job.attempt
        progress = attempt.resumed + attempt.bytes
        again = job.record_failure(progress, now, away=away, patience=patience, sent=attempt.bytes)
        if not again or (not away and self._breaker.exhausted) or (deadline is not None and job.due >= deadline):
            return False
        log.info("%s: %s: again in %.0f s after: %s", self._site.name, job.slide.path, job.due - now, error)
        return True

    def _destination(self, slide: Slide) -> Destination:
        return destination(self._site, self._context.options.to, slide)

    def _probe(self, error: PmarepError, slide: Slide) -> Probe | None:
        """Return what tells whether another attempt makes sense; None if it never does."""
        if error.remedy is Remedy.RETRY:
            return self._core.probe
        if error.remedy is Remedy.RETRY_SOURCE:
            return lambda: self._uploader.context.source.check(slide)
        return None

    async def _decide(self, job: SlideJob, at: Destination, options: Options) -> Decision:
        """Decide what is to be done, and make the folder that the slide goes to."""
        slide, journal = job.slide, self._context.journal
        look = slide.path in self._differing
        decision = await decide(slide, at, self._core, self._listings, journal, options, look=look)
        decision = await self._unless_refused(job, decision)  # before a folder is made
        if decision.action is Action.SEND and decision.over is None and not options.dry_run:
            job.sending = True
            await self._listings.make(at.folder)
            if await self._listings.slide_in(at.folder, at.path) is not None:  # somebody has put it there meanwhile
                decision = await decide(slide, at, self._core, self._listings, journal, options, look=look)
        if decision.doubtful:
            arrived = partial(self._events.slide_arrived, job, _there(job), TransferCounts())
            decision = await ContentCheck(slide, at, self._verifier, journal, options, arrived).decide(decision)
            decision = await self._unless_refused(job, decision)
        log.info("%s: %s: %s (%s)", self._site.name, slide.path, decision.action.value, decision.reason)
        if decision.sends and not job.begun:
            await self._uploader.context.source.check_content(slide)
        job.sending = decision.sends and not options.dry_run
        return decision

    async def _unless_refused(self, job: SlideJob, decision: Decision) -> Decision:
        """Return the decision, or another one where the slide would be sent and may not. Raises NotPrepared."""
        if not decision.sends:
            return decision
        if self._context.options.dry_run and self._gate.active:
            return await self._with_commands(job, decision)
        if not job.begun and (why := await self._gate.refusal(job.source)) is not None:
            return Decision(Action.REFUSE, why, left_out=True)
        self._gate.check_held(job.slide)
        if job.begun:
            return decision
        refusal = await self._labels.refusal(job.slide)
        return decision if refusal is None else Decision(Action.REFUSE, refusal)

    async def _with_commands(self, job: SlideJob, decision: Decision) -> Decision:
        """Return the decision of a dry run with what would be run first; results may not be here to be looked into."""
        refusal = None if self._gate.prepares else await self._labels.refusal(job.slide)
        if refusal is not None:
            return Decision(Action.REFUSE, refusal)
        return replace(decision, reason=f"{decision.reason}; {self._gate.would_run()}")

    async def _found_wrong(self, slide: Slide, at: Destination, decision: Decision) -> str | None:
        """Look more closely at a slide that is skipped; return what is wrong with it.

        Fingerprints are to agree at all sites that have the slide, not only at those that it was sent to now.
        """
        level = self._context.options.verify
        if not decision.same or decision.proved:
            return None
        try:
            if level is Verify.DEEP:
                await self._verifier.inspect(slide, level, just_sent=False)
            elif level is Verify.FINGERPRINT:  # names and sizes have been compared
                await self._verifier.compare(slide)
            elif self._context.options.at_all_sites is not None:
                await self._verifier.inspect(slide, Verify.SIZE, just_sent=False)
        except NotArrived as error:
            return await diagnose(error, slide, at, self._verifier, self._context.journal)
        return None

    async def _examine(self, job: SlideJob, at: Destination) -> Outcome:
        """Look at a slide as `pmarep verify` does."""
        slide = job.slide
        if await self._listings.slide_in(at.folder, at.path) is None:
            if (why := await self._gate.refusal(job.source)) is not None:
                return Outcome(SlideStatus.LEFT_OUT, why)
            refusal = await self._refusal_of_missing(job)
            missing = "it is not there; pmarep push sends it" if refusal is None else f"it is not there; {refusal}"
            return Outcome(SlideStatus.FAILED, missing)
        if self._gate.prepares and not isinstance(slide, PreparedSlide):
            raise NotPrepared("prepare has to say what is to be there")
        await self._listings.look_for(at.folder, slide)
        journal, level = self._context.journal, self._context.options.verify
        entry, here = await journal.entry(at.place), journal.signature(slide)
        try:
            stamp = await self._verifier.inspect(slide, level, just_sent=False)
        except NotArrived as error:
            wrong, stamp = await diagnose(error, slide, at, self._verifier, journal), None
        else:
            wrong = None
            if level is Verify.DEEP:
                if entry is None or entry.state != SENT or entry.signature != here or entry.stamp != stamp:
                    await self._events.slide_arrived(job, SlideStatus.VERIFIED, TransferCounts())
                    source = await self._verifier.source_now(slide)
                    await journal.record_sent(at.place, here, stamp, source=source)
            else:
                wrong = await known_wrong(slide, at, self._verifier, journal)
                same = entry is None or entry.signature == here or not are_of_one_source(entry.signature, here)
                self.changed += wrong is None and not same
        if wrong is not None:
            return Outcome(SlideStatus.FAILED, wrong)
        verified_by = VerifiedBy(level.value)
        return Outcome(SlideStatus.VERIFIED, None, verified_by, await self._proof(slide, at, verified_by, stamp))

    async def _refusal_of_missing(self, job: SlideJob) -> str | None:
        """Return why a slide that is not there may not be sent; None also where its files would have to be made."""
        if not self._labels.refuses or (self._gate.prepares and not isinstance(job.slide, PreparedSlide)):
            return None
        try:
            return await self._labels.refusal(job.slide)
        except NotPrepared:
            return None

    async def _proof(self, slide: Slide, at: Destination, verified_by: VerifiedBy, stamp: str | None) -> str | None:
        """Return the identity of the files here that are at the site beyond doubt, of a slide that was looked at.

        Every byte was compared, or the files that are here now were sent by us and nobody has written to them since.
        What the journal does not know proves nothing. None too where nobody wants to know.
        """
        if self._context.options.at_all_sites is None:
            return None
        try:
            now = await self._verifier.source_now(slide)
        except SourceError:
            return None
        if verified_by is VerifiedBy.DEEP:
            return now
        if verified_by in (VerifiedBy.LISTING, VerifiedBy.FILES) or stamp is None:
            return None
        entry = await self._entry_of_sent(slide, at)
        return now if entry is not None and entry.stamp == stamp and entry.source == now else None

    async def _entry_of_sent(self, slide: Slide, at: Destination) -> Entry | None:
        """Return the journal's entry of a slide if it says that these files are at the site, whole."""
        entry = await self._context.journal.entry(at.place)
        if entry is None or entry.state != SENT or entry.signature != self._context.journal.signature(slide):
            return None
        return entry


def _there(job: SlideJob) -> SlideStatus:
    """Return the status of a slide that is there: what an attempt of this run has sent has not been skipped."""
    return SlideStatus.SENT if job.begun else SlideStatus.SKIPPED


def _looked(decision: Decision, options: Options, *, inspected: bool) -> VerifiedBy:
    """Return how closely this run has looked at a slide that is skipped. `inspected`: as the options say."""
    if decision.proved:
        return VerifiedBy.DEEP
    if inspected and options.verify in (Verify.DEEP, Verify.FINGERPRINT):
        return VerifiedBy(options.verify.value)
    if not decision.compared:
        return VerifiedBy.LISTING
    return VerifiedBy.SIZE if inspected and options.at_all_sites is not None else VerifiedBy.FILES


def planned(slide: Slide, at: Destination, decision: Decision) -> SlidePlanned:
    """Make the event of a dry run. Nothing is resumed where nothing was kept."""
    action, reason, kept = decision.action, decision.reason, 0
    if action is Action.RESUME:
        kept = kept_of(slide, decision.entry)
        if kept:
            reason = f"{reason}: {format_size(kept)} kept, {format_size(slide.size - kept)} to send"
        else:
            action, reason = Action.SEND, f"{reason}, but nothing of it is kept"
    return SlidePlanned(
        site=at.site.name,
        slide=slide.path,
        action=action.value,
        reason=reason,
        to=at.path,
        bytes=slide.size - kept if decision.sends else 0,
    )
