"""Count, say and put into the record of a run how slides ended at one site: what a push and a pull have in common."""

from __future__ import annotations

from typing import Protocol

from ...clock import Clock
from ...events import Listener, SlideFinished, SlideRestarted, SlideStatus
from ...rates import RateMeter
from ...sites import Site
from ...state.run_record import RunRecord
from ..slide.job import Outcome


class SharedOutputs(Protocol):
    """The objects of a run that hear how slides ended."""

    @property
    def listener(self) -> Listener: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def record(self) -> RunRecord | None: ...


class SiteOutcomes:
    """The outcomes at one site. `error` is why it ended before all its slides had one."""

    def __init__(self, site: Site, shared: SharedOutputs) -> None:
        self.site = site
        self._shared = shared
        self._slides = dict.fromkeys(SlideStatus, 0)
        self._unfinished = 0  # slides that were begun, and broken off by the end of the run
        self._needs_decision = 0  # slides that failed, and fail again unless somebody decides
        self._kept = 0  # bytes of unfinished slides that need not go again
        self._differing = 0  # skipped, though they are others
        self._meter = RateMeter()
        self._started = shared.clock.monotonic()
        self._seconds: float | None = None
        self.ended_early = False  # because the run was to end, with slides that were not begun
        self.error: str | None = None

    def close(self) -> None:
        """Stop the clock: the site has ended."""
        self._seconds = self._shared.clock.monotonic() - self._started

    @property
    def seconds(self) -> float:
        """Return how long the site has taken, or takes until now."""
        return round(self._shared.clock.monotonic() - self._started if self._seconds is None else self._seconds, 3)

    @property
    def slides_known(self) -> int:
        """Slides about which something has been said."""
        return sum(self._slides.values())

    def seconds_since(self, started: float) -> float:
        """Return the seconds since the clock's time `started`."""
        return round(self._shared.clock.monotonic() - started, 3)

    def say_restarted(self, slide: str, lost: int, reason: str) -> None:
        """Say that so many bytes of a slide, named by its path, have to go again."""
        self._shared.listener(SlideRestarted(site=self.site.name, slide=slide, bytes=lost, reason=reason))

    def _finish(
        self, slide: str, outcome: Outcome, moved: int, resumed: int, seconds: float, to: str | None = None
    ) -> None:
        """Say how a slide has ended, and record it. `moved`: bytes of this run, `resumed`: of earlier ones."""
        event = SlideFinished(
            site=self.site.name,
            slide=slide,
            status=outcome.status,
            bytes=moved,
            resumed_bytes=resumed,
            seconds=seconds,
            error=outcome.error,
            verified_by=outcome.verified_by,
            needs_decision=outcome.needs_decision,
            to=to,
        )
        if self._shared.record is not None:
            self._shared.record.add_event(event)
        self._shared.listener(event)

    def _break_off(self, slide: str, moved: int, resumed: int) -> None:
        """Count and record a slide that the end of the run has broken off."""
        if self._shared.record is not None:
            self._shared.record.add_unfinished(self.site.name, slide, moved, resumed)
        self._unfinished += 1
