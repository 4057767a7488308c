"""The time of the day in which rounds begin."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from pmarep.daily_window import DailyWindow
from pmarep.errors import UsageError

HOUR = 3600.0


@pytest.mark.parametrize(
    ("window", "now", "seconds"),
    [
        ("19:00-07:00", "18:59", 60.0),
        ("19:00-07:00", "19:00", 0.0),
        ("19:00-07:00", "23:59", 0.0),
        ("19:00-07:00", "00:00", 0.0),
        ("19:00-07:00", "06:59", 0.0),
        ("19:00-07:00", "07:00", 12 * HOUR),
        ("12:30-13:15", "12:30", 0.0),
        ("12:30-13:15", "13:15", 23.25 * HOUR),
        ("12:30-13:15", "06:30", 6 * HOUR),
        ("0:00-6:00", "23:00", HOUR),
        (" 19:00 - 07:00 ", "20:00", 0.0),
    ],
)
def test_time_until_a_window_opens(window: str, now: str, seconds: float) -> None:
    at = dt.datetime.combine(dt.date(2026, 3, 2), dt.time.fromisoformat(now), dt.UTC)
    assert DailyWindow.parse(window).seconds_until_open(at) == seconds


@pytest.mark.parametrize("text", ["", "19:00", "19:00-", "-07:00", "25:00-07:00", "7pm-7am", "19:00,07:00", "1-2-3"])
def test_bad_windows_say_how_to_write_one(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 19:00-07:00"):
        DailyWindow.parse(text)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(UsageError, match="no time is between 19:00 and 19:00"):
        DailyWindow.parse("19:00-19:00")


def test_a_window_names_its_times() -> None:
    assert str(DailyWindow.parse("19:00-7:00")) == "19:00 and 07:00"


def test_a_window_over_the_end_of_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On 2026-10-25 the clocks of Brussels go from 03:00 back to 02:00: the night has an hour more."""
    monkeypatch.setenv("TZ", "Europe/Brussels")
    if not hasattr(__import__("time"), "tzset"):
        pytest.skip("this platform takes no time zone from a variable")
    import time

    time.tzset()
    try:
        now = dt.datetime(2026, 10, 24, 23, 0, tzinfo=ZoneInfo("Europe/Brussels"))
        assert DailyWindow.parse("04:00-06:00").seconds_until_open(now) == 6 * HOUR
    finally:
        monkeypatch.undo()
        time.tzset()
