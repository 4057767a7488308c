"""What is done about one slide at one site: decide, send or look, and try again as long as that makes sense."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from ...errors import PmarepError, Remedy
from ...events import SlidePlanned, SlideStarted, SlideStatus
from ...pmacore import NotArrived, Overtaken, PmaCore
from ...sites import Site
from ...slides import Slide
from ...state.journal import SENT
from ...units import format_size
from ...uploaders import TransferCounts
from ..circuit_breaker import CircuitBreaker, Probe
from ..context import RunContext
from ..options import Options, Verify
from ..remote_listing import RemoteListing
from ..site.queue import SlideJob
from .decide import Action, Decision, Destination, decide, destination
from .ownership import decide_by_content, diagnose, known_wrong
from .upload import SlideUploader, kept_of
from .verify import SlideVerifier

log = logging.getLogger(__name__)

Outcome = tuple[SlideStatus, str | None]
"""How a slide ended at a site, and where it failed why."""


class SlideAttempts:
    """For all slides of one site.

    `waits` hears of a slide that waits for the site to be well again; `arrived` of one that is there whole, with what
    the last attempt has sent, before the journal says so. `doubted`: slides that the
    journal knows to be there, and that are not there as they should be.
    """

    def __init__(
        self,
        site: Site,
        shared: RunContext,
        health: CircuitBreaker,
        remote: RemoteListing,
        inspector: SlideVerifier,
        shipper: SlideUploader,
        waits: Callable[[Slide], None],
        arrived: Callable[[SlideJob, SlideStatus, TransferCounts], Awaitable[None]],
        doubted: set[str],
    ) -> None:
        self._site = site
        self._shared = shared
        self._breaker = health
        self._remote = remote
        self._inspector = inspector
        self._shipper = shipper
        self._waits = waits
        self._arrived = arrived
        self._doubted = doubted
        self.changed = 0
        """Slides that were left as they are, although their files have changed here since they were sent."""
        self.left = 0
        """Slides that differ, and were left as they are."""

    @property
    def _core(self) -> PmaCore:
        return self._shipper.context.core

    async def bring(self, errand: SlideJob) -> Outcome | None:
        """One attempt. None: it failed and is to be tried again, for another lane or this one to do when it is due.

        Raises PmarepError when it fails for good, or has failed often and long enough although the site is well.
        """
        errand.attempt, slide = TransferCounts(earlier=errand.sent.earlier), errand.slide
        attempt = errand.attempt
        try:
            return await self._try(errand, attempt)
        except PmarepError as error:
            probe = self._probe(error, slide)
            if probe is None:
                raise
            errand.error = str(error)
            self._waits(slide)
            away = await self._breaker.handle_failure(error, probe, slide.path, sending=errand.sending)
            now, deadline = self._shared.clock.monotonic(), self._shared.deadline
            come = attempt.resumed + attempt.bytes
            patience = self._shared.options.patience
            again = errand.failed(come, now, away=away, patience=patience, sent=attempt.bytes)
            if not again or (not away and self._breaker.exhausted) or (deadline is not None and errand.due >= deadline):
                raise
            log.info("%s: %s: again in %.0f s after: %s", self._site.name, slide.path, errand.due - now, error)
            return None
        finally:
            if attempt.reannounced:
                self._shipper.context.scheduler.uncount(errand.sent.bytes)
            errand.sent.add(attempt)

    def _probe(self, error: PmarepError, slide: Slide) -> Probe | None:
        """How to find out whether another try makes sense; None if it never does."""
        if error.remedy is Remedy.RETRY:
            return self._core.answers
        if error.remedy is Remedy.RETRY_SOURCE:
            return lambda: self._shipper.context.source.check(slide)
        return None

    async def _try(self, errand: SlideJob, sent: TransferCounts) -> Outcome:
        shared, slide, begun = self._shared, errand.slide, errand.begun
        errand.sending = False
        at = destination(self._site, shared.options.to, slide)
        if shared.options.verify_only:
            return await self._examine(errand, at)
        # What this run itself has announced is no earlier upload to be forgotten.
        options = replace(shared.options, fresh=False) if errand.sent.reannounced else shared.options
        decision = await self._decide(errand, at, options)
        if shared.options.dry_run:
            shared.listener(planned(slide, at, decision))
        else:
            wrong = await self._found_wrong(slide, at, decision)
            if wrong is not None:  # perhaps damage that this run can mend
                decision = await self._decide(errand, at, options)
                if not decision.sends and not decision.left:
                    return SlideStatus.FAILED, wrong
        if decision.sends and not shared.options.dry_run:
            if not begun:
                shared.listener(SlideStarted(site=self._site.name, slide=slide.path))
            errand.begun = True
            arrived = partial(self._arrived, errand, SlideStatus.SENT, sent)
            try:
                await self._shipper.ship(slide, at, decision, sent, arrived, again=begun)
            except Overtaken as error:
                log.info("%s: %s: %s", self._site.name, slide.path, error)
                decision = await self._decide(errand, at, options)
                if decision.sends:  # something of ours, torn
                    self._shipper.context.scheduler.uncount(sent.bytes)
                    sent.bytes = sent.resumed = 0
                    await self._shipper.ship(slide, at, decision, sent, arrived, again=True)
        if decision.sends:
            return SlideStatus.SENT, None
        if decision.action is not Action.SKIP:
            return SlideStatus.FAILED, decision.reason
        self.changed += decision.changed
        self.left += decision.left
        # What an attempt of this run has sent is there after all.
        return _there(errand) if decision.same else SlideStatus.SKIPPED, None

    async def _decide(self, errand: SlideJob, at: Destination, options: Options) -> Decision:
        """What is to be done, with the folder made that it goes to."""
        slide, journal = errand.slide, self._shared.journal
        look = slide.path in self._doubted
        decision = await decide(slide, at, self._core, self._remote, journal, options, look=look)
        if decision.action is Action.SEND and decision.over is None and not options.dry_run:
            errand.sending = True
            await self._remote.make(at.folder)
            if await self._remote.slide_in(at.folder, at.path) is not None:  # somebody has put it there meanwhile
                decision = await decide(slide, at, self._core, self._remote, journal, options, look=look)
        if decision.doubtful:
            arrived = partial(self._arrived, errand, _there(errand), TransferCounts())
            decision = await decide_by_content(decision, slide, at, self._inspector, journal, options, arrived)
        log.info("%s: %s: %s (%s)", self._site.name, slide.path, decision.action.value, decision.reason)
        if decision.sends and not errand.begun:
            await self._shipper.context.source.check_content(slide)
        errand.sending = decision.sends and not options.dry_run
        return decision

    async def _found_wrong(self, slide: Slide, at: Destination, decision: Decision) -> str | None:
        """What a closer look finds wrong with a slide that is skipped.

        Fingerprints are to agree at all sites that have the slide, not only at those that it was sent to now.
        """
        level = self._shared.options.verify
        if not decision.same or decision.proved:
            return None
        try:
            if level is Verify.DEEP:
                await self._inspector.inspect(slide, level, just_sent=False)
            elif level is Verify.FINGERPRINT:  # names and sizes have been compared
                await self._inspector.compare(slide)
        except NotArrived as error:
            return await diagnose(error, slide, at, self._inspector, self._shared.journal)
        return None

    async def _examine(self, errand: SlideJob, at: Destination) -> Outcome:
        slide = errand.slide
        if await self._remote.slide_in(at.folder, at.path) is None:
            return SlideStatus.FAILED, "it is not there; pmarep push sends it"
        await self._remote.look_for(at.folder, slide)
        journal, level = self._shared.journal, self._shared.options.verify
        entry, here = await journal.entry(at.place), journal.signature(slide)
        try:
            stamp = await self._inspector.inspect(slide, level, just_sent=False)
        except NotArrived as error:
            wrong = await diagnose(error, slide, at, self._inspector, journal)
        else:
            wrong = None
            if level is Verify.DEEP:
                if entry is None or entry.state != SENT or entry.signature != here or entry.stamp != stamp:
                    await self._arrived(errand, SlideStatus.VERIFIED, TransferCounts())
                    await journal.sent(at.place, here, stamp)
            else:
                wrong = await known_wrong(slide, at, self._inspector, journal)
                self.changed += wrong is None and entry is not None and entry.signature != here
        return (SlideStatus.VERIFIED, None) if wrong is None else (SlideStatus.FAILED, wrong)


def _there(errand: SlideJob) -> SlideStatus:
    """What is said of a slide that is there: what an attempt of this run has sent has not been skipped."""
    return SlideStatus.SENT if errand.begun else SlideStatus.SKIPPED


def planned(slide: Slide, at: Destination, decision: Decision) -> SlidePlanned:
    """What a dry run says. Nothing is resumed where nothing was kept."""
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
