"""Plain lines without control codes, with the time: for cron mails, logs and pipes."""

from __future__ import annotations

from datetime import datetime

from ...clock import Clock
from ...events import (
    AnnotationsFinished,
    Event,
    Progress,
    RoundStarted,
    RunStarted,
    SlideExtra,
    SlideFinished,
    SlidePlanned,
    SlideStatus,
    SourceWaiting,
    State,
    Summary,
)
from ...text import printable
from ...units import format_duration, format_size
from .base import Output, left_out_line, summary_lines, unfinished_text
from .live import LiveRun, LiveSite
from .messages import Level, Messages, sent_line

PROGRESS_SECONDS = 30.0
"""A log of a long night stays readable."""


class LinesOutput(Output):
    """Prints plain lines. `quiet`: only what went wrong or needs attention. `verbose`: skipped slides too."""

    def __init__(self, *, quiet: bool, verbose: bool, clock: Clock | None = None) -> None:
        self._quiet = quiet
        self._verbose = verbose
        self._messages = Messages()
        self._run = LiveRun(clock or Clock())
        self._progress_said: dict[str, float] = {}
        self._round: RoundStarted | None = None

    def _print(self, text: str, at: datetime | None = None, wrong: bool = False) -> None:
        """Print a line, with the local time before it where `at` is given."""
        if wrong or not self._quiet:
            time = "" if at is None else f"{at.astimezone():%Y-%m-%d %H:%M:%S}  "
            self.write_line(time + printable(text))

    def announce_stopping(self) -> None:
        self._print("stopping; once more to stop at once", datetime.now().astimezone())

    def handle(self, event: Event) -> None:
        self._run.handle(event)
        message = self._messages.about(event)
        if self._round is not None and isinstance(event, RunStarted | SourceWaiting):
            return  # a round in which nothing happens is one line
        if message is not None:
            # A dry run is a list, which may be compared with another.
            at = None if _is_planned(event) else event.time
            self._print(message.text, at, wrong=message.level in (Level.ATTENTION, Level.ERROR))
        match event:
            case RoundStarted():
                self._round = event
            case SlideFinished(status=SlideStatus.SENT | SlideStatus.PULLED):
                self._print(sent_line(event), event.time)
            case SlideFinished() if self._verbose and event.status not in (SlideStatus.FAILED, SlideStatus.LEFT_OUT):
                self._print(f"{event.site}: {event.status} {event.slide}", event.time)
            case Progress():
                self._progress(event)
            case Summary():
                self._end(event)

    def _end(self, event: Summary) -> None:
        if self._round is not None and event.exit_code == 0:
            self._print(round_line(self._round, event), event.time)
            return
        if line := left_out_line(event):
            self._print(line, wrong=event.left_out.get("unknown", 0) > 0)
        wrong = event.exit_code != 0
        *sites, verdict = summary_lines(event, self.selection)
        for line in sites:
            self._print(line, wrong=wrong)
        # An empty source may be a network drive that is not mounted: said in a quiet night too.
        self._print(verdict, wrong=wrong or not any(s.sent + s.skipped + s.pulled for s in event.sites.values()))

    def _progress(self, event: Progress) -> None:
        """Say how far a site is, every half minute, until it has ended."""
        site, now = self._run.site(event.site), self._run.now
        since = self._progress_said.setdefault(event.site, now)
        if now - since >= PROGRESS_SECONDS and not site.ended:
            self._progress_said[event.site] = now
            self._print(progress_line(site, now), event.time)


def _is_planned(event: Event) -> bool:
    """Return whether an event is about what a run without --dry-run would do."""
    return (
        isinstance(event, SlidePlanned)
        or (isinstance(event, AnnotationsFinished) and event.dry_run)
        or (isinstance(event, SlideExtra) and event.planned)
    )


def round_line(begun: RoundStarted, summary: Summary) -> str:
    """Return the line about a round of `--every` after which every slide is at every site."""
    parts = []
    for name, site in summary.sites.items():
        counts = f"{name} {site.sent} sent, {site.skipped} skipped"
        parts.append(f"{counts}, {format_size(site.bytes_sent)}" if site.bytes_sent else counts)
    if summary.unfinished:
        parts.append(unfinished_text(summary.unfinished))
    return f"round {begun.round} ({begun.reason}): {'; '.join(parts)}"


def progress_line(site: LiveSite, now: float) -> str:
    """Return how far a site is: bytes, slides, rate, time left; how long it is paused or not connected."""
    parts = [f"{site.percent} %", f"{format_size(site.done)} of {format_size(site.total)}"]
    if site.only_looks:
        parts.pop()
    parts.append(f"{site.arrived} of {site.slides} slides")
    if site.failed:
        parts.append(f"{site.failed} failed")
    if site.left_out:
        parts.append(f"{site.left_out} left out")
    if site.state is not State.RUNNING:
        parts.append(f"{site.state} for {format_duration(now - site.since)}")
    elif not site.only_looks:
        parts.append(f"{format_size(site.rates.now)}/s")
        if (left := site.seconds_left) is not None:
            parts.append(f"{format_duration(max(left, 1))} left")
    return f"{site.name}: {', '.join(parts)}"
