"""A report is a function of the lines of records: what became of each slide at each site."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.records import ABOUT, made_up_run, made_up_slide

from pmarep.report.chart import rate_chart
from pmarep.report.choose import report_of
from pmarep.report.exports import COLUMNS, to_csv, to_json
from pmarep.report.merge import merge_reports
from pmarep.report.model import CellState, DamagedRecordError, Report, at_site, build_report
from pmarep.state.run_records import records_in

STARTED = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
TIME = "2026-11-27T20:00:00.000+00:00"
RUN: dict[str, Any] = {"event": "run", "time": TIME, "record": 1, "number": 1, **ABOUT}


def at(seconds: int) -> str:
    return (STARTED + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def found(*names: str, first: int = 0) -> dict[str, Any]:
    rows = [[name, "SVS", 5, 1] for name in names]
    return {"event": "slides", "first": first, "below": "a/", "folder": "/data/a", "slides": rows}


def finished(slide: str, status: str = "sent", *, site: str = "tokyo", seconds: int = 0, **more: Any) -> dict[str, Any]:
    line = {"event": "slide_finished", "time": at(seconds), "site": site, "slide": f"a/{slide}", "status": status}
    return {**line, "bytes": 5, "resumed_bytes": 0, "seconds": 1.0, "error": None, "verified_by": "size", **more}


def made_of(*lines: dict[str, Any], running: bool = False) -> Report:
    return build_report([RUN, *lines], running)


def states(report: Report, site: str = "tokyo") -> list[str]:
    (one,) = [s for s in report.sites if s.name == site]
    return [report.cell(index, one).state.value for index in range(len(report.slides))]


def test_each_outcome_has_its_state() -> None:
    report = made_of(
        found("1", "2", "3", "4", "5"),
        {"event": "slides_known", "time": at(1), "site": "tokyo", "status": "skipped", "verified_by": "listing",
         "slides": [[1, 1], [4, 4]]},
        {"event": "slide_started", "time": at(2), "site": "tokyo", "slide": "a/1"},
        {"event": "slide_started", "time": at(2), "site": "tokyo", "slide": "a/3"},
        finished("1", seconds=3),
        finished("4", "failed", error="full", verified_by=None),
        {"event": "slide_retracted", "time": at(9), "site": "tokyo", "slide": "a/5", "error": "damaged"},
    )  # fmt: skip
    assert states(report) == ["sent", "skipped", "unfinished", "failed", "failed"]
    assert states(report, "ghent") == ["not_tried"] * 5
    tokyo = report.sites[0]
    assert (report.cell(0, tokyo).time, report.cell(0, tokyo).verified_by) == (STARTED + timedelta(seconds=3), "size")
    assert (report.cell(4, tokyo).error, report.cell(4, tokyo).verified_by) == ("damaged", None)
    assert report.slides[0].local == "/data/a/1"
    assert at_site(tokyo, report, 0) == "Slides/in/a/1"
    assert sum(site is tokyo for _, site, _ in report.missing()) == 3
    assert report.run.state == "killed"
    assert made_of(running=True).run.state == "running"


def test_the_latest_record_counts_where_several_are_merged() -> None:
    first = [RUN, found("1", "2"), finished("1", "failed", error="x"), finished("2")]
    second = [{**RUN, "number": 2}, found("2", "1"), finished("1", seconds=60)]
    report = merge_reports([build_report(first, False), build_report(second, True)])
    assert [slide.path for slide in report.slides] == ["a/1", "a/2"]
    assert states(report) == ["sent", "sent"]
    assert len(report.sites) == 3
    assert report.run.about["number"] == 2
    elsewhere = [
        {**RUN, "sites": [{"name": "tokyo", "url": "https://other/", "target": "S"}]},
        found("1"),
        finished("1"),
    ]
    assert len(merge_reports([build_report(first, False), build_report(elsewhere, False)]).sites) == 4


def test_a_site_that_ended_in_the_middle_of_a_slide_has_its_bytes() -> None:
    lines = [
        found("1"),
        {"event": "slide_started", "time": at(1), "site": "tokyo", "slide": "a/1"},
        {"event": "progress", "time": at(2), "site": "tokyo", "bytes_sent": 9},
    ]
    assert made_of(*lines, running=True).sites[0].bytes_sent == 9
    kept = {"event": "slide_unfinished", "time": at(3), "site": "tokyo", "slide": "a/1", "bytes": 4, "resumed_bytes": 2}
    sites = {
        name: {"bytes_sent": 4 if name == "tokyo" else 0, "error": None} for name in ("tokyo", "saopaulo", "ghent")
    }
    report = made_of(*lines, kept, {"event": "summary", "time": at(4), "sites": sites})
    assert report.sites[0].bytes_sent == 4
    (row, *others) = json.loads(to_json(report))["slides"][0]["sites"].values()
    assert (row["state"], row["bytes_sent"], row["bytes_resumed"]) == ("unfinished", 4, 2)
    assert [(one["finished"], one["seconds"]) for one in (row, *others)] == [(None, None)] * 3
    cells = dict(zip(COLUMNS, next(iter(list(csv.reader(to_csv(report).splitlines()))[1:])), strict=True))
    assert (cells["state"], cells["finished"], cells["seconds"], cells["bytes_sent"]) == ("unfinished", "", "", "4")


def test_rates_are_of_the_bytes_between_two_samples() -> None:
    sent = {0: 0, 1: 500, 2: 2000, 12: 2000, 32: 6000}
    lines = [{"event": "progress", "time": at(when), "site": "tokyo", "bytes_sent": sent[when]} for when in sent]
    report = made_of(*lines)
    assert [sample.rate for sample in report.sites[0].samples] == [500, 1500, 0, 200]
    chart = rate_chart(report.sites[0], report.run.started, report.run.ended)
    assert "at most 1.5 KiB/s" in chart
    assert 'points="0.0,37.3 18.8,37.3 18.8,0.0 37.5,0.0 37.5,56.0 225.0,56.0 225.0,48.5 600.0,48.5"' in chart


def test_windows_paths_stay_windows_paths() -> None:
    report = made_of({**found("1"), "folder": "D:\\data\\a"}, {**found("2", first=1), "folder": "D:\\"})
    assert [slide.local for slide in report.slides] == ["D:\\data\\a\\1", "D:\\2"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [finished("1")],
        [{"event": "run", "time": TIME}],
        [RUN, finished("1")],
        [RUN, found("1"), finished("1", site="nowhere")],
        [RUN, found("1"), finished("1", "eaten")],
        [RUN, {**found("1"), "slides": [[1]]}],
        [RUN, {"event": "slides_known", "time": TIME, "site": "tokyo", "status": "skipped", "slides": [[5, 6]]}],
        [RUN, {"event": "site_state", "time": "now", "site": "tokyo", "state": "done", "reason": None}],
    ],
)
def test_a_record_with_lines_that_pmarep_never_writes_is_damaged(lines: list[dict[str, Any]]) -> None:
    with pytest.raises(DamagedRecordError, match="damaged"):
        build_report(lines, False)


def test_lines_of_a_newer_pmarep_are_ignored() -> None:
    assert states(made_of({"event": "weather", "time": TIME}, found("1"), finished("1", colour="red"))) == ["sent"]


async def test_a_record_on_disk_becomes_the_report_that_the_run_said(tmp_path: Path) -> None:
    await made_up_run(tmp_path, 400, started=STARTED)
    (record,) = records_in(tmp_path)
    report = report_of(record)
    assert report.run.summary is not None
    for site in report.sites:
        summary = report.run.summary["sites"][site.name]
        there = sum(report.cell(index, site).state.is_there for index in range(400))
        retracted = site.name == "tokyo"
        assert there == summary["sent"] + summary["skipped"] - retracted
    ghent = report.sites[2]
    assert ghent.pauses == [(STARTED + timedelta(minutes=30), STARTED + timedelta(minutes=40))]
    assert report.cell(133, ghent).state is CellState.UNFINISHED
    assert report.slides[0] == report.slides[0]._replace(path=made_up_slide("odd/<script>alert(1)</script>.svs").path)
