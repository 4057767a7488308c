"""The recipes for several nodes, run by a loop that plays the scheduler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE, run
from support.manual import blocks
from support.push_cli import PushCli, arrived, contents, transfers

from pmacore_sandbox import Sandbox

PAGE = "several-nodes.md"


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    cli.site("ghent", sandbox, "Slides/ghent")
    tree(cli.source, *(f"case {number}/{number}.svs" for number in range(5)), content=os.urandom(1000))
    for path in cli.source.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    cli.environment |= {"PMAREP_CONFIG": str(cli.book)}
    return cli


def all_is_there_once(cli: PushCli, sandbox: Sandbox, *targets: str) -> None:
    for target in targets:
        assert arrived(sandbox, target) == contents(cli.source)
    assert transfers(sandbox).count("transfer/Upload") == 5 * len(targets)
    assert cli.verify("--sites", "tokyo").code == 0  # the proof


@pytest.mark.skipif(sys.platform == "win32", reason="a script for bash")
def test_a_slurm_array(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    (script,) = (block.text for block in blocks(PAGE) if "#SBATCH" in block.text)
    assert "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" in script
    (tmp_path / "pmarep").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pmarep "$@"\n')
    (tmp_path / "pmarep").chmod(0o755)
    for task in range(2):  # each node has a disk of its own
        text = script.replace("/course ", f"{cli.source} ").replace("/var/tmp/", f"{tmp_path}/node{task}/")
        task_variables = {"SLURM_ARRAY_TASK_ID": str(task), "SLURM_ARRAY_TASK_COUNT": "2"}
        path = f"{tmp_path}:{os.environ['PATH']}"
        environment = {**cli.environment, **task_variables, "PATH": path}
        done = subprocess.run(["bash", "-c", text], env=environment, capture_output=True, timeout=PATIENCE)
        assert (done.returncode, done.stderr) == (0, b"")
    all_is_there_once(cli, sandbox, "Slides/in", "Slides/ghent")


def test_a_kubernetes_job(cli: PushCli, sandbox: Sandbox) -> None:
    import yaml

    (block,) = (block for block in blocks(PAGE) if block.language == "yaml")
    _, job = yaml.safe_load_all(block.text)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    count = job["spec"]["completions"]
    assert f"$(JOB_COMPLETION_INDEX)/{count}" in container["args"]
    for index in range(count):
        words = [word.replace("$(JOB_COMPLETION_INDEX)", str(index)) for word in container["args"]]
        words[words.index("/course")] = str(cli.source)
        done = run([*words, "--state-dir", str(cli.state)], cli.environment)
        assert done.returncode == 0, done.stderr
    all_is_there_once(cli, sandbox, "Slides/in")
