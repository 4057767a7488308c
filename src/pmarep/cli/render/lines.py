"""Plain lines without control codes: for cron mails, logs and pipes."""

from __future__ import annotations

import time

from ...events import (
    Event,
    Notice,
    Progress,
    RunStarted,
    SiteState,
    SlideFinished,
    SlidePlanned,
    SlideRestarted,
    SlideRetracted,
    SlideStatus,
    SourceProblem,
    SourceWaiting,
    State,
    Summary,
)
from ...text import printable
from ...units import format_duration, format_size
from .base import Output, count_of, left_out_line, planned_line, summary_lines, waiting_line

PROGRESS_EVERY = 60.0


class LinesOutput(Output):
    """Prints plain lines. `quiet`: only what went wrong or needs attention. `verbose`: skipped slides too."""

    def __init__(self, *, quiet: bool, verbose: bool) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._next_progress: dict[str, float] = {}
        self._paused: set[str] = set()  # said once for each time away

    def _print(self, text: str, wrong: bool = False) -> None:
        if wrong or not self._quiet:
            self.write_line(printable(text))

    def announce_stopping(self) -> None:
        self._print("stopping; once more to stop at once")

    def handle(self, event: Event) -> None:
        match event:
            case RunStarted():
                more = " so far, still looking" if event.scanning else ""
                slides = f"{count_of(event.slides, 'slide')}, {format_size(event.bytes)}{more}"
                self._print(f"{slides}, to {', '.join(event.sites)}")
            case Notice():
                self._print(f"note: {event.text}", wrong=not event.passing)
            case SourceProblem():
                self._print(f"not sent: {event.path}: {event.detail} ({event.why})", wrong=True)
            case SourceWaiting():
                self._print(waiting_line(event))
            case SlideRestarted():
                size = format_size(event.bytes)
                self._print(f"{event.site}: {event.slide}: {size} have to be sent again: {event.reason}")
            case SlideRetracted():
                self._print(f"{event.site}: damaged {event.slide}: {event.error}", wrong=True)
            case SlidePlanned():
                self._print(planned_line(event))
            case SlideFinished():
                self._finished(event)
            case SiteState(state=State.PAUSED) if event.site not in self._paused:
                self._paused.add(event.site)
                self._print(f"{event.site}: paused: {event.reason}")
            case SiteState(state=State.CONNECTING | State.RUNNING) if event.reason:
                self._print(f"{event.site}: {event.reason}")
            case SiteState(state=State.RUNNING) if event.site in self._paused:
                self._paused.discard(event.site)
                self._print(f"{event.site}: answers again")
            case SiteState(state=State.STOPPED):
                self._print(f"{event.site}: stopped: {event.reason}", wrong=True)
            case Progress():
                self._progress(event)
            case Summary():
                if line := left_out_line(event):
                    self._print(line, wrong=event.left_out.get("unknown", 0) > 0)
                wrong = event.exit_code != 0
                *sites, verdict = summary_lines(event, self.selection)
                for line in sites:
                    self._print(line, wrong=wrong)
                # An empty source may be a network drive that is not mounted: said in a quiet night too.
                self._print(verdict, wrong=wrong or not any(s.sent + s.skipped for s in event.sites.values()))

    def _finished(self, event: SlideFinished) -> None:
        if event.status is SlideStatus.FAILED:
            self._print(f"{event.site}: failed {event.slide}: {event.error}", wrong=True)
        elif event.status is SlideStatus.SENT:
            resumed = f", {format_size(event.resumed_bytes)} were there" if event.resumed_bytes else ""
            size = f"{format_size(event.bytes)} in {format_duration(event.seconds)}{resumed}"
            self._print(f"{event.site}: sent {event.slide} ({size})")
        elif self._verbose:
            self._print(f"{event.site}: {event.status} {event.slide}")

    def _progress(self, event: Progress) -> None:
        """Print progress only once a minute, so that a log of a long night stays readable."""
        now = time.monotonic()
        if now < self._next_progress.setdefault(event.site, now + PROGRESS_EVERY):
            return
        self._next_progress[event.site] = now + PROGRESS_EVERY
        done, total = format_size(event.bytes_done), format_size(event.bytes_total)
        self._print(f"{event.site}: {done} of {total}, {format_size(event.rate)}/s")
