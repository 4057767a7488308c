"""What a pull leaves in the state folder, and what reports, metrics and hooks say of it."""

from __future__ import annotations

import asyncio
import json
import shlex
import sys
from pathlib import Path

import pytest
from support.fork_server import run, start
from support.pulls import place, pull, put
from support.push_cli import PushCli, Running, wait_until
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Hold, Sandbox
from pmarep.cli.forgetting import _recorded_runs, places_of
from pmarep.cli.status.overview import RecordedRun, look, to_go_on
from pmarep.errors import UsageError
from pmarep.events import Notice
from pmarep.report.choose import report_of
from pmarep.report.exports import to_csv, to_json
from pmarep.report.model import CellState
from pmarep.report.page import to_html
from pmarep.report.resend import command_for_all, command_for_slide
from pmarep.state.journal import Journal
from pmarep.state.run_progress import RunState
from pmarep.state.run_records import records_in
from pmarep.state.state_folders import state_folders


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


async def test_what_became_of_each_slide_at_its_site(start_sandbox: StartSandbox, here: Path, state: Path) -> None:
    tokyo, ghent = start_sandbox("tokyo"), start_sandbox("ghent")
    put(tokyo, {"a.svs": b"aa", "x & y/\u8178.mrxs": b"main", "x & y/\u8178/Data.dat": b"data", "same.svs": b"1"})
    put(ghent, {"b.svs": b"bb", "SAME.svs": b"1"})
    (here / "b.svs").parent.mkdir()
    (here / "b.svs").write_bytes(b"another")
    (here / "a.svs").write_bytes(b"aa")
    places = [place(tokyo), place(ghent, site="ghent"), place(tokyo, "Slides/nothing")]
    ended = await pull(places, here, state_dir=state, arguments=("pull", "tokyo:", str(here)))
    assert ended.summary.exit_code == 1
    report = report_of(records_in(state / "runs")[0])
    cells = {
        (slide.path, site.name): report.cell(index, site).state.value
        for index, slide in enumerate(report.slides)
        for site in report.sites
    }
    assert {key: state for key, state in cells.items() if state != "elsewhere"} == {
        ("a.svs", "tokyo"): "skipped",
        ("x & y/\u8178.mrxs", "tokyo"): "pulled",
        ("same.svs", "tokyo"): "pulled",
        ("b.svs", "ghent"): "failed",
        ("SAME.svs", "ghent"): "pulled",
    }
    assert (report.run.state, report.is_pull, report.undecided(), len(report.problems)) == ("finished", True, 1, 1)
    (slide,) = [one for one in report.slides if one.format == "3DHISTECH MIRAX"]
    assert (slide.bytes, slide.files, slide.site, slide.local) == (8, 2, "tokyo", str(here / "x & y/\u8178.mrxs"))
    assert slide.remote == "Slides/in/x & y/\u8178.mrxs"
    assert command_for_all(report, None) is None  # what is missing needs a decision
    expected = f"pmarep pull 'tokyo:/{slide.remote}' '{here}/x & y'"
    assert command_for_slide(report, slide, report.sites[:1], None) == expected
    data = json.loads(to_json(report))
    assert (data["runs"][0]["command"], data["runs"][0]["folder"]) == ("pull", str(here))
    assert data["slides"][0]["sites"]["ghent"]["state"] in ("elsewhere", "failed", "pulled")
    assert to_csv(report).count("\r\n") == 1 + 5
    page = to_html(report)
    assert "1 slide of 5 not here; 1 needs a decision; 1 thing at the sites could not be looked at." in page
    journal = Journal(state, read_only=True)
    (one,) = await journal.runs(5)
    journal.close()
    assert one.summary is not None
    assert (one.sources, one.summary["pull"]) == (
        ["tokyo:/Slides/in", "ghent:/Slides/in", "tokyo:/Slides/nothing"],
        True,
    )
    with pytest.raises(UsageError):  # it has sent nothing that could be forgotten
        places_of([here], list(_recorded_runs(state / "runs")))


async def test_what_is_missing_is_got_by_the_same_command(sandbox: Sandbox, here: Path, state: Path) -> None:
    put(sandbox, {"a.svs": b"aa", "b.svs": b"bb"})
    sandbox.faults.add(CannedResponse(200, '{"Code": 1, "Message": "no right"}'), path="Download", times=1)
    await pull([place(sandbox)], here, state_dir=state, arguments=("pull", "tokyo:in 2026", "/here"))
    report = report_of(records_in(state / "runs")[0])
    assert sorted(report.cell(index, report.sites[0]).state for index in range(2)) == [
        CellState.FAILED,
        CellState.PULLED,
    ]
    assert command_for_all(report, None) == "pmarep pull 'tokyo:in 2026' /here"


async def test_names_that_cannot_be_here_are_in_the_report(sandbox: Sandbox, here: Path, state: Path) -> None:
    put(sandbox, {"a.svs": b"aa", ".pmarep-x.svs": b"bb"})
    ended = await pull([place(sandbox)], here, state_dir=state)
    assert ended.summary.sites["tokyo"].failed == 1
    report = report_of(records_in(state / "runs")[0])
    assert [
        (slide.path, report.cell(index, report.sites[0]).state.value) for index, slide in enumerate(report.slides)
    ] == [
        (".pmarep-x.svs", "failed"),
        ("a.svs", "pulled"),
    ]


def test_status_knows_a_pull_that_goes_on_and_one_that_was_killed(tmp_path: Path, sandbox: Sandbox, here: Path) -> None:
    cli, hold = PushCli(tmp_path / "cli"), Hold()
    cli.site("tokyo", sandbox)
    put(sandbox, {"a.svs": b"aa", "b.svs": b"bb"})
    sandbox.faults.add(hold, path="Download", times=1)

    def known() -> RecordedRun:
        return asyncio.run(look(state_folders([cli.state]), 1, cli.book)).runs[0]

    words = ["pull", "tokyo:", str(here), "--config", str(cli.book), "--state-dir", str(cli.state), "--json"]
    with Running(start(words, cli.environment)) as running:
        running.wait_for(lambda event: event["event"] == "slide_finished")
        wait_until(lambda: (on := known().progress) is not None and bool(on.sites["tokyo"].pulled))  # a moment later
        one = known()
        assert one.progress is not None
        assert (one.state, one.progress.slides, one.progress.folder) == (RunState.RUNNING, 2, str(here))
        running.kill()
    hold.release()
    one = known()
    assert one.progress is not None
    assert (one.state, one.command, one.run.sources) == (RunState.KILLED, "pull", ["tokyo:"])
    assert to_go_on([one])[one.key][:3] == ("pull", "tokyo:", str(here))
    report = report_of(records_in(cli.state / "runs")[0])
    states = sorted(report.cell(index, report.sites[0]).state for index in range(2))
    assert states == [CellState.PULLED, CellState.UNFINISHED]
    assert command_for_all(report, None) == shlex.join(["pmarep", *one.arguments])


@pytest.mark.parametrize("broken", ["file", "runs"])
async def test_slides_come_where_there_can_be_no_record(sandbox: Sandbox, here: Path, state: Path, broken: str) -> None:
    put(sandbox, {"a.svs": b"aa"})
    if broken == "file":
        state.write_text("no folder")
    else:
        state.mkdir()
        (state / "runs").write_text("no folder")
    ended = await pull([place(sandbox)], here, state_dir=state)
    assert (ended.summary.exit_code, (here / "a.svs").read_bytes()) == (0, b"aa")
    assert any("record of this run" in event.text for event in ended.events if isinstance(event, Notice))


async def test_a_dry_run_leaves_nothing(sandbox: Sandbox, here: Path, state: Path) -> None:
    put(sandbox, {"a.svs": b"aa"})
    await pull([place(sandbox)], here, state_dir=state, dry_run=True)
    assert not state.exists()


def test_reports_metrics_and_hooks(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path)
    cli.site("tokyo", sandbox)
    put(sandbox, {"a.svs": b"aa", "b.svs": b"bbb"})
    heard = tmp_path / "heard.jsonl"
    script = f"open({str(heard)!r}, 'a').write(__import__('sys').stdin.read())"
    hook = json.dumps([sys.executable, "-c", script])
    with cli.book.open("a") as book:
        book.write(f"[hooks]\non_start = {hook}\non_success = {hook}\n")
    report, metrics = tmp_path / "report.json", tmp_path / "m.prom"
    words = ["pull", "tokyo:", str(tmp_path / "here"), "--config", str(cli.book), "--state-dir", str(cli.state)]
    done = run([*words, "--report", str(report), "--metrics", str(metrics), "--quiet"], cli.environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [slide["sites"]["tokyo"]["state"] for slide in json.loads(report.read_text())["slides"]] == ["pulled"] * 2
    assert 'pmarep_slides{site="tokyo",status="pulled"} 2.0' in metrics.read_text()
    assert 'pmarep_bytes_sent{site="tokyo"} 5.0' in metrics.read_text()
    begins, ends = [json.loads(line) for line in heard.read_text().splitlines()]
    assert begins["text"].endswith("begins, from tokyo")
    assert (ends["command"], ends["text"].partition(": ")[2]) == ("pull", "exit code 0; tokyo 2 pulled")
    listed = run(["status", "--config", str(cli.book), "--state-dir", str(cli.state)], cli.environment).stdout
    assert f"tokyo: {shlex.quote(str(tmp_path / 'here'))}: pull, exit 0; tokyo 2 pulled 0 skipped 0 failed" in listed
