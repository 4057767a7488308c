from __future__ import annotations

import datetime as dt
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import UsageError
from pmarep.units import count_of, format_duration, format_size, parse_duration, parse_moment, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("7", 7),
        ("7B", 7),
        ("512k", 512 * 1024),
        ("20M", 20 * 1024**2),
        ("1.5G", 3 * 1024**3 // 2),
        ("64KiB", 64 * 1024),
        ("64kb", 64 * 1024),
        (" 2 T ", 2 * 1024**4),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1", "1,5G", "20 Mbit", "1e6", "0x10", "20MM", "nan", "inf", "1.G", "9" * 400, "8388608T"]
)
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("45m", 2700), ("6h", 21600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800), ("0", 0), ("0.0", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["7", "90", "1.5", "1h30"])
def test_a_duration_without_a_unit_is_not_guessed(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_duration(text)
    asks = f"{text} of what? write {text}s, {text}m, {text}h or {text}d"
    assert str(error.value) == (
        asks if "h" not in text else "cannot read the duration '1h30'; write it as 90s, 45m, 6h or 1h30m"
    )


@pytest.mark.parametrize("text", ["", "h", "-1h", "6 hours", "1h 30m x", "1:30", "6H", "9" * 400, "9" * 12 + "d"])
def test_durations_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="duration"):
        parse_duration(text)


NOW = 1_800_000_000.0


@pytest.mark.parametrize(("text", "before"), [("7d", 604800), ("12h", 43200), ("1h30m", 5400), (" 0 ", 0)])
def test_moments_that_are_so_long_ago(text: str, before: float) -> None:
    assert parse_moment(text, NOW) == NOW - before


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-01", dt.datetime(2026, 11, 1)),
        ("2026-07-01T18:30", dt.datetime(2026, 7, 1, 18, 30)),
        ("2026-07-01 18:30:15", dt.datetime(2026, 7, 1, 18, 30, 15)),
        ("2026-07-01T18:30+02:00", dt.datetime(2026, 7, 1, 16, 30, tzinfo=dt.UTC)),
    ],
)
def test_moments_of_the_calendar(text: str, moment: dt.datetime) -> None:
    assert parse_moment(text, NOW) == moment.timestamp()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs another time zone")
def test_a_day_begins_at_midnight_here(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for zone, hours in (("JST-9", -9), ("<-03>3", 3)):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            utc = dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp()
            assert parse_moment("2026-11-01", NOW) == utc + hours * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-11-01T25:00", "20261101", "01.11.2026", "-7d"])
def test_moments_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="write it as 7d, 12h or 2026-11-01"):
        parse_moment(text, NOW)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_500_000, "1.4 MiB"),
        (1024**2 - 1, "1.0 MiB"),
        (99.96 * 1024, "100 KiB"),
        (5 * 1024**3, "5.0 GiB"),
        (3000 * 1024**4, "3000 TiB"),
    ],
)
def test_format_size(count: float, text: str) -> None:
    assert format_size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (125, "2m05s"), (3599.7, "1h00m"), (11220, "3h07m")],
)
def test_format_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.integers(0, 2**60))
def test_a_formatted_size_is_near_and_short(count: int) -> None:
    text = format_size(count)
    assert len(text) <= 12
    assert abs(parse_size(text) - count) <= count * 0.06


def test_numbers_with_their_nouns() -> None:
    assert [count_of(number, "slide") for number in (0, 1, 2, 1204)] == [
        "0 slides",
        "1 slide",
        "2 slides",
        "1,204 slides",
    ]
    assert [count_of(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
