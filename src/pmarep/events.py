"""The events of a run: plain data for every listener (board, lines, JSON, a program of yours).

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


LEFT_OUT_CODE = 4
"""The exit code of a run after which every slide that may be at a site is there, and some may not."""


class SlideStatus(StrEnum):
    """How a slide ended at a site. VERIFIED: found there as it should be, by a run that sends nothing.

    PULLED: it has come from there, by `pmarep pull`. LEFT_OUT: it is not there and is not to be, since the command
    `require` of the site says so.
    """

    SENT = "sent"
    PULLED = "pulled"
    SKIPPED = "skipped"
    FAILED = "failed"
    VERIFIED = "verified"
    LEFT_OUT = "left_out"


class VerifiedBy(StrEnum):
    """How closely a run has looked at a slide at a site; each but NONE implies those before it.

    NONE: not at all, it was sent (`--verify none`). LISTING: an earlier run has sent or seen it, and the site still
    lists its main file. FILES: the site has its files with our sizes. SIZE: and its server can open it.
    FINGERPRINT: and the fingerprints of all sites agree. DEEP: every byte was read back and compared with ours.
    """

    NONE = "none"
    LISTING = "listing"
    FILES = "files"
    SIZE = "size"
    FINGERPRINT = "fingerprint"
    DEEP = "deep"


class State(StrEnum):
    """What a site is doing: a STOPPED one gets nothing more in this run, a PAUSED one is waited for."""

    CONNECTING = "connecting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"


@dataclass_transform(frozen_default=True, kw_only_default=True)
def _immutable(cls: type[_T]) -> type[_T]:
    """Make a dataclass that type checkers take for frozen.

    Python itself does not: making a frozen one takes three times as long, and a run makes one per slide and site.
    """
    return dataclass(slots=True, kw_only=True, unsafe_hash=True)(cls)


def _now() -> datetime:
    return datetime.now(UTC)


@_immutable
class Event:
    """Base of all events. `time`: when it was sent, in UTC."""

    time: datetime = field(default_factory=_now)

    @property
    def name(self) -> str:
        """The `event` of its JSON line: `run_started` for RunStarted."""
        kind: Any = type(self)
        return _name_of(kind)

    def to_dict(self) -> dict[str, Any]:
        """Return the object of one line of `--json`."""
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
    """Return the names of the fields, in the order of their definition, without an event's `time`: that comes first."""
    return tuple(one.name for one in fields(kind) if not (one.name == "time" and issubclass(kind, Event)))


def _plain(value: Any) -> Any:
    """Turn a field's value into dictionaries, lists and scalars that the event does not share."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        kind: Any = type(value)
        return {key: _plain(getattr(value, key)) for key in _keys_of(kind)}
    return value


class RoundReason(StrEnum):
    """Why a round of `--every` begins."""

    START = "start"  # it is the first
    TIME = "time"  # the time of --every is over
    CHANGE = "change"  # something in a source has changed
    RELOAD = "reload"  # the site book was read anew


@_immutable
class RoundStarted(Event):
    """Sent before all others of a round of `--every`; `summary` is its last event, then the next round follows.

    round: its number, from 1.
    reason: why it begins now.
    """

    round: int
    reason: RoundReason


@_immutable
class RunStarted(Event):
    """Sent once, when the sources were looked through, or after the first seconds of that.

    sites: names of all sites of the run.
    slides, bytes: what was found so far, and its size in bytes.
    scanning: the sources are still being read, and both numbers will grow.
    shard: "K/N" where the run is about the slides of one shard (`--shard`): then all numbers are of those.
    pull: slides come from these sites, instead of being sent there.
    """

    sites: list[str]
    slides: int
    bytes: int
    scanning: bool = False
    shard: str | None = None
    pull: bool = False


@_immutable
class SourceProblem(Event):
    """Sent for each thing at the source that a person expects to be sent and that cannot be.

    path: its path from its source, with "/"; in a pull a virtual path, or the place as it was typed.
    why: the kind of problem, a value of `slides.Why`; in a pull "missing" (nothing is at that place) or "unlisted" (the
        server does not tell what is there).
    detail: what is wrong, for people.
    """

    path: str
    why: str
    detail: str


@_immutable
class SourceWaiting(Event):
    """Sent when slides that may still be being written are put off, to be looked at again before they are sent.

    slides: how many they are.
    seconds: until they are looked at again.
    """

    slides: int
    seconds: float


@_immutable
class Notice(Event):
    """Sent for something about the run as a whole that a person should know.

    text: one line.
    passing: nobody has to do anything about it.
    """

    text: str
    passing: bool = False


@_immutable
class SlideStarted(Event):
    """Sent when files of a slide are about to be sent to a site; not again when a failure makes that begin anew.

    A slide that is skipped, or fails before that, has only a SlideFinished.

    site: the site's name.
    slide: the slide's path from its source.
    """

    site: str
    slide: str


@_immutable
class SlideFinished(Event):
    """Sent once for each slide and site that the run got to.

    site, slide: the site's name, and the slide's path from its source.
    status: how it ended.
    bytes: what this run sent and the site acknowledged, or pulled.
    seconds: from the beginning of this slide at this site.
    resumed_bytes: what an earlier run had sent or pulled, in bytes.
    error: what happened and what to do, in one line, or why it was left out; None otherwise.
    verified_by: how closely this run has looked at the slide there; None where it failed, or another one stays there.
    needs_decision: it failed, and the next run refuses it too unless it is told otherwise (`--existing`, `--fresh`,
        `label_images`).
    to: its path below the site's target and `--to`, where a map gives it another name there; None otherwise.
    """

    site: str
    slide: str
    status: SlideStatus
    bytes: int = 0
    seconds: float = 0.0
    resumed_bytes: int = 0
    error: str | None = None
    verified_by: VerifiedBy | None = None
    needs_decision: bool = False
    to: str | None = None


@_immutable
class SlideRetracted(Event):
    """Sent when a slide that this run has said to be at a site turns out to be damaged there; it counts as failed.

    site, slide: the site's name, and the slide's path from its source.
    error: what is wrong, in one line.
    """

    site: str
    slide: str
    error: str


@_immutable
class SlideRestarted(Event):
    """Sent when bytes of a slide that had been sent or pulled have to go again.

    site, slide: the site's name, and the slide's path from its source.
    bytes: how many have to go again.
    reason: why, in one line.
    """

    site: str
    slide: str
    bytes: int
    reason: str


@_immutable
class AnnotationsFinished(Event):
    """Sent when the annotations of a slide have been brought to a site, or could not be. Not for slides without any.

    It says nothing about the slide itself, which is there.

    site, slide: the site's name, and the slide's path from its source.
    added: annotations that this run has added; by a dry run, that it would add.
    there: annotations that were there already.
    missing: annotations that are still missing; 0 also where that is not known.
    error: what went wrong and what to do, in one line; None where all are there.
    dry_run: the run was to change nothing.
    """

    site: str
    slide: str
    added: int = 0
    there: int = 0
    missing: int = 0
    error: str | None = None
    dry_run: bool = False


@_immutable
class SlideExtra(Event):
    """Sent by a mirror (`--mirror`) for each slide below the target folder that the source has not, and that stays.

    site: the site's name.
    slide: the slide's path from the folder that is mirrored.
    to: the virtual path of its main file at the site.
    files, bytes: how many files it has there, and their size; 0 where the server does not tell.
    reason: why it stays, in one line.
    planned: a dry run has found it, and a real one with --yes would delete it.
    """

    site: str
    slide: str
    to: str
    files: int
    bytes: int
    reason: str
    planned: bool = False


@_immutable
class SlideDeleted(Event):
    """Sent by a mirror when a slide that the source has not was deleted at a site, and is gone there.

    site: the site's name.
    slide: the slide's path from the folder that is mirrored.
    to: the virtual path that its main file had.
    files, bytes: how many files it had there, and their size.
    """

    site: str
    slide: str
    to: str
    files: int
    bytes: int


@_immutable
class SlidePlanned(Event):
    """Sent by a dry run, for each slide and site: what a real run would do.

    site, slide: the site's name, and the slide's path from its source.
    action: "send", "resume", "replace", "skip", "conflict" (it differs and may not be replaced), "refuse" or "exclude"
        (the site does not take it, by `label_images` or by its other keys); of a pull "pull",
        "complete" (files of it are missing here), "replace", "skip" or "conflict".
    reason: why, in one line.
    to: the virtual path of its main file at the site; of a pull its path here.
    bytes: what would be sent or pulled, at most.
    """

    site: str
    slide: str
    action: str
    reason: str
    to: str
    bytes: int


TRYING_AGAIN = "; trying again in "
"""Between the cause of a pause and the time of the next try, in the reason of a PAUSED site."""


@_immutable
class SiteState(Event):
    """Sent when a site's state changes.

    site: its name.
    state: what it does from now on.
    reason: why it is so, in one line; None where all is well.
    retry_seconds: of a PAUSED site, until it is tried again.
    """

    site: str
    state: State
    reason: str | None = None
    retry_seconds: float | None = None

    @property
    def cause(self) -> str:
        """The reason without the time of the next try."""
        return (self.reason or "").partition(TRYING_AGAIN)[0]


@_immutable
class Progress(Event):
    """Sent about once a second for each site.

    site: its name.
    bytes_done: bytes that are acknowledged, under way, or were sent by an earlier run.
    bytes_total: bytes that this site needs altogether.
    rate: bytes per second, over the last seconds; over more of them where buffers would hide what the line carries.
    connections: requests that run in parallel now.
    bytes_under_way: bytes that are sent and not acknowledged; to be sent again if the run were killed now.
    bytes_sent: bytes handed to the network in this run, or received by a pull, also those that had to go again; only
        grows.
    slides_total: slides that this site needs altogether, as far as they are found.
    """

    site: str
    bytes_done: int
    bytes_total: int
    rate: float
    connections: int
    bytes_under_way: int = 0
    bytes_sent: int = 0
    slides_total: int = 0


@_immutable
class SiteSummary:
    """What a run did at one site; a part of Summary. Numbers are slides unless said otherwise.

    sent, skipped, pulled: as SlideFinished says; after a dry run `sent` or `pulled` counts what would be.
    failed: every slide that should be at the site and is not, tried or not, but for those in `not_begun`.
    verified: found to be there as it should be, by a run that sends nothing.
    left_out: not there, since the command `require` of the site lets them not go there; not counted as failed.
    not_begun: left for the next run, because this one was to end or was interrupted.
    bytes_sent: bytes that the site acknowledged in this run, or that a pull has received and kept.
    bytes_resumed: bytes that an earlier run had sent or pulled.
    bytes_kept: bytes of unfinished slides that need not go again in the next run.
    bytes_again: bytes of unfinished slides that were under way at the end, and have to go again.
    seconds: until the site was done.
    error: why the site was stopped or left out, in one line, or None.
    differing: skipped or verified slides that differ from ours and stay so (`--existing skip`).
    changed: skipped or verified slides with our names and sizes that have changed here since they were sent, and
        were not compared.
    not_looked_at: of `failed`: neither looked at nor sent, so that it is not known whether they are there.
    needs_decision: of `failed`: refused by the next run too, unless it is told otherwise (`--existing`, `--fresh`,
        `label_images`).
    excluded: slides that the site does not take, by its keys in the site book; in no other number.
    annotations_added, annotations_there: annotations of all slides that were added in this run, or there before.
    annotations_failed: slides that are there and some annotations of which could not be brought.
    extra: slides below the target folder that the source has not, and that stay (`--mirror`); after a dry run also
        those that a real run would delete.
    deleted, bytes_deleted: slides that the source has not and that were deleted, and their size in bytes.
    mirror_error: why nothing, or nothing more, was deleted there, in one line, or None.
    """

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    verified: int = 0
    left_out: int = 0
    not_begun: int = 0
    bytes_sent: int = 0
    bytes_resumed: int = 0
    bytes_kept: int = 0
    bytes_again: int = 0
    seconds: float = 0.0
    error: str | None = None
    differing: int = 0
    changed: int = 0
    not_looked_at: int = 0
    needs_decision: int = 0
    annotations_added: int = 0
    annotations_there: int = 0
    annotations_failed: int = 0
    pulled: int = 0
    extra: int = 0
    deleted: int = 0
    bytes_deleted: int = 0
    mirror_error: str | None = None
    excluded: int = 0


@_immutable
class SourceSummary:
    """What is in all sources together; a part of Summary.

    slides, bytes: all that were found, and their size in bytes.
    reasons: how many things were left out, by why.
    empty: sources without any slide; only those that were looked through to their ends, as in `filtered`.
    filtered: sources whose slides are all left out by options or `.pmarepignore`.
    may_be_empty: a source without any slide is no failure (`--allow-empty`).
    """

    slides: int = 0
    bytes: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)
    filtered: list[str] = field(default_factory=list)
    may_be_empty: bool = False


@_immutable
class Summary(Event):
    """The last event of every run.

    exit_code: that of the process.
    seconds: how long the run took.
    sites: by name.
    source_problems: how many things at the source could not be sent to any site.
    source: what the sources hold.
    left_out: numbers of files that are neither in a slide nor in a problem, by what they are: "unknown" (may be a slide
        or a part of one), "other", "system" and "excluded" (also folders that were not looked into), "annotations"
        (side files, taken along or not).
    dry_run, verify_only: the run was to send nothing.
    pull: slides came from the sites.
    error: why the run as a whole ended early, in one line, or None.
    annotations: the run was to bring annotations too.
    bytes_downloaded: bytes that came from the PMA.cores of the sources, also those that had to come again; 0 where the
        sources are on this disk.
    shard: "K/N" where the run was about the slides of one shard (`--shard`): then all numbers are of those.
    mirror: the run was to find slides at the sites that the source has not.
    unfinished: slides that were still being written, and that a later round of `--every` sends; without that option
        they are among the `source_problems`.
    map_only: slides that a map does not name at a site were left out there; they count as `excluded`.
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
    annotations: bool = False
    bytes_downloaded: int = 0
    shard: str | None = None
    pull: bool = False
    mirror: bool = False
    unfinished: int = 0
    map_only: bool = False


Listener = Callable[[Event], None]
"""Called with every event, in order, in the event loop of the run: it has to be quick."""
