"""Tell from its record how far a run has come: one that goes on in another process, has ended, or was killed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ..errors import UsageError
from ..slides.shard import Shard
from .run_records import RunFile, RunRecordError

_SCOPE = ("command", "sources", "sites", "to", "include", "exclude", "folder")
_THERE = ("sent", "verified", "skipped", "pulled")
_COUNTED = (*_THERE, "failed", "left_out", "excluded")


class RunState(StrEnum):
    """What has become of a run. `UNKNOWN`: it has no record, and did not say how it ended."""

    RUNNING = "running"
    ENDED = "ended"
    KILLED = "killed"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class SiteProgress:
    """How far a run has come at one site: numbers of slides, bytes, bytes per second when last heard of."""

    url: str
    target: str
    state: str = "connecting"
    reason: str | None = None
    sent: int = 0
    skipped: int = 0
    verified: int = 0
    failed: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    rate: float = 0.0
    left_out: int = 0
    pulled: int = 0
    excluded: int = 0  # by the site's keys in the site book; not among those done

    @property
    def slides_done(self) -> int:
        return self.sent + self.skipped + self.verified + self.pulled + self.failed + self.left_out


@dataclass(slots=True)
class RunProgress:
    """A run as its record has it. `last`: when it was last heard of; `slides`: found so far.

    `arguments`: the words after `pmarep` that go on with it; empty where a program started it, or an older pmarep.
    `folder`: of a pull, where slides go on this disk.
    `scope`: equal for two runs of the same slides to the same places, or of shards of them.
    """

    number: int
    state: RunState
    started: datetime
    last: datetime
    command: str
    sources: tuple[str, ...]
    to: str
    pid: int | None
    arguments: tuple[str, ...]
    scope: str
    shard: Shard | None = None
    folder: str | None = None
    slides: int = 0
    sites: dict[str, SiteProgress] = field(default_factory=dict)


def read_progress(record: RunFile, *, only_head: bool = False) -> RunProgress:
    """Read a record to its end, or only what was asked for. Raises RunRecordError, also where it is damaged."""
    running = record.is_running()  # before it is read: it may end meanwhile
    lines = iter(record.lines())
    try:
        head = next(lines, None)
        if head is None:
            raise ValueError("nothing is in it")
        progress = _begun(record, head)
        if not only_head:
            _add_lines(progress, lines, running)
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise RunRecordError(f"the record {record.path} is damaged ({type(error).__name__})") from None
    return progress


def _begun(record: RunFile, head: Mapping[str, Any]) -> RunProgress:
    started = datetime.fromisoformat(head["time"])
    return RunProgress(
        number=record.number,
        state=RunState.UNKNOWN,
        started=started,
        last=started,
        command=str(head["command"]),
        sources=tuple(map(str, head["sources"])),
        to=str(head["to"]),
        pid=head.get("pid"),
        arguments=tuple(map(str, head.get("arguments") or ())),
        scope=json.dumps([head.get(key) for key in _SCOPE]),
        shard=Shard.parse(head["shard"]) if head.get("shard") else None,
        folder=head.get("folder"),
        sites={str(site["name"]): SiteProgress(str(site["url"]), str(site["target"])) for site in head["sites"]},
    )


def _add_lines(progress: RunProgress, lines: Iterable[Mapping[str, Any]], running: bool) -> None:
    progress.state = RunState.RUNNING if running else RunState.KILLED
    for line in lines:
        event = line["event"]
        if event == "slides":
            progress.slides = int(line["first"]) + len(line["slides"])
            continue
        progress.last = datetime.fromisoformat(line["time"])
        if event == "summary":
            progress.state = RunState.ENDED
        elif "site" in line:
            _add_line(progress.sites[line["site"]], line)


def _add_line(site: SiteProgress, line: Mapping[str, Any]) -> None:
    match line["event"]:
        case "slide_finished":
            _count(site, line["status"], 1)
        case "slides_known":
            _count(site, line["status"], sum(last - first + 1 for first, last in line["slides"]))
        case "slide_retracted":
            # Which of them it was, the line does not say.
            _count(site, next((status for status in _THERE if getattr(site, status)), ""), -1)
            site.failed += 1
        case "site_state":
            site.state, site.reason = str(line["state"]), line["reason"]
        case "progress":
            site.bytes_done, site.bytes_total = int(line["bytes_done"]), int(line["bytes_total"])
            site.rate = float(line["rate"])


def _count(site: SiteProgress, status: str, number: int) -> None:
    if status in _COUNTED:
        setattr(site, status, getattr(site, status) + number)
