"""What is said about an event in one line, on a terminal and elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ...events import (
    AnnotationsFinished,
    Event,
    Notice,
    RunStarted,
    SiteState,
    SlideDeleted,
    SlideExtra,
    SlideFinished,
    SlidePlanned,
    SlideRestarted,
    SlideRetracted,
    SlideStatus,
    SourceProblem,
    SourceWaiting,
    State,
)
from ...units import count_of, format_duration, format_size
from .base import annotations_error, annotations_text, planned_line, waiting_line

WAITING_AGAIN_SECONDS = 30.0
"""Slides that are still being written are spoken of no more often."""


class Level(Enum):
    """How much a line matters: ATTENTION and ERROR are printed with `--quiet` too."""

    INFO = ""
    WARNING = "yellow"
    ATTENTION = "bold yellow"
    ERROR = "red"


@dataclass(frozen=True, slots=True)
class Message:
    """One line, not made printable yet."""

    text: str
    level: Level = Level.INFO


class Messages:
    """Makes messages of the events of one run; knows what was said already."""

    def __init__(self) -> None:
        self._paused: set[str] = set()  # said once for each time away
        self._waiting_said_at = float("-inf")
        self._pull = False

    def about(self, event: Event) -> Message | None:
        """Return what is to be said; None where that is nothing, or something of slides that need nothing."""
        match event:
            case RunStarted(pull=True):
                self._pull = True
                return Message(f"pulling from {', '.join(event.sites)}")
            case RunStarted():
                more = " so far, still looking" if event.scanning else ""
                shard = f" of shard {event.shard}" if event.shard else ""
                slides = f"{count_of(event.slides, 'slide')}, {format_size(event.bytes)}{shard}{more}"
                return Message(f"{slides}, to {', '.join(event.sites)}")
            case Notice():
                return Message(f"note: {event.text}", Level.WARNING if event.passing else Level.ATTENTION)
            case SourceProblem(why="missing" | "unlisted"):
                return Message(f"not pulled: {event.path}: {event.detail}", Level.ATTENTION)
            case SourceProblem():
                return Message(f"not sent: {event.path}: {event.detail} ({event.why})", Level.ATTENTION)
            case SourceWaiting():
                return self._about_waiting(event)
            case SlideRestarted() if event.bytes:  # else nothing is lost
                size = format_size(event.bytes)
                verb = "come" if self._pull else "be sent"
                text = f"{event.site}: {event.slide}: {size} have to {verb} again: {event.reason}"
                return Message(text, Level.WARNING)
            case SlideRetracted():
                return Message(f"{event.site}: damaged {event.slide}: {event.error}", Level.ERROR)
            case AnnotationsFinished() if event.error is not None:
                text = annotations_error(event.slide, event.missing, event.error)
                return Message(f"{event.site}: {text}", Level.ERROR)
            case AnnotationsFinished() if event.added:
                counts = annotations_text(event.added, event.there, planned=event.dry_run)
                return Message(f"{event.site}: {event.slide}: {counts}")
            case SlidePlanned():
                return Message(planned_line(event))
            case SlideExtra(planned=True):
                return Message(f"{event.site}: would delete {event.slide} ({extra_size(event)}; the source has it not)")
            case SlideExtra():
                text = f"{event.site}: not in the source: {event.slide} ({extra_size(event)}; {event.reason})"
                return Message(text, Level.WARNING)
            case SlideDeleted():
                return Message(f"{event.site}: deleted {event.slide} ({extra_size(event)}; not in the source)")
            case SlideFinished(status=SlideStatus.FAILED):
                return Message(f"{event.site}: failed {event.slide}: {event.error}", Level.ERROR)
            case SlideFinished(status=SlideStatus.LEFT_OUT):
                return Message(f"{event.site}: left out {event.slide}: {event.error}", Level.ATTENTION)
            case SiteState():
                return self._about_state(event)
        return None

    def _about_waiting(self, event: SourceWaiting) -> Message | None:
        said = event.time.timestamp()
        if said - self._waiting_said_at < WAITING_AGAIN_SECONDS:
            return None
        self._waiting_said_at = said
        return Message(waiting_line(event))

    def _about_state(self, event: SiteState) -> Message | None:
        site = event.site
        match event.state:
            case State.PAUSED if site not in self._paused:
                self._paused.add(site)
                return Message(f"{site}: paused: {event.cause} (trying again)", Level.WARNING)
            case State.CONNECTING | State.RUNNING if event.reason:
                return Message(f"{site}: {event.reason}", Level.WARNING)
            case State.RUNNING if site in self._paused:
                self._paused.discard(site)
                return Message(f"{site}: answers again")
            case State.STOPPED if event.reason != "interrupted":  # which is said once, at the end
                return Message(f"{site}: stopped: {event.reason}", Level.ERROR)
        return None


def extra_size(event: SlideExtra | SlideDeleted) -> str:
    """Return how many files a slide has that the source has not, and how large they are."""
    return f"{count_of(event.files, 'file')}, {format_size(event.bytes)}" if event.files else "size not told"


def sent_line(event: SlideFinished) -> str:
    """Return the line about a slide that has been sent or pulled."""
    resumed = f", {format_size(event.resumed_bytes)} were there" if event.resumed_bytes else ""
    size = f"{format_size(event.bytes)} in {format_duration(event.seconds)}{resumed}"
    name = f" as {event.to}" if event.to is not None else ""
    return f"{event.site}: {event.status} {event.slide}{name} ({size})"
