"""`pmarep status`: what is unfinished, and how the last runs ended."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE, run
from support.push_cli import PushCli, wait_until

from pmacore_sandbox import Hold, Sandbox
from pmarep.state.journal import Journal
from pmarep.state.records import RemotePath


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def status(cli: PushCli, *extra: str) -> str:
    done = run(["status", "--state-dir", str(cli.state), *extra], cli.environment)
    done.check_returncode()
    assert done.stderr == ""
    return done.stdout


def ends(cli: PushCli) -> list[str]:
    """How the last runs ended, the newest first."""
    before, _, runs = status(cli).partition("last runs (pmarep report NUMBER has more of one):\n")
    assert before == "0 partly sent\n"
    return [line.partition(f"{cli.source}: ")[2] for line in runs.splitlines()]


def test_each_kind_of_run_says_what_it_has_done(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", "b.svs", content=os.urandom(100))
    cli.site("tokyo", sandbox)
    assert cli.push().code == 0
    assert cli.verify().code == 0
    tree(cli.source, "empty.svs", content=b"")
    assert cli.push().code == 1
    assert ends(cli) == [
        "exit 1; tokyo 0 sent 2 skipped 0 failed; 1 thing in the source could not be sent",
        "verify, exit 0; tokyo 2 verified 0 failed",
        "exit 0; tokyo 2 sent 0 skipped 0 failed",
    ]


def test_a_site_that_stopped_says_why(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs")
    cli.site("tokyo", sandbox, "Nowhere/in")
    assert cli.push().code == 1
    end, _to_go_on = ends(cli)
    assert end.startswith("exit 1; tokyo 0 sent 0 skipped 1 failed (1 not looked at; stopped: ")
    assert "Nowhere" in end


def test_sources_are_where_they_are(cli: PushCli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of a run is read elsewhere than where the run was started."""
    tree(cli.source, "a.svs")
    cli.site("tokyo", sandbox)
    audit = cli.source.parent / "audit.jsonl"
    monkeypatch.chdir(cli.source.parent)
    assert cli.push("--audit", str(audit), source=Path(cli.source.name)).code == 0
    assert json.loads(audit.read_text())["source"] == str(cli.source)
    assert ends(cli) == ["exit 0; tokyo 1 sent 0 skipped 0 failed"]


def test_many_partly_sent_slides_are_counted(cli: PushCli) -> None:
    async def begin() -> None:
        with closing(Journal(cli.state)) as journal:
            for number in range(25):
                await journal.record_announced(RemotePath("https://a/", f"S/{number:02}.svs"), "x", number, "{}")
            await journal.record_announced(RemotePath("https://b/", "S/\x1b.svs"), "x", 1, "{}")

    cli.state.mkdir()
    asyncio.run(begin())
    lines = status(cli).splitlines()
    assert lines[0] == "26 partly sent:"
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["SITE", "SLIDES", "KEPT", "TO"], ["https://a/", "25", "?", "?"], ["https://b/", "1", "?", "?"],
    ]  # fmt: skip
    assert lines[4:9] == [f"  https://a/  S/{number:02}.svs  (nothing of it is kept)" for number in range(5)]
    assert lines[9] == "  https://a/  and 20 more (--json has all)"
    assert lines[10] == "  https://b/  S/\\x1b.svs  (nothing of it is kept)"
    assert "--fresh" in lines[11]
    assert lines[12:] == [f"no runs yet in {cli.state}"]
    assert len(json.loads(status(cli, "--json"))["unfinished"]) == 26


def test_what_is_kept_of_all_slides_is_added_up(cli: PushCli) -> None:
    async def begin() -> None:
        with closing(Journal(cli.state)) as journal:
            for number in range(2):
                place = RemotePath("https://a/", f"S/{number}.mrxs")
                sizes = {"x/1.dat": 1024, "x/2.dat": 3 * 1024}
                await journal.record_announced(place, "x", number, f'{{"Id": {number}}}', sizes=sizes)
                await journal.record_file_sent(place, f"x/{number + 1}.dat")

    cli.state.mkdir()
    asyncio.run(begin())
    cli.site("tokyo", "https://a/", target="S")
    first, head, total, *slides = status(cli, "--config", str(cli.book)).splitlines()[:5]
    assert first == "2 partly sent:"
    assert head.split() == ["SITE", "SLIDES", "KEPT", "TO", "SEND", "OLDEST"]
    assert total.split()[:6] == ["tokyo", "2", "4.0", "KiB", "4.0", "KiB"]
    assert slides == [
        "  tokyo  S/1.mrxs  (3.0 KiB kept, 1.0 KiB to send)",
        "  tokyo  S/0.mrxs  (1.0 KiB kept, 3.0 KiB to send)",
    ]


def running_now(cli: PushCli) -> dict[str, Any]:
    """The run, once its record says that a slide was found and that the site is being sent to."""

    def said() -> bool:
        (now,) = json.loads(status(cli, "--json"))["runs"]
        found.update(now)
        if now["progress"] is None:  # its record has no line yet
            return False
        assert now["state"] == "running"
        return bool(now["progress"]["slides"] == 1 and now["progress"]["sites"]["tokyo"]["state"] == "running")

    found: dict[str, Any] = {}
    wait_until(said)
    return found


def test_a_run_is_seen_from_outside_and_gone_on_with_where_it_was_killed(
    cli: PushCli, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(cli.source, "it's & b.svs", content=os.urandom(200_000))
    cli.site("tokyo", sandbox)
    hold = Hold(100_000)
    sandbox.faults.add(hold, method="POST", path="transfer/Upload/[0-9]+")
    with cli.start("--include", "*.svs") as running:
        assert hold.reached.wait(PATIENCE)
        now = running_now(cli)
        assert status(cli).startswith(f"push {cli.source}: running for ")
        running.kill()
    assert (now["state"], now["command"], now["to_go_on"], now["summary"]) == ("running", "push", None, None)
    assert now["progress"]["process"] == running.process.pid
    sandbox.faults.clear()
    shown = status(cli, "--config", str(cli.book))
    assert "was killed, or the machine went down" in shown
    assert "  tokyo  Slides/in/it's & b.svs" in shown
    found = json.loads(status(cli, "--json"))
    ((killed,), (slide,)) = found["runs"], found["unfinished"]
    assert (killed["state"], slide["site"]) == ("killed", "tokyo")
    assert killed["to_go_on"][:2] == ["pmarep", "push"]
    monkeypatch.chdir(tmp_path)
    assert run(killed["to_go_on"][1:], cli.environment).returncode == 0
    assert status(cli).startswith("0 partly sent\n")
    assert "to go on" not in status(cli)


def test_more_runs_than_anybody_has_is_a_wrong_number(cli: PushCli) -> None:
    with pytest.raises(subprocess.CalledProcessError) as error:
        status(cli, "-n", "9" * 23)
    assert (error.value.returncode, error.value.stderr) == (2, "pmarep: --runs takes numbers up to 1,000,000\n")


def test_no_runs_are_asked_for(cli: PushCli) -> None:
    assert status(cli, "-n", "0") == "0 partly sent\n"
