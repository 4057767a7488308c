"""When a run ends by itself."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from support.clocks import FakeClock

from pmarep.daily_window import seconds_until
from pmarep.engine.options import Options
from pmarep.engine.stop_time import StopTime, describe_kept

SOURCES = (Path("/cases"),)


@pytest.mark.parametrize(
    ("now", "time", "hours"),
    [("22:30", "06:00", 7.5), ("05:59", "06:00", 1 / 60), ("06:00", "06:00", 24), ("06:01", "06:00", 24 - 1 / 60)],
)
def test_the_next_time_of_that_name(now: str, time: str, hours: float) -> None:
    clock = FakeClock(now)
    assert seconds_until(dt.time.fromisoformat(time), clock.local()) == hours * 3600
    ending = StopTime.of(Options(sources=SOURCES, stop_at=dt.time.fromisoformat(time)), clock)
    assert ending == StopTime(hours * 3600, True, f"--stop-at {time}")


def test_the_earlier_of_two_counts() -> None:
    clock = FakeClock("22:30")
    six = dt.time(6)
    soft = StopTime.of(Options(sources=SOURCES, stop_at=six, max_duration=3600.0), clock)
    assert soft == StopTime(3600.0, False, "--max-duration")
    hard = StopTime.of(Options(sources=SOURCES, stop_at=six, max_duration=100_000.0, hard=True), clock)
    assert hard is not None
    assert hard.option == "--stop-at 06:00"
    assert StopTime.of(Options(sources=SOURCES), clock) is None


def test_nothing_is_called_kept_that_is_not() -> None:
    assert describe_kept(0, 0) == "no slide was left half sent"
    assert "nothing of the unfinished slides is kept" in describe_kept(0, 5)
    assert describe_kept(2048, 0) == "2.0 KiB of unfinished slides are kept for the next run"
    assert describe_kept(2048, 1024).endswith("are kept for the next run, 1.0 KiB go again")
