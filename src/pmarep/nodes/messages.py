"""What coordinator and nodes say to each other: dictionaries fit for JSON, without any secret.

To a node: `slides` (a shard), `differ` (what the coordinator sees of slides that differ), `share` (which part of the
limits is the node's), `audited` (how many lines of the audit are in the file), `finish` (no more shards come), `stop`.
From a node: `ready`, `share` (it keeps to its part, and which limits that makes), `differs`, `refused`, `event`,
`known` (slides with which nothing had to be done), `audit`, and last `ended` or `failed`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from enum import Enum
from pathlib import Path
from typing import Any

from .. import events
from ..engine import Existing, Options, Verify
from ..errors import ConfigError
from ..events import Event, SiteSummary, SlideStatus, State, VerifiedBy
from ..sites import Site
from ..timetable import Timetable
from ..version import __version__
from .lease import Lease

Message = dict[str, Any]

_CARRIED = (
    "to", "existing", "verify", "connections", "bwlimit", "fresh", "annotations", "hard", "patience", "recheck",
    "follow_links",
)  # fmt: skip
"""Options of a run that a node has to know; the others are about finding slides, or about files of the coordinator."""

_KINDS = {"existing": Existing, "verify": Verify, "status": SlideStatus, "verified_by": VerifiedBy, "state": State}


@dataclasses.dataclass(frozen=True)
class NodeTask:
    """What a node is asked to do. `config`, `state_dir`: paths on the node, as they were typed; None: its own."""

    sources: list[str]
    sites: list[dict[str, Any]]
    options: dict[str, Any]
    config: str | None
    state_dir: str | None
    audited: bool
    lease: list[float]
    seconds_left: float | None = None
    version: str = __version__

    @classmethod
    def of(
        cls, options: Options, sites: list[Site], config: Path | None, state_dir: Path | None, lease: Lease
    ) -> NodeTask:
        return cls(
            sources=[str(path.absolute()) for path in options.paths],
            sites=[meaning_of(site) for site in sites],
            options={key: _plain(getattr(options, key)) for key in _CARRIED},
            config=None if config is None else str(config.expanduser().absolute()),
            state_dir=None if state_dir is None else str(state_dir.expanduser().absolute()),
            audited=options.audit is not None,
            lease=list(lease),
        )

    @classmethod
    def read(cls, line: bytes) -> NodeTask:
        """Return the task of a line. Raises ConfigError where a coordinator of another version has made it."""
        values = json.loads(line)
        if values["version"] != __version__:  # it may have other fields as well
            words = f"it has pmarep {__version__} and the coordinator {values['version']}"
            raise ConfigError(f"{words}; install the same on all nodes")
        return cls(**values)

    def run_options(self) -> Options:
        """Return the options of the node's run."""
        said = {key: _typed(key, value) for key, value in self.options.items()}
        return Options(
            sources=tuple(map(Path, self.sources)),
            max_duration=self.seconds_left,
            allow_empty=True,  # of a node that gets no shard
            ask_pma_start=False,
            settle=0.0,
            **said,
        )


def meaning_of(site: Site) -> dict[str, Any]:
    """Return what has to be the same in the site books of all nodes: where slides go, and which may."""
    return {
        "name": site.name,
        "url": site.url,
        "target": site.target,
        "label_images": str(site.label_images),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Timetable):
        return [[time.isoformat(), limit] for time, limit in value.entries]
    return value.value if isinstance(value, Enum) else value


def _typed(key: str, value: Any) -> Any:
    if key == "bwlimit" and value is not None:
        return Timetable(tuple((dt.time.fromisoformat(time), limit) for time, limit in value))
    return _KINDS[key](value) if key in _KINDS and value is not None else value


def event_of(line: dict[str, Any]) -> Event:
    """Return the event that a node has said, from its line of `--json`."""
    name = "".join(word.title() for word in line["event"].split("_"))
    kind = getattr(events, name)
    known = {field.name for field in dataclasses.fields(kind)} - {"time"}
    fields = {key: _typed(key, value) for key, value in line.items() if key in known}
    event: Event = kind(time=dt.datetime.fromisoformat(line["time"]), **fields)
    return event


def site_summary_of(values: dict[str, Any]) -> SiteSummary:
    """Return the summary of a site, from the one of a node's run."""
    known = {field.name for field in dataclasses.fields(SiteSummary)}
    return SiteSummary(**{key: value for key, value in values.items() if key in known})
