"""How much at once: memory, connections, bandwidth."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.push_cli import PushCli, arrived, contents, wait_until
from support.sandboxes import StartSandbox

from pmacore_sandbox import Hold, Sandbox

SIZE = 64 * 1024**2
FILE = r"transfer/Upload/[0-9]+\?path="


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no wait4 here")
def test_memory_does_not_grow_with_the_file(
    cli: PushCli, start_sandbox: StartSandbox, record_property: Callable[[str, object], None]
) -> None:
    """64 MiB to three sites in less than 120 MB. The file is sparse and the sandboxes keep no bytes."""
    with (cli.source / "huge.svs").open("wb") as huge:
        huge.write(b"a slide")
        huge.truncate(SIZE)
    sandboxes = [start_sandbox(name, discard=True) for name in ("a", "b", "c")]
    for sandbox in sandboxes:
        cli.site(sandbox.data.name, sandbox)
    result, peak = cli.push_measured()
    assert result.code == 0, result.stdout
    for sandbox in sandboxes:
        assert (sandbox.data / "Slides" / "in" / "huge.svs").stat().st_size == SIZE
    record_property("figure", f"64 MiB to three sites: peak {peak / 1e6:.0f} MB, {result.summary['seconds']:.0f} s")
    assert peak < 120e6


@pytest.mark.parametrize("kind", ["slides", "files of one slide"])
def test_connections_is_a_limit(cli: PushCli, sandbox: Sandbox, kind: str) -> None:
    if kind == "slides":
        for number in range(6):
            tree(cli.source, f"{number}.svs", content=os.urandom(50_000))
    else:
        write_mirax(cli.source / "m.mrxs", data_files=6)
    cli.site("a", sandbox)
    hold = Hold()
    rule = sandbox.faults.add(hold, path=FILE)
    with cli.start("--connections", "3") as running:
        wait_until(lambda: rule.hits == 3)
        # Two reports that so many are under way, with a second between them, and no more have come.
        running.wait_for(lambda e: e["event"] == "progress" and e["connections"] == 3, count=2)
        assert rule.hits == 3
        sandbox.faults.clear()
        result = running.result()
    assert result.code == 0
    assert max(e["connections"] for e in result.events if e["event"] == "progress") == 3
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("where", ["option", "site"])
def test_bwlimit_is_respected(cli: PushCli, sandbox: Sandbox, where: str) -> None:
    """Never faster than said, over all connections together; how near it comes is in unit/uploaders/test_link.py."""
    for number in range(4):
        tree(cli.source, f"{number}.svs", content=os.urandom(256 * 1024))
    if where == "site":
        cli.site("a", sandbox, bwlimit="512K")
        result = cli.push()
    else:
        cli.site("a", sandbox)
        cli.site("b", sandbox, "Slides/other")  # both together
        result = cli.push("--bwlimit", "1M")
    assert result.code == 0
    assert result.summary["seconds"] >= 2 - 0.2
    assert arrived(sandbox) == contents(cli.source)
