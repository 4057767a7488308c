"""What a run says while it works: plain data that every output (board, lines, JSON) listens to.

The names and keys are the contract of `--json`. Sizes are bytes, durations seconds, rates bytes per second.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, dataclass_transform

_T = TypeVar("_T")


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


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _immutable(cls: type[_T]) -> type[_T]:
    """A dataclass that nobody changes: type checkers see to that.

    Python itself does not: making a frozen one takes three times as long, and a run makes one per slide and site.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)


def _now() -> datetime:
    return datetime.now(UTC)


@_immutable
class Event:
    """Anything a listener can hear. `time` is UTC."""

    time: datetime = field(default_factory=_now)

    @property
    def name(self) -> str:
        """`RunStarted` is `run_started`."""
        kind: Any = type(self)
        return _name_of(kind)

    def to_dict(self) -> dict[str, Any]:
        """The object of one line of `--json`."""
        # Not dataclasses.asdict(), which copies every text and number: a run over many slides says much.
        kind: Any = type(self)
        line: dict[str, Any] = {"event": _name_of(kind), "time": self.time.isoformat(timespec="milliseconds")}
        for key in _keys_of(kind):
            value = getattr(self, key)
            line[key] = value if value is None or isinstance(value, _SCALARS) else _plain(value)
        return line


_SCALARS = (str, int, float)  # with bool, and StrEnum


@cache
def _name_of(kind: type[Event]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def _keys_of(kind: type[Any]) -> tuple[str, ...]:
    """Of an event or of what is in one, in the order of its definition; an event's time comes first, elsewhere."""
    return tuple(one.name for one in fields(kind) if not (one.name == "time" and issubclass(kind, Event)))


def _plain(value: Any) -> Any:
    """What is in an event, without anything that belongs to the event."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        kind: Any = type(value)
        return {key: _plain(getattr(value, key)) for key in _keys_of(kind)}
    return value


@_immutable
class RunStarted(Event):
    """`scanning` is true where the source folders are still being read, and the totals will grow."""

    sites: list[str]
    slides: int
    bytes: int
    scanning: bool = False


@_immutable
class SourceProblem(Event):
    """Something at the source that a person expects to be sent and that cannot be."""

    path: str
    why: str
    detail: str


@_immutable
class SourceWaiting(Event):
    """So many slides may still be being written; they are looked at again in `seconds`, before they are sent."""

    slides: int
    seconds: float


@_immutable
class Notice(Event):
    """Something that a person should know about the run as a whole, in one line.

    `passing`: nobody has to do anything about it.
    """

    text: str
    passing: bool = False


@_immutable
class SlideStarted(Event):
    """Files of this slide are about to be sent to the site. Not said again when a failure makes that begin anew.

    A slide that is skipped, or fails before that, has only a SlideFinished.
    """

    site: str
    slide: str


@_immutable
class SlideFinished(Event):
    """`bytes` is what this run sent and the site acknowledged; `resumed_bytes` what an earlier run had sent."""

    site: str
    slide: str
    status: SlideStatus
    bytes: int = 0
    seconds: float = 0.0
    resumed_bytes: int = 0
    error: str | None = None


@_immutable
class SlideRetracted(Event):
    """A slide that this run has said to be at the site turned out to be damaged there; it counts as failed."""

    site: str
    slide: str
    error: str


@_immutable
class SlideRestarted(Event):
    """`bytes` of a slide that had been sent have to be sent again, and why."""

    site: str
    slide: str
    bytes: int
    reason: str


@_immutable
class SlidePlanned(Event):
    """`--dry-run`: what would be done. `to` is the virtual path at the site, `bytes` what would be sent at most."""

    site: str
    slide: str
    action: str
    reason: str
    to: str
    bytes: int


@_immutable
class SiteState(Event):
    """What a site does from now on. `reason` says why it is paused or stopped, in one line; None where all is well."""

    site: str
    state: State
    reason: str | None = None


@_immutable
class Progress(Event):
    """`bytes_done` of `bytes_total` that this site needs; `rate` over the last seconds. `bytes_under_way` are sent and
    not acknowledged: to be sent again if the run were killed now.
    """

    site: str
    bytes_done: int
    bytes_total: int
    rate: float
    connections: int
    bytes_under_way: int = 0


@_immutable
class SiteSummary:
    """`failed` counts every slide that should be at the site and is not, tried or not; but not those that were not
    begun because the run was to end, or was interrupted: `not_begun`.

    `verified`: found to be there as it should be, by a run that sends nothing. Of slides that were begun and are not
    whole, `bytes_kept` need not be sent again by the next run; `bytes_again` were under way when the run ended, and do.
    Of the skipped and verified ones, `differing` are other slides, left as they are with `--existing skip`; `changed`
    have the same names and sizes, but have changed here since they were sent, and were not compared.
    """

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    verified: int = 0
    not_begun: int = 0
    bytes_sent: int = 0
    bytes_resumed: int = 0
    bytes_kept: int = 0
    bytes_again: int = 0
    seconds: float = 0.0
    error: str | None = None
    differing: int = 0
    changed: int = 0


@_immutable
class SourceSummary:
    """What is in all sources together: `slides` of `bytes`, and how many things were left out, by why: `reasons`.

    `empty`: sources in which there is no slide at all; `filtered`: those whose slides are all left out by the options
    or by `.pmarepignore`. Both only where the sources were looked through to their ends. `may_be_empty`: that is no
    failure (`--allow-empty`).
    """

    slides: int = 0
    bytes: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    filtered: list[str] = field(default_factory=list)
    may_be_empty: bool = False


@_immutable
class Summary(Event):
    """The last event of every run; after a dry run `sent` counts what would be sent.

    `source_problems` counts what could not be sent to any site. `verify_only`: the run was to send nothing.
    `left_out`: numbers of files in the source that are neither in a slide nor in a problem, by what they are: `unknown`
    (may be a slide or a part of one), `other`, `system` and `excluded` (also folders that were not looked into).
    """

    exit_code: int
    seconds: float
    sites: dict[str, SiteSummary]
    source_problems: int = 0
    source: SourceSummary = field(default_factory=SourceSummary)
    left_out: dict[str, int] = field(default_factory=dict)
    dry_run: bool = False
    verify_only: bool = False
    error: str | None = None


Listener = Callable[[Event], None]
