"""Count the outcomes of slides at one site, as nodes report them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ..engine.audit import unfinished_entry
from ..engine.context import RunContext
from ..engine.slide.decide import destination
from ..events import AnnotationsFinished, Event, SiteSummary, SlideFinished, SlideRetracted, SlideStatus, VerifiedBy
from ..sites import Site
from ..slides import Slide
from .messages import site_summary_of

_CODES = {
    SlideStatus.SENT: 1,
    SlideStatus.SKIPPED: 2,
    SlideStatus.VERIFIED: 3,
    SlideStatus.FAILED: 4,
    SlideStatus.LEFT_OUT: 5,
}
_ARRIVED = (1, 2, 3)
_FAILED = 4
_NOT_SENT = (2, 3, 5)


class NodesSiteReport:
    """The outcomes at one site: one byte for each slide, so that none is counted twice; the last word counts.

    `error`: why the site gets nothing more. `ended_early`: since no slide could be there in time. Nodes' own summaries
    add what no event says.
    """

    def __init__(self, site: Site, context: RunContext) -> None:
        self._site = site
        self._context = context
        self._outcomes = bytearray()
        self._needs_decision: set[int] = set()
        self._started = context.clock.monotonic()
        self._seconds: float | None = None
        self._annotations: dict[int, tuple[int, int, bool]] = {}
        self._bytes_sent = self._bytes_resumed = 0
        self._retracted = 0
        self._unfinished = self._kept = self._again = self._differing = self._changed = 0
        self.bytes_skipped = 0
        self.error: str | None = None
        self.ended_early = False

    def close(self) -> None:
        """Stop the clock: the site has ended."""
        self._seconds = self._seconds or self._context.clock.monotonic() - self._started

    @property
    def missing(self) -> int:
        """Slides of which nothing is known."""
        return len(self._context.slide_list) - len(self._outcomes) + self._outcomes.count(0)

    def has_outcome(self, number: int) -> bool:
        """Return whether something is known of a slide."""
        return number < len(self._outcomes) and self._outcomes[number] != 0

    def hear(self, number: int, event: Event) -> bool:
        """Count what an event says of a slide; return False where it says nothing new."""
        if isinstance(event, SlideFinished):
            return self._finish(number, event)
        if isinstance(event, SlideRetracted):
            self._retracted += 1
        elif isinstance(event, AnnotationsFinished):
            self._annotations[number] = event.added, event.there, event.error is not None
        return True

    def _finish(self, number: int, event: SlideFinished) -> bool:
        self._bytes_sent += event.bytes
        self._bytes_resumed += event.resumed_bytes
        if not self._set(self._context.slide_list.found(number), _CODES[event.status]):
            return False
        self._needs_decision.discard(number)
        if event.needs_decision:
            self._needs_decision.add(number)
        if self._context.record is not None:
            self._context.record.add_event(event)
        return True

    def known(
        self, slides: Iterable[Slide], status: SlideStatus, verified_by: VerifiedBy, time: datetime
    ) -> list[Slide]:
        """Count slides with which nothing had to be done; return those of which that is new."""
        code = _CODES[status]
        new = [slide for slide in slides if self._set(slide, code)]
        if self._context.record is not None and new:
            numbers = [slide.number for slide in new]
            self._context.record.add_known(self._site.name, numbers, status, verified_by, time)
        return new

    def _set(self, slide: Slide, code: int) -> bool:
        """Note an outcome; return False where it is no news, such as that a slide is there which came there before."""
        number = slide.number
        if number >= len(self._outcomes):
            self._outcomes.extend(bytes(number + 1 - len(self._outcomes)))
        before = self._outcomes[number]
        if before in _ARRIVED and code != _FAILED:
            return False
        self._outcomes[number] = code
        if (sign := (code in _NOT_SENT) - (before in _NOT_SENT)) != 0:
            self.bytes_skipped += sign * slide.size
        return before != code

    def add_run(self, summary: dict[str, Any], failed: int) -> None:
        """Add what the run of a node says at its end, and no event of it. `failed`: failures that events have said."""
        said = site_summary_of(summary)
        self._unfinished += max(said.failed - failed, 0) if said.error is None else 0
        self._kept += said.bytes_kept
        self._again += said.bytes_again
        self._differing += said.differing
        self._changed += said.changed

    async def record_the_rest(self, why: str) -> None:
        """Append to the audit file the slides without an outcome, since the site or the run ended before."""
        if self._context.audit is None:
            return
        for number in range(self._context.slide_list.admitted):
            if not self.has_outcome(number):
                slide = self._context.slide_list.found(number)
                to = destination(self._site, self._context.options.to, slide).path
                verify = self._context.options.verify.value
                await self._context.audit.record(unfinished_entry(self._site, slide, to, verify, why), on_disk=False)

    def summary(self, early: bool) -> SiteSummary:
        """Sum up the site. What is not known to be there has failed or, where the run ended `early`, was not begun."""
        count = self._outcomes.count
        sent, skipped, verified, failed, left_out = (count(code) for code in _CODES.values())
        missing = len(self._context.slide_list) - sent - skipped - verified - left_out
        begun = min(failed + self._unfinished, missing)
        not_begun = missing - begun if self.ended_early or (early and self.error is None) else 0
        annotations = self._annotations.values()
        return SiteSummary(
            sent=sent,
            skipped=skipped,
            verified=verified,
            left_out=left_out,
            failed=missing - not_begun + self._retracted,
            not_begun=not_begun,
            not_looked_at=max(missing - begun - not_begun, 0),
            needs_decision=len(self._needs_decision),
            bytes_sent=self._bytes_sent,
            bytes_resumed=self._bytes_resumed,
            bytes_kept=self._kept,
            bytes_again=self._again,
            differing=self._differing,
            changed=self._changed,
            annotations_added=sum(added for added, _, _ in annotations),
            annotations_there=sum(there for _, there, _ in annotations),
            annotations_failed=sum(failed for _, _, failed in annotations),
            seconds=round(self._seconds or self._context.clock.monotonic() - self._started, 3),
            error=self.error,
        )
