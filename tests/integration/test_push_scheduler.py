"""`push --scheduler`: one run on several nodes, over a real local cluster of Dask."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.corpus import tree
from support.push_cli import PushCli, arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import Sandbox


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> Sandbox:
    return start_sandbox("tokyo")


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    cli.site("ghent", sandbox, "Slides/ghent")
    tree(cli.source, *(f"case {number // 2}/{number}.svs" for number in range(8)), content=os.urandom(1000))
    return cli


def test_all_slides_arrive_with_one_summary(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    result = cli.push("--scheduler", "local", "--audit", str(tmp_path / "audit.jsonl"))
    assert result.code == 0, result.stderr
    assert result.stderr == ""
    assert result.counts("tokyo") == result.counts("ghent") == (8, 0, 0)
    assert arrived(sandbox, "Slides/in") == arrived(sandbox, "Slides/ghent") == contents(cli.source)


@pytest.mark.parametrize(
    "options",
    [["--shard", "1/2"], ["--mirror"], ["--dry-run"], ["--scheduler-file", "x.json"]],
)
def test_what_does_not_go_together_is_refused(cli: PushCli, options: list[str]) -> None:
    result = cli.run("--scheduler", "local", *options)
    assert result.code == 2
    assert "--scheduler" in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_dask_it_is_said_what_to_install(cli: PushCli) -> None:
    result = cli.run("--scheduler", "local", patch="import sys\nsys.modules['distributed'] = None")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == "pmarep: --scheduler needs dask.distributed; install it with: pip install 'pmarep[dask]'\n"


def test_a_scheduler_file_that_is_none(cli: PushCli, tmp_path: Path) -> None:
    (tmp_path / "scheduler.json").write_text("{}")
    result = cli.run("--scheduler-file", str(tmp_path / "scheduler.json"))
    assert (result.code, result.stderr.count("\n")) == (2, 1)
    assert "scheduler.json is no scheduler file of Dask" in result.stderr
