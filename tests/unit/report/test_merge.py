"""One report of several runs: those of shards that belong together, from several state folders."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from test_model import RUN, STARTED, at, finished

from pmarep.errors import UsageError
from pmarep.report.choose import choose_runs, report_of
from pmarep.report.exports import to_csv, to_json
from pmarep.report.merge import merge_reports
from pmarep.report.model import CellState, Report, build_report
from pmarep.report.page import to_html
from pmarep.report.resend import command_for_all
from pmarep.state.run_records import records_in
from pmarep.state.state_folders import state_folders

Lines = list[dict[str, Any]]


def site(sent: int, failed: int = 0, moved: int = 0, error: str | None = None) -> dict[str, Any]:
    counts = {"sent": sent, "skipped": 0, "failed": failed, "verified": 0, "not_begun": 0, "differing": 1}
    return {**counts, "bytes_sent": moved, "error": error}


def shard(number: int, *slides: str, count: int = 2, code: int = 0, begins: int = 0, failed: str = "") -> Lines:
    """The record of a run of a shard to tokyo: its slides are there, but for the one that has failed."""
    sites = [RUN["sites"][0]]
    head = {**RUN, "time": at(begins), "number": 7, "shard": f"{number}/{count}", "sites": sites, "pid": number}
    rows = [[name, "SVS", 5, 1] for name in slides]
    lines = [head, {"event": "slides", "first": 0, "below": "a/", "folder": "/data/a", "slides": rows}]
    for name in slides:
        bad = {"status": "failed", "error": "full", "verified_by": None, "bytes": 0} if name == failed else {}
        lines.append({**finished(name, seconds=begins + 5), **bad})
    lines.append({"event": "notice", "time": at(begins + 6), "text": "no file is called *.ndpi", "passing": False})
    lines.append({"event": "source_problem", "time": at(begins + 6), "path": f"p{number}", "why": "x", "detail": ""})
    good = len(slides) - bool(failed)
    summary = {
        "event": "summary", "time": at(begins + 10), "exit_code": code, "seconds": 10.0, "source_problems": 1,
        "sites": {"tokyo": site(good, bool(failed), good * 5)}, "left_out": {"other": number}, "error": None,
        "source": {"slides": len(slides), "bytes": 5, "reasons": {"x": 1}, "empty": [], "filtered": [],
                   "may_be_empty": False},
    }  # fmt: skip
    return [*lines, summary]


def write(folder: Path, name: str, lines: Lines) -> None:
    (folder / "runs").mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "runs" / f"{name}.jsonl.gz").write_bytes(gzip.compress(text.encode()))


def merged(*records: Lines) -> Report:
    return merge_reports([build_report(lines, False) for lines in records])


def test_every_number_is_counted_once() -> None:
    report = merged(shard(1, "1", "2", failed="2", code=1), shard(2, "3", begins=3))
    (tokyo,) = report.sites
    assert [slide.path for slide in report.slides] == ["a/1", "a/2", "a/3"]
    assert [report.cell(index, tokyo).state.value for index in range(3)] == ["sent", "failed", "sent"]
    assert (tokyo.bytes_sent, tokyo.summary["sent"], tokyo.summary["differing"]) == (10, 2, 2)
    assert (len(report.runs), report.shards, report.unknown_shards) == (2, 2, [])
    assert (report.run.state, report.run.started, report.run.ended) == (
        "finished",
        STARTED,
        STARTED + timedelta(seconds=13),
    )
    assert report.run.summary is not None
    assert (report.run.summary["exit_code"], report.run.summary["left_out"]) == (1, {"other": 3})
    assert report.run.summary["source"]["slides"] == 3
    assert [line["path"] for line in report.problems] == ["p1", "p2"]
    assert len(report.notices) == 1  # each run says it of the same source
    data = json.loads(to_json(report))
    assert ([run["shard"] for run in data["runs"]], data["shards"]) == (["1/2", "2/2"], {"count": 2, "unknown": []})
    assert to_csv(report).count("\r\n") == 1 + 3
    command = command_for_all(report, None)
    assert command is not None
    assert "--shard" not in command
    page = to_html(report)
    assert "(2 of 2 shards)" in page
    assert "1 slide of 3 not at every site; 2 things in the source could not be sent." in page


def test_a_shard_that_nobody_knows_of_is_said() -> None:
    report = merged(shard(1, "1", count=8), shard(5, "2", count=8))
    assert report.unknown_shards == ["2/8", "3/8", "4/8", "6/8", "7/8", "8/8"]
    said = "othing is known here of shards 2/8, 3/8, 4/8, 6/8, 7/8 and 1 more; 2 things in the source"
    assert said in to_html(report)


@pytest.mark.parametrize(("running", "state"), [(False, "killed"), (True, "running")])
def test_a_run_that_has_not_ended_is_what_all_are(running: bool, state: str) -> None:
    report = merge_reports([build_report(shard(1, "1"), False), build_report(shard(2, "2")[:-1], running)])
    assert (report.run.state, report.run.summary) == (state, None)
    assert report.sites[0].bytes_sent == 10


@pytest.mark.parametrize(("codes", "whole"), [((0, 0), 0), ((0, 4), 4), ((4, 1), 1), ((1, 130), 130)])
def test_the_exit_code_of_all(codes: tuple[int, int], whole: int) -> None:
    summary = merged(*(shard(number, str(number), code=code) for number, code in enumerate(codes, 1))).run.summary
    assert summary is not None
    assert summary["exit_code"] == whole


def test_rates_of_runs_at_the_same_time_are_added() -> None:
    def run(number: int, begins: int, *sent: int) -> Lines:
        more = [
            {"event": "progress", "time": at(begins + when), "site": "tokyo", "bytes_sent": count}
            for when, count in enumerate(sent, 1)
        ]
        return [*shard(number, str(number), begins=begins)[:2], *more]

    (tokyo,) = merged(run(1, 0, 100, 200, 300), run(2, 1, 50, 100)).sites
    assert [(one.time, round(one.rate), one.sent) for one in tokyo.samples] == [
        (STARTED + timedelta(seconds=1), 100, 100),
        (STARTED + timedelta(seconds=2), 150, 250),
        (STARTED + timedelta(seconds=3), 150, 400),
    ]
    assert tokyo.bytes_sent == 400


def test_a_slide_that_two_of_them_have_counts_once() -> None:
    """Somebody has moved the files of a shard's state folder."""
    report = merged(shard(1, "1", failed="1"), shard(2, "1", begins=20))
    assert [report.cell(index, report.sites[0]).state for index in range(len(report.slides))] == [CellState.SENT]


def test_runs_of_one_group_are_chosen_from_several_folders(tmp_path: Path) -> None:
    """Two nodes with two state folders; each has a record of every evening."""
    for day, hour in ((27, 0), (28, 86400)):
        for number, node in ((1, "a"), (2, "b")):
            lines = shard(number, f"{day}-{number}", begins=hour + number)
            write(tmp_path / node / f"shard-{number}-of-2", f"202611{day}T20000{number}Z-7", lines)
    write(tmp_path / "a", "20261126T200000Z-7", [{**RUN, "number": 7}])
    both = state_folders([tmp_path / "a", tmp_path / "b"])

    def slides(wanted: str | None, folders: Any = both) -> list[str]:
        return sorted(slide.path for slide in report_of(*choose_runs(folders, wanted)).slides)

    def start(day: int, second: int) -> str:
        return (STARTED + timedelta(days=day, seconds=second)).astimezone().strftime("%Y-%m-%dT%H:%M:%S")

    assert slides(None) == ["a/28-1", "a/28-2"]
    assert slides(start(0, 2)) == slides("20261127T200001Z-7") == ["a/27-1", "a/27-2"]
    assert slides(start(0, 1)[:-3]) == ["a/27-1", "a/27-2"]
    assert slides("7") == []  # a folder that was named comes before those of its shards
    assert slides("7", state_folders([tmp_path / "b"])) == ["a/28-2"]
    assert slides(None, state_folders([tmp_path / "b" / "shard-2-of-2"])) == ["a/28-2"]
    alone = report_of(*choose_runs(state_folders([tmp_path / "b"]), None))
    assert (alone.unknown_shards, "<dt>shard</dt><dd>2/2</dd>" in to_html(alone)) == ([], True)
    assert [len(records_in(folder.path / "runs")) for folder in both] == [1, 2, 0, 2]


def test_a_number_that_several_runs_have_is_said(tmp_path: Path) -> None:
    for node in ("a", "b"):
        write(tmp_path / node, "20261126T200000Z-7", [{**RUN, "number": 7}])
    with pytest.raises(UsageError, match=r"2 runs are 7: .*; name one by its start or name its state folder"):
        choose_runs(state_folders([tmp_path / "a", tmp_path / "b"]), "7")
