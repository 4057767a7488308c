"""What has become of the slides of one site, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ..events import SiteSummary, SlideStatus
from ..slides import Slide


@dataclass(slots=True)
class Tally:
    """Counts of one site; bytes as in `SiteSummary`."""

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    verified: int = 0
    retracted: int = 0  # counted as arrived before
    bytes_sent: int = 0
    bytes_resumed: int = 0
    bytes_skipped: int = 0
    seconds: float = 0.0
    error: str | None = None

    def count(self, slide: Slide, status: SlideStatus) -> None:
        if status is SlideStatus.SENT:
            self.sent += 1
        elif status is SlideStatus.SKIPPED:
            self.skipped += 1
            self.bytes_skipped += slide.size
        elif status is SlideStatus.VERIFIED:
            self.verified += 1
            self.bytes_skipped += slide.size
        else:
            self.failed += 1

    def summary(self, slides: int, seconds: float) -> SiteSummary:
        """Whatever of so many slides is not known to be at the site counts as failed, tried or not."""
        return SiteSummary(
            sent=self.sent,
            skipped=self.skipped,
            verified=self.verified,
            failed=slides - self.sent - self.skipped - self.verified + self.retracted,
            bytes_sent=self.bytes_sent,
            bytes_resumed=self.bytes_resumed,
            seconds=round(seconds, 3),
            error=self.error,
        )
