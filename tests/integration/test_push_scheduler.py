"""`push --scheduler`: one run on several nodes, over a real local cluster of Dask."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.corpus import tree
from support.fork_server import LatePatch
from support.push_cli import PushCli, arrived, contents, logins, transfers

from pmacore_sandbox import Sandbox
from pmarep.nodes.cluster import LOCAL_WORKERS


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    cli.site("ghent", sandbox, "Slides/ghent")
    tree(cli.source, *(f"case {number // 2}/{number}.svs" for number in range(8)), content=os.urandom(1000))
    return cli


def test_all_slides_arrive_with_one_summary(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    result = cli.push(
        "--scheduler", "local", "--audit", str(tmp_path / "audit.jsonl"), "--report", str(tmp_path / "report.json")
    )
    assert result.code == 0, result.stderr
    assert result.stderr == ""
    assert result.counts("tokyo") == result.counts("ghent") == (8, 0, 0)
    assert len(result.finished("tokyo")) == len(result.finished("ghent")) == 8
    assert arrived(sandbox, "Slides/in") == arrived(sandbox, "Slides/ghent") == contents(cli.source)
    assert transfers(sandbox).count("transfer/Upload") == 16
    kinds = [event["event"] for event in result.events]
    assert (kinds.count("run_started"), kinds.count("summary")) == (1, 1)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert sorted((line["site"], line["slide"]) for line in lines) == sorted(
        (site, f"case {number // 2}/{number}.svs") for site in ("ghent", "tokyo") for number in range(8)
    )
    assert all(line["files"][0]["sha256"] for line in lines)
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["slides"]) == 8
    assert logins(sandbox) <= min(LOCAL_WORKERS, max(2, os.cpu_count() or 1))  # one for each node and server
    sandbox.clear_requests()
    again = cli.push()
    assert again.counts("tokyo") == (0, 8, 0)
    asked = [request.path for request in sandbox.requests if "GetFilenames" in request.path]
    assert asked == []  # the journals of the nodes are known


@pytest.mark.parametrize(
    "options",
    [["--shard", "1/2"], ["--mirror"], ["--dry-run"], ["--scheduler-file", "x.json"]],
)
def test_options_that_exclude_a_scheduler_are_refused(cli: PushCli, options: list[str]) -> None:
    result = cli.run("--scheduler", "local", *options)
    assert result.code == 2
    assert "--scheduler" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_dask_it_is_said_what_to_install(cli: PushCli) -> None:
    result = cli.run("--scheduler", "local", patch=LatePatch("import sys\nsys.modules['distributed'] = None"))
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == "pmarep: --scheduler needs dask.distributed; install it with: pip install 'pmarep[dask]'\n"


def test_a_scheduler_file_that_is_none(cli: PushCli, tmp_path: Path) -> None:
    (tmp_path / "scheduler.json").write_text("{}")
    result = cli.run("--scheduler-file", str(tmp_path / "scheduler.json"))
    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "scheduler.json is no scheduler file of Dask" in result.stderr
