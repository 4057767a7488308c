"""How far a run has come, from its record."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pmarep.state.run_progress import RunState, read_progress
from pmarep.state.run_records import RunFile, RunRecordError, lock_of, records_in

TIME = "2026-11-27T22:00:%02d.000+00:00"
TOKYO = {"name": "tokyo", "url": "https://t/", "target": "S/in"}
HEAD: dict[str, Any] = {
    "event": "run", "record": 1, "number": 7, "time": TIME % 0, "command": "push", "pid": 11, "to": "x",
    "sources": ["/cases"],    "arguments": ["push", "/cases"],
    "sites": [TOKYO, {"name": "b", "url": "https://b/", "target": "S"}],
}  # fmt: skip
LINES: list[dict[str, Any]] = [
    {"event": "slides", "first": 0, "below": "", "folder": "/cases", "slides": [["a.svs", "SVS", 1, 1]] * 3},
    {"event": "slides", "first": 3, "below": "x/", "folder": "/cases", "slides": [["b.svs", "SVS", 1, 1]]},
    {"event": "notice", "time": TIME % 1, "text": "hello"},
    {"event": "site_state", "time": TIME % 2, "site": "tokyo", "state": "running", "reason": None},
    {"event": "slides_known", "time": TIME % 3, "site": "tokyo", "status": "skipped", "slides": [[0, 1], [3, 3]]},
    {"event": "slide_finished", "time": TIME % 4, "site": "tokyo", "status": "sent", "slide": "a.svs"},
    {"event": "slide_retracted", "time": TIME % 5, "site": "tokyo", "slide": "a.svs", "error": "damaged"},
    {"event": "progress", "time": TIME % 6, "site": "tokyo", "bytes_done": 5, "bytes_total": 9, "rate": 2.5},
    {"event": "site_state", "time": TIME % 7, "site": "b", "state": "paused", "reason": "does not answer"},
    {"event": "from the future", "time": TIME % 8, "site": "b"},
]
SUMMARY = {"event": "summary", "time": TIME % 9, "sites": {}}


def record(folder: Path, *lines: dict[str, Any]) -> RunFile:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "20261127T220000Z-7.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (found,) = records_in(folder)
    return found


def test_a_killed_run(tmp_path: Path) -> None:
    progress = read_progress(record(tmp_path, HEAD, *LINES))
    assert (progress.state, progress.number, progress.command, progress.pid, progress.slides) == (
        RunState.KILLED, 7, "push", 11, 4,
    )  # fmt: skip
    assert progress.arguments == ("push", "/cases")
    assert progress.last == datetime(2026, 11, 27, 22, 0, 8, tzinfo=UTC)
    tokyo, b = progress.sites["tokyo"], progress.sites["b"]
    assert (tokyo.sent, tokyo.skipped, tokyo.failed, tokyo.slides_done) == (0, 3, 1, 4)
    assert (tokyo.bytes_done, tokyo.bytes_total, tokyo.rate, tokyo.state) == (5, 9, 2.5, "running")
    assert (b.state, b.reason, b.slides_done) == ("paused", "does not answer", 0)


def test_a_slide_that_fails_after_it_was_verified_is_no_longer_counted_as_verified(tmp_path: Path) -> None:
    verified = {**LINES[5], "status": "verified"}
    site = read_progress(record(tmp_path, HEAD, verified, verified, LINES[6])).sites["tokyo"]
    assert (site.verified, site.skipped, site.failed, site.slides_done) == (1, 0, 1, 2)


def test_a_run_is_running_while_its_lock_is_held_and_else_killed(tmp_path: Path) -> None:
    found = record(tmp_path, HEAD, *LINES)
    with FileLock(lock_of(found.path)):
        assert read_progress(found).state is RunState.RUNNING
    assert read_progress(found).state is RunState.KILLED


def test_a_run_with_a_summary_has_ended_although_its_lock_is_held(tmp_path: Path) -> None:
    found = record(tmp_path, HEAD, *LINES, SUMMARY)
    with FileLock(lock_of(found.path)):
        assert read_progress(found).state is RunState.ENDED


def test_only_the_head(tmp_path: Path) -> None:
    progress = read_progress(record(tmp_path, HEAD, *LINES, SUMMARY), only_head=True)
    assert (progress.state, progress.slides, list(progress.sites)) == (RunState.UNKNOWN, 0, ["tokyo", "b"])


def test_one_that_a_program_started_has_no_command(tmp_path: Path) -> None:
    head = {key: value for key, value in HEAD.items() if key not in ("arguments", "pid")}
    progress = read_progress(record(tmp_path, head))
    assert (progress.arguments, progress.pid) == ((), None)


def test_the_scope_is_about_slides_and_places(tmp_path: Path) -> None:
    def scope(**changes: Any) -> str:
        return read_progress(record(tmp_path, {**HEAD, **changes})).scope

    assert scope() == scope(number=9, pid=3, arguments=["push", "/cases", "--patience", "0"], newer_than=3.5)
    assert len({scope(), scope(to="y"), scope(sources=["/b"]), scope(include=["*.svs"]), scope(sites=[TOKYO])}) == 5


@pytest.mark.parametrize("lines", [[], [SUMMARY], [HEAD, {**LINES[3], "site": "nobody"}], [{**HEAD, "sites": 3}]])
def test_damaged_ones(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    with pytest.raises(RunRecordError):
        read_progress(record(tmp_path, *lines))
