"""Several nodes push one folder, each its shard; here they are processes with one state folder."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE, run, start
from support.push_cli import PushCli, Result, Running, arrived, contents, files_sent, transfers, wait_until
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Hold, Sandbox
from pmarep.slides.shard import Shard


@pytest.fixture
def sandboxes(start_sandbox: StartSandbox) -> list[Sandbox]:
    return [start_sandbox("a"), start_sandbox("b")]


@pytest.fixture
def cli(tmp_path: Path, sandboxes: list[Sandbox]) -> PushCli:
    """Twelve slides, with all that may be in a name, of which each third has some."""
    cli = PushCli(tmp_path / "cli")
    for name, sandbox in zip("ab", sandboxes, strict=True):
        cli.site(name, sandbox)
    names = ["x & y.svs", "日本.svs", "ü/100 %+#.svs", "u\u0308.svs", *(f"{number}.svs" for number in range(6))]
    tree(cli.source, *names, content=os.urandom(1000))
    write_mirax(cli.source / "m.mrxs", data_files=4, data_size=4000)
    return cli


def announced(sandbox: Sandbox) -> int:
    return transfers(sandbox).count("transfer/Upload")


def test_three_shards_at_once_bring_every_slide_once(cli: PushCli, sandboxes: list[Sandbox]) -> None:
    running = [cli.start("--shard", f"{number}/3") for number in (0, 1, 2)]
    results = [one.result() for one in running]
    assert [result.code for result in results] == [0, 0, 0]
    assert [result.summary["shard"] for result in results] == ["3/3", "1/3", "2/3"]
    assert [result.events[0]["shard"] for result in results] == ["3/3", "1/3", "2/3"]
    slides = [set(result.finished("a")) for result in results]
    assert min(map(len, slides)) > 0
    assert sum(map(len, slides)) == len(set.union(*slides)) == 11
    for sandbox in sandboxes:
        assert arrived(sandbox) == contents(cli.source)
        assert announced(sandbox) == 11
    assert sorted(path.name for path in cli.state.iterdir()) == ["locks", *(f"shard-{n}-of-3" for n in (1, 2, 3))]
    proof = cli.verify()
    assert proof.code == 0
    assert proof.summary["sites"]["b"]["verified"] == 11
    assert proof.summary["shard"] is None


def stop_in_the_middle(cli: PushCli, sandbox: Sandbox) -> None:
    """Kill the push of the shard that `m.mrxs` is in when all but its last data file and its main file are there."""
    hold = Hold(after_bytes=1000)
    sandbox.faults.add(hold, path=r"transfer/Upload/[0-9]+\?path=m/Data0003.dat", times=1)
    query = "SELECT (SELECT count(*) FROM file WHERE server = ?), (SELECT count(*) FROM slide WHERE state != 'sent')"

    def known() -> bool:
        with closing(sqlite3.connect(cli.state / "shard-3-of-3/journal.sqlite", timeout=30)) as journal:
            return bool(journal.execute(query, (sandbox.url,)).fetchone() == (5, 1))

    with cli.start("--shard", "3/3") as running:
        assert hold.reached.wait(PATIENCE)
        wait_until(known)
        running.kill()
    sandbox.faults.clear()
    assert sandbox.wait_idle()
    sandbox.clear_requests()


@pytest.mark.parametrize("again", [["--shard", "0/3"], [], ["--shard", "1/2"]], ids=["same", "whole", "other N"])
def test_whoever_goes_on_with_a_killed_shard_sends_only_the_rest(
    cli: PushCli, sandboxes: list[Sandbox], again: list[str]
) -> None:
    stop_in_the_middle(cli, sandboxes[0])
    result = cli.push(*again)
    assert result.code == 0
    sent = files_sent(sandboxes[0])
    assert [name for name in sent if name.startswith("m")] == ["m/Data0003.dat", "m.mrxs"]
    if not again:
        assert arrived(sandboxes[0]) == contents(cli.source)


def test_a_later_run_of_all_slides_knows_what_the_shards_have_sent(cli: PushCli, sandboxes: list[Sandbox]) -> None:
    """It asks about none of them, nor do shards of another number after it."""
    for number in (1, 2, 3):
        assert cli.push("--shard", f"{number}/3").code == 0
    for again in ([], ["--shard", "1/2"], ["--shard", "2/2"]):
        sandboxes[0].clear_requests()
        result = cli.push(*again)
        assert result.code == 0
        assert result.counts("a") == (0, len(result.finished("a")), 0)
        assert {one["verified_by"] for one in result.finished("a").values()} == {"listing"}
        assert not [one for one in sandboxes[0].requests if "GetFilenames" in one.path or "GetImageInfo" in one.path]


def test_status_and_report_of_shards(cli: PushCli, sandboxes: list[Sandbox]) -> None:
    sandboxes[1].faults.add(CannedResponse(500, '{"Message": "no"}'), path=".*m.mrxs")
    codes = [cli.push("--shard", f"{number}/3").code for number in (1, 2, 3)]
    assert codes == [0, 0, 1]
    shown = run(["status", "--state-dir", str(cli.state)], cli.environment).stdout
    assert "3 of 3 shards" in shown
    assert ": 1 exit 1, 2 exit 0; a 11 sent 0 skipped 0 failed, b 10 sent 0 skipped 1 failed" in shown
    assert "    3/3: exit 1; " in shown
    assert "--shard 3/3" in shown.partition("to go on: ")[2]
    found = json.loads(run(["status", "--json", "--state-dir", str(cli.state)], cli.environment).stdout)
    assert sorted(one["shard"] for one in found["runs"]) == ["1/3", "2/3", "3/3"]
    words = ["report", "--format", "json", "--state-dir", str(cli.state / "shard-3-of-3")]
    report = json.loads(run(words, cli.environment).stdout)
    command = report["missing"]["command"]
    assert "--shard 3/3" in command
    assert command.endswith(f"--state-dir {cli.state}")
    whole = json.loads(run(["report", "--format", "json", "--state-dir", str(cli.state)], cli.environment).stdout)
    assert (len(whole["slides"]), len(whole["runs"]), whole["shards"]) == (11, 3, {"count": 3, "unknown": []})
    assert [whole["missing"]["count"], "--shard" in whole["missing"]["command"]] == [1, False]
    nodes = [word for number in (1, 3) for word in ("--state-dir", str(cli.state / f"shard-{number}-of-3"))]
    assert "2 of 3 shards" in run(["status", *nodes], cli.environment).stdout
    page = cli.state / "page.html"
    said = run(["report", *nodes, "--output", str(page)], cli.environment).stdout
    assert said == f"the report of 2 of 3 shards is {page}\n"
    assert "othing is known here of shard 2/3" in page.read_text()


def test_forget_forgets_in_the_journals_of_shards_too(cli: PushCli, sandboxes: list[Sandbox]) -> None:
    for number in (1, 2):
        assert cli.push("--shard", f"{number}/2").code == 0
    assert cli.push("--sites", "a").code == 0  # takes over what they know
    words = ["forget", "--site", "a", "--yes", "--config", str(cli.book), "--state-dir", str(cli.state)]
    done = run(words, cli.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "a: that 11 slides are there" in done.stdout
    sandboxes[0].clear_requests()
    result = cli.push()
    assert {one["verified_by"] for one in result.finished("a").values()} == {"files"}  # they were looked at
    assert {one["verified_by"] for one in result.finished("b").values()} == {"listing"}


def test_an_empty_shard_is_no_failure_and_an_empty_source_is_one(cli: PushCli, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    tree(alone, "m.svs", content=b"x" * 1000)
    codes = [cli.run("--shard", f"{n}/2", "--at-all-sites", str(tmp_path / f"list{n}"), source=alone) for n in (1, 2)]
    assert [one.code for one in codes] == [0, 0]
    empty = next(n for n in (1, 2) if not Shard(n, 2).has("m.svs"))
    assert codes[empty - 1].lines[-1].startswith(f"shard {empty}/2: no slide belongs to this shard, nothing was sent")
    assert codes[2 - empty].lines[-1].startswith(f"shard {3 - empty}/2: every slide is at every site")
    assert [(tmp_path / f"list{n}").read_bytes().count(b"\0") for n in (empty, 3 - empty)] == [0, 1]
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    result = cli.run("--shard", "1/2", source=nothing)
    assert result.code == 1
    assert "is its drive mounted?" in result.stdout


def test_problems_are_those_of_one_shard_and_collisions_are_found_in_any(cli: PushCli, tmp_path: Path) -> None:
    other = tmp_path / "other"
    tree(other, "X & Y.svs", content=b"another")
    tree(cli.source, "torn 1.vsi", "torn 2.vsi", "torn 3.vsi")
    whole = cli.push("--dry-run", str(other))
    shards = [cli.push("--dry-run", str(other), "--shard", f"{n}/3") for n in (1, 2, 3)]

    def problems(*results: Result) -> list[tuple[str, str]]:
        return sorted((e["path"], e["why"]) for r in results for e in r.events if e["event"] == "source_problem")

    assert problems(*shards) == problems(whole)
    assert len(problems(whole)) == 4
    assert sum(one.summary["source"]["slides"] for one in shards) == whole.summary["source"]["slides"]
    for key in ("unknown", "other", "system", "excluded"):
        assert sum(one.summary["left_out"][key] for one in shards) == whole.summary["left_out"][key]


def test_runs_that_are_in_each_others_way_are_refused(cli: PushCli, sandboxes: list[Sandbox]) -> None:
    hold = Hold(after_bytes=1000)
    sandboxes[0].faults.add(hold, path=r"transfer/Upload/[0-9]+\?path=m/Data0003.dat", times=1)
    with cli.start("--shard", "3/3") as running:
        assert hold.reached.wait(PATIENCE)
        for again, words in (
            (["--shard", "3/3"], "(shard 3/3, process "),
            (["--shard", "1/2"], "shards of 3"),
            ([], "shards of 3"),
        ):
            result = cli.run(*again)
            assert result.code == 3
            assert words in result.stderr
        assert cli.run("--shard", "1/3").code == 0
        assert cli.run("--shard", "1/2", "--dry-run").code == 0  # only looks
        hold.release()
        assert running.result().code == 0


@pytest.mark.parametrize("command", ["push", "verify", "slides"])
def test_a_shard_that_is_none_is_refused_before_anything_happens(cli: PushCli, command: str) -> None:
    with Running(
        start(
            [command, str(cli.source), *(["--sites", "a"] if command != "slides" else []), "--shard", "9/8"],
            cli.environment,
        )
    ) as running:
        result = running.result()
    assert result.code == 2
    assert "--shard: there is no shard 9 of 8; the tasks of an array have to be 0-7 or 1-8" in result.stderr
    assert not cli.state.exists()
