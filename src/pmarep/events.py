"""What a run says while it works: plain data that every output (board, lines, JSON) listens to.

The names and keys are the contract of `--json`. Sizes are bytes, durations seconds, rates bytes per second.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class SlideStatus(StrEnum):
    SENT = "sent"
    SKIPPED = "skipped"
    FAILED = "failed"
    VERIFIED = "verified"  # by a run that sends nothing


class State(StrEnum):
    """What a site is doing."""

    CONNECTING = "connecting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Anything a listener can hear. `time` is UTC."""

    time: datetime = field(default_factory=_now)

    @property
    def name(self) -> str:
        """`RunStarted` is `run_started`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def to_dict(self) -> dict[str, Any]:
        """The object of one line of `--json`."""
        values = dataclasses.asdict(self)
        del values["time"]
        return {"event": self.name, "time": self.time.isoformat(timespec="milliseconds"), **values}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """`scanning` is true where the source folders are still being read, and the totals will grow."""

    sites: list[str]
    slides: int
    bytes: int
    scanning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProblem(Event):
    """Something at the source that a person expects to be sent and that cannot be."""

    path: str
    why: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceWaiting(Event):
    """So many slides may still be being written; they are looked at again in `seconds`, before they are sent."""

    slides: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice(Event):
    """Something that a person should know about the run as a whole, in one line."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideStarted(Event):
    site: str
    slide: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFinished(Event):
    """`bytes` is what this run sent and the site acknowledged; `resumed_bytes` what an earlier run had sent."""

    site: str
    slide: str
    status: SlideStatus
    bytes: int = 0
    seconds: float = 0.0
    resumed_bytes: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRetracted(Event):
    """A slide that this run has said to be at the site turned out to be damaged there; it counts as failed."""

    site: str
    slide: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideRestarted(Event):
    """`bytes` of a slide that had been sent have to be sent again, and why."""

    site: str
    slide: str
    bytes: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlidePlanned(Event):
    """`--dry-run`: what would be done. `to` is the virtual path at the site, `bytes` what would be sent at most."""

    site: str
    slide: str
    action: str
    reason: str
    to: str
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteState(Event):
    site: str
    state: State
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress(Event):
    """`bytes_done` of `bytes_total` that this site needs; `rate` over the last seconds."""

    site: str
    bytes_done: int
    bytes_total: int
    rate: float
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSummary:
    """`failed` counts every slide that should be at the site and is not, tried or not.

    `verified`: found to be there as it should be, by a run that sends nothing.
    """

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    verified: int = 0
    bytes_sent: int = 0
    bytes_resumed: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary(Event):
    """The last event of every run; after a dry run `sent` counts what would be sent.

    `source_problems` counts what could not be sent to any site. `verify_only`: the run was to send nothing.
    """

    exit_code: int
    seconds: float
    sites: dict[str, SiteSummary]
    source_problems: int = 0
    dry_run: bool = False
    verify_only: bool = False
    error: str | None = None


Listener = Callable[[Event], None]
