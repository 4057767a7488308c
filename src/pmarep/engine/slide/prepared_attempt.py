"""Make one attempt at a slide for a site that gets nothing but what its `prepare` makes."""

from __future__ import annotations

from contextlib import suppress

from ...errors import SourceError
from ...events import SlideStatus
from ...slides import Slide
from ...source.prepared import NotPrepared
from .action import Action
from .attempt import SlideAttempts, planned
from .decide import Decision
from .job import Outcome, SlideJob


class PreparedSlideAttempts(SlideAttempts):
    """Makes attempts with what `prepare` makes of each slide, which is run only where its files are needed."""

    async def run(self, job: SlideJob) -> Outcome:
        """Make one attempt at a slide, as SlideAttempts does. Raises PmarepError."""
        job.begin_attempt()
        options, source = self._context.options, job.source
        [known] = await self._gate.known([source])
        hashes = options.verify_only and self._context.audit is not None
        if not job.begun and not hashes and (known is not None or options.verify_only):
            job.slide = known or self._gate.named(source)
            with suppress(NotPrepared):
                return await super().run(job)
        job.slide = self._gate.named(source)
        if options.dry_run:
            return await self._plan_unknown(job)
        if known is None and not options.verify_only and (why := await self._gate.refusal(source)) is not None:
            return Outcome(SlideStatus.LEFT_OUT, why)
        async with self._gate.held(source) as job.slide:
            outcome = await super().run(job)
            if hashes and outcome.status is SlideStatus.VERIFIED:
                await self._hash(job.slide)
            return outcome

    async def _hash(self, slide: Slide) -> None:
        """Compute the hashes that the audit will ask for, while the files are held."""
        digests = self._context.digests_of(slide)
        with suppress(SourceError):  # the audit says so
            for file in slide.files:
                await digests.sha256(slide, file)

    async def _plan_unknown(self, job: SlideJob) -> Outcome:
        """Say what a run would do with a slide of which only `prepare` can tell what would be sent."""
        at = self._destination(job.slide)
        there = await self._listings.slide_in(at.folder, at.path)
        words = "not there" if there is None else "one of its name is there, and what is to be sent is not known"
        decision = Decision(Action.SEND, f"{words}; {self._gate.would_run()}")
        self._context.listener(planned(job.slide, at, decision))
        return await self._outcome(job, at, decision)
