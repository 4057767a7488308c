"""Hooks of the site book around real runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.push_cli import PushCli

from pmacore_sandbox import Sandbox
from pmarep.sites import SiteBook
from pmarep.state.target_locks import hold_targets


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "a.svs")
    cli.site("tokyo", sandbox)
    code = f"import sys; open({str(cli.source.parent / 'told')!r}, 'a').write(sys.stdin.read())"
    command = json.dumps([sys.executable, "-S", "-c", code])
    with cli.book.open("a") as book:
        book.write(f"[hooks]\non_start = {command}\non_success = ['/no/such']\non_failure = {command}\n")
    return cli


def told(cli: PushCli) -> list[tuple[str, str, int | None]]:
    lines = (cli.source.parent / "told").read_text().splitlines()
    return [(told["command"], told["hook"], told.get("exit_code")) for told in map(json.loads, lines)]


def test_a_hook_that_fails_changes_nothing(cli: PushCli) -> None:
    done = cli.push()
    assert (done.code, done.counts("tokyo")) == (0, (1, 0, 0))
    assert done.stderr == (
        "pmarep: note: the hook on_success (/no/such) could not be started (No such file or directory); "
        "the run is not affected\n"
    )
    assert told(cli) == [("push", "on_start", None)]


def test_a_run_that_cannot_begin_is_reported(cli: PushCli) -> None:
    (site,) = SiteBook.load(cli.book).select(["tokyo"])
    with hold_targets(cli.state / "locks", [("other", site.destination_key)]):
        assert cli.verify().code == 3
    assert told(cli) == [("verify", "on_start", None), ("verify", "on_failure", 3)]
