from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.errors import UsageError
from pmarep.timetable import Timetable

MIB = 1024**2
times = st.times()


def at(text: str) -> dt.time:
    return dt.time.fromisoformat(text)


@pytest.mark.parametrize(("text", "limit"), [("20M", 20 * MIB), ("512K", 512 * 1024), ("off", None), ("OFF", None)])
def test_a_single_limit_holds_all_day(text: str, limit: int | None) -> None:
    table = Timetable.parse(text)
    assert {table.limit_at(at(time)) for time in ("00:00", "12:00", "23:59:59")} == {limit}


@pytest.mark.parametrize(
    ("time", "limit"),
    [("07:59:59", None), ("08:00", 2 * MIB), ("18:59:59.5", 2 * MIB), ("19:00", None), ("00:00", None)],
)
def test_a_timetable_wraps_over_midnight(time: str, limit: int | None) -> None:
    table = Timetable.parse("19:00,off  08:00, 2M")
    assert table.limit_at(at(time)) == limit


@given(
    st.dictionaries(st.times().map(lambda t: t.replace(second=0, microsecond=0)), st.integers(1, 9), min_size=2), times
)
def test_the_entry_that_began_last_counts(entries: dict[dt.time, int], now: dt.time) -> None:
    table = Timetable.parse(" ".join(f"{time:%H:%M},{limit}M" for time, limit in entries.items()))
    ago = {time: (_microseconds(now) - _microseconds(time)) % (24 * 3600 * 10**6) for time in entries}
    assert table.limit_at(now) == entries[min(ago, key=ago.__getitem__)] * MIB


def _microseconds(time: dt.time) -> int:
    return ((time.hour * 60 + time.minute) * 60 + time.second) * 10**6 + time.microsecond


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the bandwidth limit is empty"),
        ("fast", "cannot read the bandwidth limit 'fast'"),
        ("20M 30M", "cannot read '20M' in the bandwidth limit"),
        ("08:00,2M 19:00", "cannot read '19:00' in the bandwidth limit"),
        ("08:00,2M 25:00,off", "there is no time 25:00"),
        ("08:61,2M", "there is no time 08:61"),
        ("08:00,2M 8:00,3M", "the time 08:00 is there twice"),
        ("08:00,quick", "cannot read the bandwidth limit 'quick'"),
        ("0", "would never end; write off"),
        ("20", "20 of what a second? write 20K, 20M or 20G, or 20B for bytes"),
        ("08:00,2 19:00,off", "2 of what a second? write 2K, 2M"),
    ],
)
def test_a_timetable_that_cannot_be_read_is_quoted_in_the_error(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Timetable.parse(text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
