"""`--audit` and `kill -9`: every slide that the journal believes to be at a site has its line with hashes."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import PushCli

from pmacore_sandbox import Sandbox

DIES = """
import os
from pmarep.state.journal import Journal
record_sent = Journal.record_sent
async def dies(*arguments, **more):
    if {after}:
        await record_sent(*arguments, **more)
    os._exit(9)
Journal.record_sent = dies
"""


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "a.svs", content=os.urandom(1000))
    return cli


def lines(audit: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]


def assert_on_record(cli: PushCli, line: dict[str, Any]) -> None:
    digest = hashlib.sha256((cli.source / "a.svs").read_bytes()).hexdigest()
    assert (line["slide"], line["error"], line["note"]) == ("a.svs", None, None)
    assert line["files"] == [{"path": "a.svs", "bytes": 1000, "sha256": digest}]


def test_killed_when_the_journal_says_sent(cli: PushCli, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with cli.start("--audit", str(audit), patch=LatePatch(DIES.format(after=True))) as running:
        assert running.process.wait(PATIENCE) == 9
    (line,) = lines(audit)
    assert line["status"] == "sent"
    assert line["bytes_sent"] == 1000
    assert_on_record(cli, line)
    assert cli.push("--audit", str(audit)).counts("a") == (0, 1, 0)
    assert [line["status"] for line in lines(audit)] == ["sent", "skipped"]


def test_killed_just_before(cli: PushCli, tmp_path: Path) -> None:
    """The next run finds it there, and it is on record whichever way it finds out that it is whole."""
    audit = tmp_path / "audit.jsonl"
    with cli.start("--audit", str(audit), patch=LatePatch(DIES.format(after=False))) as running:
        assert running.process.wait(PATIENCE) == 9
    cli.push("--audit", str(audit))
    assert len(lines(audit)) == 2
    for line in lines(audit):
        assert_on_record(cli, line)


def test_killed_when_the_slide_had_arrived_unnoticed(cli: PushCli, tmp_path: Path) -> None:
    """The journal knows of no acknowledged file, so all is read back; that is on record too."""
    audit = tmp_path / "audit.jsonl"
    dies = (
        "import os\nfrom pmarep.state.journal import Journal\n"
        "async def dies(*_): os._exit(9)\nJournal.record_file_sent = dies"
    )
    with cli.start("--audit", str(audit), patch=LatePatch(dies)) as running:
        assert running.process.wait(PATIENCE) == 9
    assert lines(audit) == []
    assert cli.push("--audit", str(audit)).counts("a") == (0, 1, 0)
    (line,) = lines(audit)
    assert line["status"] == "skipped"
    assert_on_record(cli, line)


def test_one_line_for_each_slide_of_a_run(cli: PushCli, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    tree(cli.source, "b.svs", "c.svs", content=b"x")
    assert cli.push("--audit", str(audit)).counts("a") == (3, 0, 0)
    assert sorted(line["slide"] for line in lines(audit)) == ["a.svs", "b.svs", "c.svs"]
