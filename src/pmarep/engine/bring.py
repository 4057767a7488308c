"""What is done about one slide at one site: decide, send or look, and try again as long as that makes sense."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from ..errors import PmarepError, Remedy
from ..events import SlidePlanned, SlideStarted, SlideStatus
from ..pmacore import NotArrived, Overtaken, PmaCore, Refused
from ..sites import Site
from ..slides import Slide
from ..uploaders import Sent
from .decide import Action, Decision, Destination, decide, destination, remember_wrong, without_doubt
from .errands import Errand
from .health import Health, Probe
from .inspector import Inspector
from .options import Options, Verify
from .remote import Remote, differences, shortened
from .shared import Shared
from .shipping import Shipper

log = logging.getLogger(__name__)

Outcome = tuple[SlideStatus, str | None]
"""How a slide ended at a site, and where it failed why."""


class Bringer:
    """For all slides of one site.

    `waits` hears of a slide that waits for the site to be well again; `arrived` of one that is there whole, with what
    the last attempt has sent, before the journal says so. `doubted`: slides that the
    journal knows to be there, and that are not there as they should be.
    """

    def __init__(
        self,
        site: Site,
        shared: Shared,
        health: Health,
        remote: Remote,
        inspector: Inspector,
        shipper: Shipper,
        waits: Callable[[Slide], None],
        arrived: Callable[[Errand, SlideStatus, Sent], Awaitable[None]],
        doubted: set[str],
    ) -> None:
        self._site = site
        self._shared = shared
        self._health = health
        self._remote = remote
        self._inspector = inspector
        self._shipper = shipper
        self._waits = waits
        self._arrived = arrived
        self._doubted = doubted
        self.changed = 0
        """Slides that were left as they are, although their files have changed here since they were sent."""

    @property
    def _core(self) -> PmaCore:
        return self._shipper.means.core

    async def bring(self, errand: Errand) -> Outcome | None:
        """One attempt. None: it failed and is to be tried again, for another lane or this one to do when it is due.

        Raises PmarepError when it fails for good, or has failed often and long enough although the site is well.
        """
        attempt, slide = Sent(), errand.slide
        try:
            return await self._try(errand, attempt)
        except PmarepError as error:
            probe = self._probe(error, slide)
            if probe is None:
                raise
            errand.error = str(error)
            self._waits(slide)
            away = await self._health.overcome(error, probe, slide.path, sending=errand.sending)
            now, deadline = self._shared.clock.monotonic(), self._shared.deadline
            come = attempt.resumed + attempt.bytes
            patience = self._shared.options.patience
            again = errand.failed(come, now, away=away, patience=patience, sent=attempt.bytes)
            if not again or (not away and self._health.exhausted) or (deadline is not None and errand.due >= deadline):
                raise
            log.info("%s: %s: again in %.0f s after: %s", self._site.name, slide.path, errand.due - now, error)
            return None
        finally:
            if attempt.anew:
                self._shipper.means.link.forget(errand.sent.bytes)
            errand.sent.add(attempt)

    def _probe(self, error: PmarepError, slide: Slide) -> Probe | None:
        """How to find out whether another try makes sense; None if it never does."""
        if error.remedy is Remedy.RETRY:
            return self._core.answers
        if error.remedy is Remedy.RETRY_SOURCE:
            return lambda: self._shipper.means.source.check(slide)
        return None

    async def _try(self, errand: Errand, sent: Sent) -> Outcome:
        shared, slide, begun = self._shared, errand.slide, errand.begun
        errand.sending = False
        at = destination(self._site, shared.options.to, slide)
        if shared.options.verify_only:
            return await self._examine(slide, at)
        # What this run itself has announced is no earlier upload to be forgotten.
        options = replace(shared.options, fresh=False) if errand.sent.anew else shared.options
        decision = await self._decide(errand, at, options)
        if decision.same and slide.path in self._doubted:
            self._doubted.discard(slide.path)
            if (error := await self._found_wrong(slide, at, self._check_sizes(slide, at))) is not None:
                decision = await self._decide(errand, at, options)
                if not decision.sends:
                    return SlideStatus.FAILED, error
        log.info("%s: %s: %s (%s)", self._site.name, slide.path, decision.action.value, decision.reason)
        if decision.sends and not begun:
            await self._shipper.means.source.check_content(slide)
        if shared.options.dry_run:
            shared.listener(planned(slide, at, decision))
        elif decision.sends:
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
                    self._shipper.means.link.forget(sent.bytes)
                    sent.bytes = sent.resumed = 0
                    await self._shipper.ship(slide, at, decision, sent, arrived, again=True)
        if decision.sends:
            return SlideStatus.SENT, None
        if decision.action is not Action.SKIP:
            return SlideStatus.FAILED, decision.reason
        if decision.same and not shared.options.dry_run:
            wrong = await self._skipped(slide, at)
            self.changed += decision.changed
            return (SlideStatus.FAILED, wrong) if wrong is not None else (_there(errand), None)
        return SlideStatus.SKIPPED, None

    async def _decide(self, errand: Errand, at: Destination, options: Options) -> Decision:
        """What is to be done, with the folder made that it goes to."""
        slide, journal = errand.slide, self._shared.journal
        decision = await decide(slide, at, self._core, self._remote, journal, options)
        if options.dry_run:
            return decision
        if decision.action is Action.SEND and decision.over is None:
            errand.sending = True
            await self._remote.make(at.folder)
            if await self._remote.slide_in(at.folder, at.path) is not None:  # somebody has put it there meanwhile
                decision = await decide(slide, at, self._core, self._remote, journal, options)
        if decision.doubtful:
            arrived = partial(self._arrived, errand, _there(errand), Sent())
            decision = await without_doubt(decision, slide, at, self._inspector, journal, options, arrived)
        errand.sending = decision.sends
        return decision

    async def _skipped(self, slide: Slide, at: Destination) -> str | None:
        """What is wrong with a slide that is skipped.

        Fingerprints are to agree at all sites that have the slide, not only at those that it was sent to now.
        """
        if self._shared.options.verify not in (Verify.FINGERPRINT, Verify.DEEP):
            return None
        return await self._found_wrong(slide, at, self._inspector.compare(slide))

    async def _check_sizes(self, slide: Slide, at: Destination) -> None:
        """Raises NotArrived if the files there have other names or sizes, or the server cannot tell them."""
        try:
            found = await differences(self._core, at.path, slide)
        except Refused as error:
            raise NotArrived(f"the server cannot tell its files ({error})") from None
        # Files that are only there do no harm: leftovers of an older slide of this name.
        if wrong := [text for text in found if not text.endswith("is only there")]:
            raise NotArrived(shortened(wrong))

    async def _examine(self, slide: Slide, at: Destination) -> Outcome:
        if await self._remote.slide_in(at.folder, at.path) is None:
            return SlideStatus.FAILED, "it is not there; pmarep push sends it"
        await self._remote.look_for(at.folder, slide)
        level = self._shared.options.verify
        error = await self._found_wrong(slide, at, self._inspector.inspect(slide, level, just_sent=False))
        return (SlideStatus.VERIFIED, None) if error is None else (SlideStatus.FAILED, error)

    async def _found_wrong(self, slide: Slide, at: Destination, look: Awaitable[None]) -> str | None:
        """What a look finds wrong. A slide of ours is sent again by the next push; `--existing` is for others."""
        try:
            await look
        except NotArrived as error:
            return await remember_wrong(self._shared.journal, at.place, slide, str(error))
        return None


def _there(errand: Errand) -> SlideStatus:
    """What is said of a slide that is there: what an attempt of this run has sent has not been skipped."""
    return SlideStatus.SENT if errand.begun else SlideStatus.SKIPPED


def planned(slide: Slide, at: Destination, decision: Decision) -> SlidePlanned:
    """What a dry run says."""
    return SlidePlanned(
        site=at.site.name,
        slide=slide.path,
        action=decision.action.value,
        reason=decision.reason,
        to=at.path,
        bytes=slide.size if decision.sends else 0,
    )
