"""The lines of `--json`: their keys and the order of them."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

import pytest

from pmarep import events
from pmarep.events import Event, RunStarted, SiteState, SiteSummary, SlideFinished, SlideStatus, State, Summary

TIME = datetime(2026, 11, 1, 12, 30, 0, 123456, tzinfo=UTC)
EXAMPLES: list[Event] = [
    RunStarted(time=TIME, sites=["a", "b"], slides=3, bytes=7),
    SlideFinished(time=TIME, site="a", slide="Größe/x.svs", status=SlideStatus.SKIPPED, seconds=1.5),
    SiteState(time=TIME, site="a", state=State.PAUSED, reason="gone"),
    Summary(time=TIME, exit_code=1, seconds=2.0, sites={"a": SiteSummary(sent=1, error="gone"), "b": SiteSummary()}),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event.name)
def test_a_line_has_everything_in_order(event: Event) -> None:
    whole = dataclasses.asdict(event)
    del whole["time"]
    expected = {"event": event.name, "time": "2026-11-01T12:30:00.123+00:00", **whole}
    assert json.dumps(event.to_dict()) == json.dumps(expected)


def test_a_line_is_nobody_elses() -> None:
    started, summary = EXAMPLES[0], EXAMPLES[-1]
    started.to_dict()["sites"].append("c")
    summary.to_dict()["sites"]["a"]["sent"] = 5
    assert started.to_dict()["sites"] == ["a", "b"]
    assert summary.to_dict()["sites"]["a"]["sent"] == 1


def test_names() -> None:
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
    assert len({kind.__name__ for kind in kinds}) > 10
    assert EXAMPLES[0].name == "run_started"
    assert EXAMPLES[2].name == "site_state"
