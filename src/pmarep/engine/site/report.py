"""Count, say and put on record the outcome of each slide at one site."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from ...annotations.writer import Brought
from ...errors import SourceError
from ...events import (
    AnnotationsFinished,
    Notice,
    Progress,
    SiteSummary,
    SlideFinished,
    SlideRetracted,
    SlideStatus,
    VerifiedBy,
)
from ...sites import Site
from ...slides import Slide
from ...source.prepared import PreparedSlide, source_of
from ...units import count_of, format_duration
from ...uploaders import RequestScheduler, TransferCounts
from ..audit import NOT_FINISHED
from ..context import RunContext
from ..discovery.slide_list import SiteSlides
from ..slide.decide import destination
from ..slide.job import Outcome
from .outcomes import SiteOutcomes
from .recheck import BUDGET


class SiteReport(SiteOutcomes):
    """The outcomes at one site that slides are sent to.

    Of a mirror: slides that are `extra` and stay, those that were `deleted`, and why nothing (more) was.
    """

    def __init__(self, site: Site, scheduler: RequestScheduler, context: RunContext) -> None:
        super().__init__(site, context)
        self._scheduler = scheduler
        self._context = context
        self._to_have = SiteSlides(context.slide_list, site.name)
        self._retracted = 0  # slides that were counted as arrived before
        self.bytes_broken_off = 0  # bytes that were under way when the site ended
        self._changed = 0
        self._annotations_added = self._annotations_there = self._annotations_failed = 0
        self.extra = self.deleted = self.bytes_deleted = 0
        self.mirror_error: str | None = None
        self._sent = TransferCounts()  # of all slides together
        self._bytes_skipped = 0
        self._bytes_more = 0  # that prepared slides have than those of the source
        self._on_record: dict[str, SlideStatus] = {}  # slides, where there is an audit
        self.finished: Callable[[Slide], None] = lambda _slide: None
        """Called with each slide of which nothing will be read any more."""

    def add_bytes(self, sent: int, resumed: int) -> None:
        """Count bytes of a slide, whatever became of it: more, or fewer where some are of no use any more."""
        self._sent.bytes += sent
        self._sent.resumed += resumed

    async def record_arrival(self, slide: Slide, status: SlideStatus, sent: TransferCounts, started: float) -> None:
        """Put on record that a slide is at the site, whole, before the journal says so; its outcome comes later.

        A run that is killed between the two finds the slide again as one that may be there, and writes another line.
        """
        await self._record(slide, status, sent, self.seconds_since(started), None, read=True)

    async def record_outcome(self, slide: Slide, outcome: Outcome, sent: TransferCounts, started: float) -> None:
        """Record the outcome of a slide in this run. `started`: the clock's time."""
        status = outcome.status
        self._count(slide, status)
        self._needs_decision += outcome.needs_decision
        if self._context.options.dry_run:
            return
        if self._context.at_all_sites is not None:
            self._context.at_all_sites.note(self.site.name, slide.number, outcome.proof)
        seconds = self.seconds_since(started)
        self._finish(slide.path, outcome, sent.bytes, sent.resumed, seconds, slide.to)
        # What has arrived may fail all the same: a server that restarts gives its place to another slide.
        if slide.path not in self._on_record or (
            status is SlideStatus.FAILED and self._on_record[slide.path] is not status
        ):
            await self._record(slide, status, sent, seconds, outcome.error)
        self.finished(slide)

    async def record_known(self, slides: Sequence[Slide], status: SlideStatus) -> None:
        """Record the outcome of many slides with which nothing had to be done."""
        now, site, verified_by = datetime.now(UTC), self.site.name, VerifiedBy.LISTING
        if self._context.record is not None and slides:
            self._context.record.add_known(site, [slide.number for slide in slides], status, verified_by, now)
        if self._context.known is not None and slides:
            self._context.known(site, slides, status, now)
        for slide in slides:
            self._count(slide, status)
            self.finished(slide)
            if self._context.options.dry_run:
                continue
            if self._context.known is None:
                self._context.listener(
                    SlideFinished(
                        time=now, site=site, slide=slide.path, status=status, verified_by=verified_by, to=slide.to
                    )
                )
            await self._record(slide, status, TransferCounts(), 0.0, None)

    def add_unfinished(self, slide: Slide, sent: TransferCounts) -> None:
        """Count and record a slide of which so much is at the site, and of which nothing more is said in this run."""
        self._break_off(slide.path, sent.bytes, sent.resumed)
        self._kept += sent.bytes + sent.resumed

    def _count(self, slide: Slide, status: SlideStatus) -> None:
        self._slides[status] += 1
        if status in (SlideStatus.SKIPPED, SlideStatus.VERIFIED, SlideStatus.LEFT_OUT):
            self._bytes_skipped += slide.size
        if isinstance(slide, PreparedSlide):
            self._bytes_more += slide.size - slide.source.size

    async def record_retraction(self, slide: Slide, text: str) -> None:
        """Take back the outcome of a slide: another look has found it damaged, or it may be."""
        self._retracted += 1
        if self._context.at_all_sites is not None:
            self._context.at_all_sites.note(self.site.name, slide.number, None)
        self._context.listener(SlideRetracted(site=self.site.name, slide=slide.path, error=text))
        await self._record(slide, SlideStatus.FAILED, TransferCounts(), 0.0, text)

    async def record_annotations(self, slide: Slide, brought: Brought) -> None:
        """Record what became of the annotations of a slide that is at the site."""
        self._annotations_added += brought.added
        self._annotations_there += brought.there
        self._annotations_failed += brought.error is not None
        self._context.listener(
            AnnotationsFinished(
                site=self.site.name,
                slide=slide.path,
                added=brought.added,
                there=brought.there,
                missing=brought.missing,
                error=brought.error,
                dry_run=self._context.options.dry_run,
            )
        )
        if self._context.audit is not None and not self._context.options.dry_run:
            await self._context.audit.record(
                {
                    **self._who(slide),
                    "status": "annotations",
                    "error": brought.error,
                    "note": "author and date of what was added are this user and now" if brought.added else None,
                    "annotations": {"added": brought.added, "there": brought.there, "missing": brought.missing},
                },
                on_disk=brought.added > 0,
            )

    def _who(self, slide: Slide) -> dict[str, str]:
        return {
            "site": self.site.name,
            "url": self.site.url,
            "slide": slide.path,
            "to": destination(self.site, self._context.options.to, slide).path,
            "source": source_of(slide).folder_name,
        }

    def _made_of(self, slide: Slide) -> dict[str, Any]:
        """Return what the audit has of the source of a prepared slide: its files, as they were, and the command."""
        if not isinstance(slide, PreparedSlide):
            return {}
        files = [
            {
                "path": file.path,
                "bytes": file.size,
                "mtime": datetime.fromtimestamp(file.mtime_ns / 1e9, UTC).isoformat(),
            }
            for file in slide.source.files
        ]
        program = (self.site.prepare or ("",))[0]
        return {"prepared": {"program": program, "command_sha256": slide.command, "source_files": files}}

    def add_left_alone(self, differing: int, changed: int) -> None:
        """Count slides that stay at the site though they are others, or though their files have changed here since."""
        self._differing += differing
        self._changed += changed
        if changed and not self._context.options.verify_only:
            which = count_of(changed, "slide was", "slides were")
            self._context.listener(
                Notice(
                    text=f"{self.site.name}: {which} skipped, with the same files and sizes, though changed here "
                    "since they were sent; --verify deep compares, --existing overwrite replaces"
                )
            )

    def say_overdue(self, slides: int) -> None:
        """Say how many slides were not looked at again in the time that `recheck` gives."""
        if slides and self._context.options.recheck is not None:
            period = format_duration(self._context.options.recheck)
            which = count_of(slides, "slide has", "slides have")
            self._context.listener(
                Notice(
                    text=f"{self.site.name}: {which} not been looked at for {period}, since a run looks at "
                    f"{BUDGET} at most, of all sites together; the next ones go on, pmarep verify looks at all"
                )
            )

    async def _record(
        self,
        slide: Slide,
        status: SlideStatus,
        sent: TransferCounts,
        seconds: float,
        error: str | None,
        note: str | None = None,
        *,
        read: bool = False,
    ) -> None:
        """Append to the audit file. What was not sent, looked at or `read` now has no hash: nobody has read it."""
        context = self._context
        if context.audit is None:
            return
        self._on_record[slide.path] = status
        hashes: list[str | None] = [None] * len(slide.files)
        stopped: asyncio.CancelledError | None = None
        if read or status is SlideStatus.VERIFIED:
            try:
                hashes = [(await context.digests_of(slide).sha256(slide, file)).hex() for file in slide.files]
            except SourceError as problem:
                note = f"no SHA-256: {problem}"
            except asyncio.CancelledError as cancelled:  # it has arrived, and that goes on record
                note, stopped = "no SHA-256: the run was stopped", cancelled
        files = [
            {"path": file.path, "bytes": file.size, "sha256": found}
            for file, found in zip(slide.files, hashes, strict=True)
        ]
        await context.audit.record(
            {
                **self._who(slide),
                "status": status.value,
                "error": error,
                "note": note,
                "verify": context.options.verify.value,
                "bytes_sent": sent.bytes,
                "bytes_resumed": sent.resumed,
                "seconds": seconds,
                "files": files,
                **self._made_of(slide),
            },
            on_disk=read or (status is not SlideStatus.SKIPPED and note != NOT_FINISHED),
        )
        if stopped is not None:
            raise stopped

    async def record_the_rest(self, why: str) -> None:
        """Append to the audit file the slides without an outcome, since the site or the run ended before."""
        if self._context.audit is None:
            return
        for number in range(self._to_have.end):
            if not self._to_have.takes(number):
                continue
            slide = self._to_have.found(number)
            if slide.path not in self._on_record:
                await self._record(slide, SlideStatus.FAILED, TransferCounts(), 0.0, why, note=NOT_FINISHED)

    def progress(self) -> Progress:
        """Measure the rate, and return how far the site is; to be called about once a second."""
        scheduler = self._scheduler
        in_flight = scheduler.bytes_in_flight
        self._meter.add(
            self._context.clock.monotonic(), scheduler.bytes_sent, under_way=in_flight, requests=scheduler.connections
        )
        done = scheduler.bytes_acknowledged + in_flight + self._sent.resumed
        total = self._to_have.bytes + self._bytes_more - self._bytes_skipped
        return Progress(
            site=self.site.name,
            bytes_done=min(done, total),
            bytes_total=total,
            rate=round(self._meter.rate, 1),
            connections=scheduler.connections,
            bytes_under_way=in_flight,
            bytes_sent=scheduler.bytes_sent,
            slides_total=len(self._to_have),
        )

    @property
    def incomplete(self) -> str | None:
        """Why the site does not have every slide of the source; None where it has, or by a dry run would have."""
        known = self.summary(early=False)
        if self.error is None and not self.ended_early and not known.failed and not known.not_begun:
            return None
        return "not every slide of the source has arrived"

    def summary(self, early: bool) -> SiteSummary:
        """Sum up the site.

        What is not known to be there counts as failed, also slides that were never tried; unless the run has ended
        `early`, because it was to end.
        """
        sent, skipped, verified, left_out = (
            self._slides[status]
            for status in (SlideStatus.SENT, SlideStatus.SKIPPED, SlideStatus.VERIFIED, SlideStatus.LEFT_OUT)
        )
        missing = len(self._to_have) - sent - skipped - verified - left_out
        begun = self._slides[SlideStatus.FAILED] + self._unfinished
        not_begun = missing - begun if self.ended_early or (early and self.error is None) else 0
        return SiteSummary(
            sent=sent,
            skipped=skipped,
            verified=verified,
            left_out=left_out,
            differing=self._differing,
            changed=self._changed,
            not_looked_at=max(missing - begun - not_begun, 0),
            needs_decision=self._needs_decision,
            excluded=self._to_have.excluded,
            annotations_added=self._annotations_added,
            annotations_there=self._annotations_there,
            annotations_failed=self._annotations_failed,
            extra=self.extra,
            deleted=self.deleted,
            bytes_deleted=self.bytes_deleted,
            mirror_error=self.mirror_error,
            failed=missing - not_begun + self._retracted,
            not_begun=not_begun,
            bytes_kept=self._kept,
            bytes_again=self.bytes_broken_off,
            bytes_sent=self._sent.bytes,
            bytes_resumed=self._sent.resumed,
            seconds=self.seconds,
            error=self.error,
        )
