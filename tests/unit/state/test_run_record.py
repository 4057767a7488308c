"""The record of a run: what is written, how little of progress, what a kill leaves, and how old ones go."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import os
import platform
import stat
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.slides import make_slide

from pmarep.events import (
    Notice,
    Progress,
    SiteState,
    SlideFinished,
    SlideStatus,
    State,
    Summary,
    VerifiedBy,
)
from pmarep.slides import Slide, SlideFile
from pmarep.state import run_record, run_records
from pmarep.state.run_record import FLUSH_SECONDS, RunRecord
from pmarep.state.run_records import RunFile, RunRecordError, make_room, own_record, records_in

STARTED = datetime(2026, 11, 27, 21, 42, 37, tzinfo=UTC)


def begin(folder: Path, number: int = 7, failed: list[str] | None = None) -> RunRecord:
    failed = [] if failed is None else failed
    return RunRecord(folder, number, STARTED, {"command": "push"}, failed.append)


def lines(folder: Path) -> list[dict[str, Any]]:
    (record,) = records_in(folder)
    return list(record.lines())


async def flushed(record: RunRecord) -> None:
    """Wait until all that the record has heard so far is written, or never will be."""
    while record._scheduled:
        await asyncio.sleep(FLUSH_SECONDS / 4)


async def written(folder: Path, event: str) -> None:
    """Wait until a line of this event is in the file."""
    while not any(line["event"] == event for line in lines(folder)):
        await asyncio.sleep(FLUSH_SECONDS / 4)


async def test_a_record_has_what_a_report_needs(tmp_path: Path) -> None:
    record = begin(tmp_path / "runs")
    record.add_slides([make_slide("b/x.svs", 5), make_slide("b/y.mrxs", 6, "y/Data.dat"), make_slide("z.svs", 7)])
    finished = SlideFinished(site="a", slide="z.svs", status=SlideStatus.SENT, verified_by=VerifiedBy.SIZE)
    record.add_event(finished)
    record.add_known("a", [1, 0], SlideStatus.SKIPPED, VerifiedBy.LISTING, STARTED)
    record.hear(SiteState(site="a", state=State.DONE))
    record.hear(finished)  # outcomes come by add_event()
    summary = Summary(exit_code=0, seconds=1.0, sites={})
    record.hear(summary)
    await record.close()
    run, slides, more, *rest = lines(tmp_path / "runs")
    time = "2026-11-27T21:42:37.000+00:00"
    assert run == {"event": "run", "time": time, "record": 1, "number": 7, "command": "push"}
    rows = [["x.svs", "Aperio SVS", 5, 1], ["y.mrxs", "Aperio SVS", 7, 2]]
    here = str(Path("/cases").absolute())
    assert slides == {"event": "slides", "first": 0, "below": "b/", "folder": here, "slides": rows}
    assert (more["first"], more["below"], more["slides"]) == (2, "", [["z.svs", "Aperio SVS", 7, 1]])
    known = {"event": "slides_known", "time": time, "site": "a", "status": "skipped", "verified_by": "listing"}
    assert rest[:2] == [finished.to_dict(), {**known, "slides": [[0, 1]]}]
    assert [line["event"] for line in rest[2:]] == ["site_state", "summary"]
    (file,) = records_in(tmp_path / "runs")
    assert gzip.decompress(file.path.read_bytes()).endswith(b"}\n")
    assert (file.number, file.started, file.id) == (7, STARTED, "20261127T214237Z-7")


@pytest.mark.skipif(sys.platform == "win32", reason="it has no modes")
async def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    record = begin(tmp_path / "state" / "runs")
    await record.close()
    assert stat.S_IMODE(record.path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "state" / "runs").stat().st_mode) == 0o700


async def test_it_can_be_read_while_the_run_goes_on_and_after_a_kill(tmp_path: Path) -> None:
    record = begin(tmp_path)
    record.hear(Notice(text="one"))
    await written(tmp_path, "notice")
    (file,) = records_in(tmp_path)
    assert file.is_running()
    left = file.path.read_bytes()
    record.hear(Notice(text="two"))
    await record.close()
    assert not file.is_running()
    assert [path.name for path in tmp_path.iterdir()] == [file.path.name]
    for size in range(len(left)):  # whatever a crash of the machine leaves
        file.path.write_bytes(left[:size])
        assert len(list(file.lines())) <= 2
    file.path.write_bytes(left)
    assert [line["event"] for line in file.lines()] == ["run", "notice"]


async def test_undecodable_names_come_back_from_a_run_record(tmp_path: Path) -> None:
    name = 'a\udcff"<script>\n\u202e.svs'
    record = begin(tmp_path)
    record.add_slides([Slide(name, "x", Path("/c\udcfe"), (SlideFile(name, 1, 1),))])
    await record.close()
    assert lines(tmp_path)[1]["slides"] == [[name, "x", 1, 1]]
    assert lines(tmp_path)[1]["folder"].endswith("\udcfe")


async def test_the_name_on_disk_is_kept_where_it_is_another(tmp_path: Path) -> None:
    record = begin(tmp_path)
    record.add_slides([Slide("c/a.vsi", "VSI", Path("/c"), (SlideFile("a.vsi", 1, 1, "A.VSI"),))])
    await record.close()
    assert lines(tmp_path)[1]["slides"] == [["a.vsi", "VSI", 1, 1, "A.VSI"]]


@given(st.lists(st.integers(0, 50), unique=True))
def test_ranges_have_every_number_once(numbers: list[int]) -> None:
    found = list(run_record._ranges(numbers))
    assert [n for first, last in found for n in range(first, last + 1)] == sorted(numbers)
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(found))


async def test_progress_is_thinned(tmp_path: Path) -> None:
    record = begin(tmp_path)
    hours = 6
    for second in range(hours * 3600):
        time = STARTED + timedelta(seconds=second)
        record.hear(Progress(time=time, site="a", bytes_done=second, bytes_total=1, rate=0.0, connections=1))
    await record.close()
    found = [line for line in lines(tmp_path) if line["event"] == "progress"]
    times = [datetime.fromisoformat(line["time"]) for line in found]
    assert 1000 < len(found) < 2500
    assert times[1] - times[0] == timedelta(seconds=1)
    assert max(b - a for a, b in itertools.pairwise(times)) <= timedelta(seconds=31)


async def test_a_full_disk_is_reported_once_and_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    messages: list[str] = []
    record = begin(tmp_path, failed=messages)

    def fails(lines: object, last: bool = False) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record._writer, "write", fails)
    for _ in range(3):
        record.hear(Notice(text="x"))
        await flushed(record)
    await record.close()
    (text,) = messages
    assert str(record.path) in text
    assert "No space left" in text
    assert not run_records.lock_of(record.path).exists()


async def test_a_record_is_bounded_and_has_its_summary_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_record, "MAX_BYTES", 1000)
    record = begin(tmp_path)
    for _ in range(3):
        record.hear(Notice(text=os.urandom(2000).hex()))
        record.add_slides([make_slide("a.svs", 5)])
        await flushed(record)
    record.hear(Summary(exit_code=0, seconds=1.0, sites={}))
    await flushed(record)  # as where the journal is slow: the summary is written before the end
    await record.close()
    found = lines(tmp_path)
    assert [line["event"] for line in found] == ["run", "notice", "slides", "notice", "summary"]
    assert "is full" in found[3]["text"]


async def test_what_goes_wrong_at_the_end_is_reported_and_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    record = begin(tmp_path, failed=messages)

    def fails(lines: object, last: bool = False) -> None:
        raise MemoryError

    monkeypatch.setattr(record._writer, "write", fails)
    await record.close()
    await record.close()
    (text,) = messages
    assert "MemoryError" in text
    assert not run_records.lock_of(record.path).exists()


def put(folder: Path, names: Sequence[str], size: int = 10) -> None:
    for name in names:
        (folder / f"{name}.jsonl.gz").write_bytes(b"x" * size)


def test_the_newest_come_first_and_other_files_are_none(tmp_path: Path) -> None:
    put(tmp_path, ["20261127T000000Z-9", "20261128T000000Z-10", "20261128T000000Z-11", "note", "20261128-1"])
    (tmp_path / "x.txt").touch()
    assert [record.number for record in records_in(tmp_path)] == [11, 10, 9]
    assert records_in(tmp_path / "none") == []


def test_old_records_make_room_by_number_and_by_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [f"20261101T0000{second:02}Z-{second}" for second in range(30)])
    (tmp_path / "20261101T000003Z-3.lock").touch()
    monkeypatch.setattr(run_records, "RUNS", 20)
    make_room(tmp_path)
    assert [record.number for record in records_in(tmp_path)] == [*range(29, 10, -1)]
    assert not list(tmp_path.glob("*.lock"))
    monkeypatch.setattr(run_records, "TOTAL_BYTES", 45)
    make_room(tmp_path)
    assert [record.number for record in records_in(tmp_path)] == [29, 28, 27, 26]
    monkeypatch.setattr(run_records, "TOTAL_BYTES", 1)
    make_room(tmp_path)
    assert [record.number for record in records_in(tmp_path)] == [29]


async def test_the_record_of_a_run_that_goes_on_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = begin(tmp_path)
    put(tmp_path, ["20270101T000000Z-8"])
    monkeypatch.setattr(run_records, "TOTAL_BYTES", 1)
    make_room(tmp_path)
    assert [found.number for found in records_in(tmp_path)] == [8, 7]
    await record.close()
    make_room(tmp_path)
    assert [found.number for found in records_in(tmp_path)] == [8]


def test_a_record_of_another_version_is_refused_and_what_is_none_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "20270101T000000Z-8.jsonl.gz"
    record = RunFile(file, 8, STARTED)
    file.write_bytes(gzip.compress(json.dumps({"event": "run", "record": 2}).encode() + b"\n"))
    with pytest.raises(RunRecordError, match="another pmarep"):
        list(record.lines())
    for data in (b"", b"nothing", gzip.compress(b"[1]\n"), gzip.compress(b"{\n"), gzip.compress(b'{"event": 1}\n')):
        file.write_bytes(data)
        assert list(record.lines()) == []
    file.unlink()
    with pytest.raises(RunRecordError, match="cannot read"):
        list(record.lines())


def test_the_last_record_of_this_process_is_its_own(tmp_path: Path) -> None:
    mine, machine = os.getpid(), platform.node()
    for second, (pid, name) in enumerate(((mine, machine), (mine + 1, machine), (mine, "other")), 1):
        line = json.dumps({"event": "run", "record": run_records.VERSION, "pid": pid, "machine": name})
        (tmp_path / f"20261127T20000{second}Z-{second}.jsonl.gz").write_bytes(gzip.compress(f"{line}\n".encode()))
    begun = datetime(2026, 11, 27, 20, 0, 1, tzinfo=UTC).timestamp()
    found = own_record(tmp_path, begun + 0.9)
    assert found is not None
    assert found.number == 1
    assert own_record(tmp_path, begun + 1) is None
