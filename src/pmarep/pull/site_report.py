"""Count, say and put on record what became of the slides of one site."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ..engine.site.outcomes import SiteOutcomes
from ..engine.slide.action import Action
from ..engine.slide.job import Outcome
from ..events import (
    Progress,
    SiteSummary,
    SlidePlanned,
    SlideStatus,
    SourceProblem,
    VerifiedBy,
)
from ..remote.tree import RemoteSlide
from ..sites import Site
from .context import PullContext
from .discovery import FoundSlide
from .file_download import PullCounts
from .plan import Plan
from .scheduler import DownloadScheduler
from .slide_download import SlideDownload


class SiteReport(SiteOutcomes):
    """The outcomes at one site that slides come from."""

    def __init__(self, site: Site, scheduler: DownloadScheduler, context: PullContext) -> None:
        super().__init__(site, context)
        self._scheduler = scheduler
        self._context = context
        self.open = 0  # slides that have to come, and of which nothing has been said yet
        self._counts = PullCounts()  # of slides that have ended
        self._under_way: set[SlideDownload] = set()
        self._total = 0
        self.problems = 0

    def say_planned(self, found: FoundSlide, plan: Plan) -> None:
        """Say what a dry run would do with a slide."""
        self._context.listener(
            SlidePlanned(
                site=self.site.name,
                slide=found.name,
                action=plan.action.value,
                reason=plan.reason,
                to=str(plan.main),
                bytes=plan.size,
            )
        )
        if plan.action in (Action.SKIP, Action.CONFLICT):
            self._slides[SlideStatus.SKIPPED if plan.action is Action.SKIP else SlideStatus.FAILED] += 1
            self._differing += plan.differs and plan.action is Action.SKIP
            self._needs_decision += plan.action is Action.CONFLICT
        else:
            self._slides[SlideStatus.PULLED] += 1
            self._total += plan.size

    def record_found(self, slide: RemoteSlide, name: str) -> None:
        """Put a slide that was found into the record, before anything is said of it. `name`: its path in DIR."""
        record = self._context.record
        if record is not None:
            record.add_slide_to_pull(
                self.site.name, name, slide.path, self._context.folder.path.absolute(), slide.size, len(slide.files)
            )

    def add(self, size: int) -> None:
        """Count a slide that has to come, with so many bytes."""
        self.open += 1
        self._total += size

    def begin(self, download: SlideDownload) -> None:
        """Count the bytes of a slide from now on."""
        self._under_way.add(download)

    def forget(self, download: SlideDownload, growth: int) -> None:
        """Leave out what has come of a slide that is another by now, with so many bytes more."""
        self._under_way.discard(download)
        self._total += growth

    def _end(self, download: SlideDownload | None) -> PullCounts:
        """Count what has come of a slide once: its record may fail, or be broken off, after that."""
        if download is None:
            return PullCounts()
        if download in self._under_way:
            self._under_way.remove(download)
            self._counts.received += download.counts.received
            self._counts.resumed += download.counts.resumed
        return download.counts

    def add_unfinished(self, found: FoundSlide, download: SlideDownload) -> None:
        """Count a slide that the end of the run has broken off."""
        counts = self._end(download)
        self._break_off(found.name, counts.received, counts.resumed)
        self._kept += download.progress

    async def record_pulled(self, found: FoundSlide, download: SlideDownload, started: float) -> None:
        """Record a slide that has come."""
        counts, seconds = self._end(download), self.seconds_since(started)
        await self._audit(found, SlideStatus.PULLED, counts, seconds, None, download)
        self._end_slide(found.name, Outcome(SlideStatus.PULLED, verified_by=VerifiedBy.FILES), counts, seconds)

    async def record_skipped(self, found: FoundSlide, *, differs: bool) -> None:
        """Record a slide that is here already, or another one that stays."""
        self._differing += differs
        await self._audit(found, SlideStatus.SKIPPED, PullCounts(), 0.0, None, None)
        outcome = Outcome(SlideStatus.SKIPPED, verified_by=None if differs else VerifiedBy.FILES)
        self._end_slide(found.name, outcome, PullCounts(), 0.0)

    async def record_failed(
        self,
        found: FoundSlide | str,
        error: str,
        download: SlideDownload | None = None,
        started: float | None = None,
        *,
        needs_decision: bool = False,
    ) -> None:
        """Record a slide that has not come; by its path in DIR where nothing more is known of it."""
        counts, seconds = self._end(download), 0.0 if started is None else self.seconds_since(started)
        self._needs_decision += needs_decision
        if isinstance(found, FoundSlide):
            await self._audit(found, SlideStatus.FAILED, counts, seconds, error, None)
        name = found.name if isinstance(found, FoundSlide) else found
        self._end_slide(name, Outcome(SlideStatus.FAILED, error, needs_decision=needs_decision), counts, seconds)

    def _end_slide(self, name: str, outcome: Outcome, counts: PullCounts, seconds: float) -> None:
        self._slides[outcome.status] += 1
        self._finish(name, outcome, counts.received, counts.resumed, seconds)

    def say_problem(self, path: str, why: str, detail: str) -> None:
        """Say what the server does not tell, so that nobody knows which slides are there."""
        self.problems += 1
        self._context.listener(SourceProblem(path=path, why=why, detail=detail))

    async def _audit(
        self,
        found: FoundSlide,
        status: SlideStatus,
        counts: PullCounts,
        seconds: float,
        error: str | None,
        download: SlideDownload | None,
    ) -> None:
        """Append to the audit file: of what has come with the SHA-256 of each file, read back from the disk."""
        context = self._context
        if context.audit is None:
            return
        came = {one.file.path: one.path for one in (download.plan.files if download is not None else ())}
        files = []
        for file in found.slide.files:
            path = came.get(file.path)
            digest = None if path is None else await context.disk.run(lambda path=path: _sha256(path))  # type: ignore[misc]
            files.append({"path": file.path, "bytes": file.size, "sha256": digest})
        await context.audit.record(
            {
                "site": self.site.name,
                "url": self.site.url,
                "slide": found.name,
                "from": found.slide.path,
                "to": str(context.folder.path.absolute()),
                "status": status.value,
                "error": error,
                "bytes_received": counts.received,
                "bytes_resumed": counts.resumed,
                "seconds": seconds,
                "files": files,
            },
            on_disk=status is not SlideStatus.SKIPPED,
        )

    def progress(self) -> Progress:
        """Measure the rate, and return how far the site is; to be called about once a second."""
        scheduler = self._scheduler
        self._meter.add(self._context.clock.monotonic(), scheduler.bytes_received)
        counts = [self._counts, *(one.counts for one in self._under_way)]
        return Progress(
            site=self.site.name,
            bytes_done=min(sum(one.received + one.resumed for one in counts), self._total),
            bytes_total=self._total,
            rate=round(self._meter.rate, 1),
            connections=scheduler.connections,
            bytes_sent=scheduler.bytes_received,
            slides_total=self.slides_known + self.open,
        )

    def summary(self, early: bool) -> SiteSummary:
        """Sum up the site. `early`: the run was to end, so that what was not begun is no failure."""
        pulled, failed = self._slides[SlideStatus.PULLED], self._slides[SlideStatus.FAILED]
        not_begun = self.open - self._unfinished if self.ended_early or (early and self.error is None) else 0
        return SiteSummary(
            pulled=pulled,
            skipped=self._slides[SlideStatus.SKIPPED],
            failed=failed + self.open - not_begun,
            not_begun=not_begun,
            differing=self._differing,
            needs_decision=self._needs_decision,
            bytes_sent=self._counts.received,
            bytes_resumed=self._counts.resumed,
            bytes_kept=self._kept,
            seconds=self.seconds,
            error=self.error,
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
