"""Each command once as a process of its own, which imports what it needs: other tests fork from one that has it all.

`push`, `sites list` and `slides` are such processes in test_unattended.py and test_streams.py.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE
from support.push_cli import PushCli

from pmacore_sandbox import Sandbox

COMMANDS = (
    "verify {source} --sites a",
    "status",
    "sites show a",
    "sites schema",
    "sites test a",
    "sites edit a --connections 2",
    "sites rename a b",
    "sites duplicate a c --target Slides/c --yes",
    "sites remove a --yes",
    "groups set g a",
    "groups list",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_as_a_process_of_its_own(tmp_path: Path, sandbox: Sandbox, command: str) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "a.svs")
    options = [] if command == "sites schema" else ["--config", str(cli.book)]
    if command.startswith(("verify", "status")):
        options += ["--state-dir", str(cli.state)]
        options = options[2:] if command.startswith("status") else options
    words = [word.format(source=cli.source) for word in command.split()]
    done = subprocess.run(
        [sys.executable, "-m", "pmarep", *words, *options],
        env=cli.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if command.startswith("verify") else 0), done.stderr
