"""What coordinator and nodes say to each other."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pmarep import events
from pmarep.engine import Existing, Options, Verify
from pmarep.errors import ConfigError
from pmarep.nodes.lease import Lease
from pmarep.nodes.messages import NodeTask, event_of
from pmarep.timetable import Timetable


def test_a_node_has_the_options_of_the_run() -> None:
    options = Options(
        sources=(Path("/course"),),
        to="2026",
        existing=Existing.OVERWRITE,
        verify=Verify.DEEP,
        connections=4,
        bwlimit=Timetable.parse("08:00,2M 19:00,off"),
        patience=5.0,
        recheck=None,
    )
    task = NodeTask.of(options, [], None, None, Lease())
    there = NodeTask.read(json.dumps(dataclasses.asdict(task)).encode()).run_options()
    for name in ("sources", "to", "existing", "verify", "connections", "bwlimit", "patience", "recheck"):
        assert getattr(there, name) == getattr(options, name), name
    assert there.shard is None


@pytest.mark.parametrize(
    "event",
    [
        events.SlideFinished(site="a", slide="ü/x.svs", status=events.SlideStatus.SENT, bytes=3, seconds=1.5),
        events.SiteState(site="a", state=events.State.PAUSED, reason="why", retry_seconds=3.0),
        events.Progress(site="a", bytes_done=1, bytes_total=2, rate=3.0, connections=4),
    ],
)
def test_events_come_back_as_they_were(event: events.Event) -> None:
    line = json.loads(json.dumps(event.to_dict()))
    assert event_of({**line, "unknown": 1}).to_dict() == event.to_dict()


def test_a_task_of_another_version_is_refused_whatever_its_fields_are() -> None:
    line = json.dumps({"version": "99.0", "that": "no node of this version knows"})
    with pytest.raises(ConfigError, match=r"the coordinator 99\.0; install the same"):
        NodeTask.read(line.encode())
