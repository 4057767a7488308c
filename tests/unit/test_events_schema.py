"""`docs/events.schema.json`: up to date, and what it refuses.

All events of real runs are checked against it too, in `support.push_cli`.
"""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]
from support.events_schema import SCHEMA, check_event

from pmarep.cli.signal_handlers import _SUMMARY
from pmarep.events import Event, Progress, SiteState, SiteSummary, SlideFinished, SlideStatus, State, Summary

FINISHED = SlideFinished(site="a", slide="b", status=SlideStatus.SENT, bytes=1, seconds=1.5)
EVENTS: list[Event] = [
    FINISHED,
    SiteState(site="a", state=State.PAUSED, reason="x", retry_seconds=4.0),
    Progress(site="a", bytes_done=1, bytes_total=2, rate=0.5, connections=1),
    Summary(exit_code=1, seconds=1.0, sites={"a": SiteSummary(error="x")}, error="x", left_out={"other": 2}),
]


def test_it_is_what_the_code_makes() -> None:
    made = runpy.run_path(str(SCHEMA.with_name("make_events_schema.py")))["text"]()
    assert SCHEMA.read_text("utf-8") == made, "run python docs/make_events_schema.py"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(SCHEMA.read_text("utf-8")))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_events_are_valid_for_every_reader(event: Event) -> None:
    line = json.loads(json.dumps(event.to_dict()))
    check_event(line)
    Draft202012Validator(json.loads(SCHEMA.read_text("utf-8"))).validate({**line, "a_key_of_2030": 1})


def test_the_summary_that_a_signal_prints_is_valid() -> None:
    check_event(json.loads(_SUMMARY % ("2026-03-02T12:00:00.000+00:00", 130, "interrupted")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "lost"},
        {"bytes": "1"},
        {"bytes": -1},
        {"error": 5},
        {"slide": None},
        {"time": "yesterday"},
        {"new": 1},
    ],
)
def test_what_is_not_as_the_contract_says_is_refused(wrong: dict[str, Any]) -> None:
    line = json.loads(json.dumps(FINISHED.to_dict()))
    with pytest.raises(ValidationError):
        check_event({**line, **wrong})
    del line["seconds"]
    with pytest.raises(ValidationError):
        check_event(line)
