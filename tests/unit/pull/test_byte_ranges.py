"""Which bytes of a file are here, and the record of it: nothing is believed that was not written wholly."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmarep.pull.byte_ranges import ByteRanges, RangeRecord

PAIRS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=12)


@given(pairs=PAIRS)
def test_ranges_are_the_bytes_that_were_added(pairs: list[tuple[int, int]]) -> None:
    ranges = ByteRanges(pairs)
    added = {byte for start, end in pairs for byte in range(start, end)}
    found = list(ranges)
    assert {byte for start, end in found for byte in range(start, end)} == added
    assert found == sorted(found)
    assert all(before < after for (_, before), (after, _) in pairwise(found))
    assert (ranges.size, ranges.end) == (len(added), max(added, default=-1) + 1)
    missing = [byte for start, end in ranges.gaps(30) for byte in range(start, end)]
    assert missing == sorted(set(range(30)) - added)


def test_ranges_that_touch_are_one() -> None:
    assert list(ByteRanges([(5, 9), (0, 5), (9, 12)])) == [(0, 12)]


def test_a_line_is_on_the_disk_when_it_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else other bytes may be there before it says that the old ones are gone."""
    sizes: list[int] = []
    monkeypatch.setattr("pmarep.pull.byte_ranges.os.fsync", lambda stream: sizes.append(os.fstat(stream).st_size))
    RangeRecord(tmp_path / "x.ranges").append(ByteRanges())
    assert sizes == [(tmp_path / "x.ranges").stat().st_size] != [0]


def test_the_last_whole_line_of_a_record_counts(tmp_path: Path) -> None:
    record = RangeRecord(tmp_path / "x.ranges")
    assert record.read().size == 0
    record.append(ByteRanges([(0, 5)]))
    record.append(ByteRanges([(0, 7), (20, 30)]))
    assert list(RangeRecord(tmp_path / "x.ranges").read()) == [(0, 7), (20, 30)]
    assert (tmp_path / "x.ranges").stat().st_mode & 0o077 == 0
    record.append(ByteRanges())
    assert record.read().size == 0
    record.remove()
    assert list(tmp_path.iterdir()) == []
    record.remove()


@pytest.mark.parametrize(
    "torn",
    [
        b"\n[[0, 9], [20, 3",
        b"\n[[0, 9], [20, 30]",
        b"\n",
        bytes(50),
        b"\n[[9, 5]]\n",
        b"\n[[-4, 5]]\n",
        b"\n[[0, 9.5]]\n",
        b"\n[[0, true]]\n",
        b"\n[[0, 5], [5, 9]]\n",
        b"\n[5]\n",
        b"\n{}1\n",
        b"\n" + b"[" * 60_000,
    ],
)
def test_what_is_no_line_is_passed_over(tmp_path: Path, torn: bytes) -> None:
    """Power failed while it was written, or somebody else wrote it; what comes after it counts again."""
    path = tmp_path / "x.ranges"
    RangeRecord(path).append(ByteRanges([(3, 5)]))
    with path.open("ab") as stream:
        stream.write(torn)
    assert list(RangeRecord(path).read()) == [(3, 5)]
    RangeRecord(path).append(ByteRanges([(3, 6)]))
    assert list(RangeRecord(path).read()) == [(3, 6)]


def test_of_a_long_record_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.ranges"
    path.write_bytes(b"\n[[0, 1]]\n" * 100_000)
    RangeRecord(path).append(ByteRanges([(3, 6)]))
    assert list(RangeRecord(path).read()) == [(3, 6)]
