"""Files that change, shrink or vanish while they are sent: reported, and never half a slide at the server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE
from support.push_cli import PushCli, arrived, contents, files_sent
from support.sandbox_client import Client

from pmacore_sandbox import Hold, Sandbox

FILE = r"transfer/Upload/[0-9]+\?path="


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, 200_000)


def touch(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))


def replace(path: Path) -> None:
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(os.urandom(size))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        *(("single", change) for change in (grow, shrink, touch, replace, Path.unlink)),
        *(("companion", change) for change in (shrink, Path.unlink)),
    ],
)
def test_a_source_that_changes_is_reported_and_not_finalised(
    tmp_path: Path, sandbox: Sandbox, kind: str, change: Callable[[Path], None]
) -> None:
    """Large enough not to be in the network's buffers when it changes."""
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "other.svs")
    large = os.urandom(12_000_000)
    if kind == "single":
        victim, slide = tree(cli.source, "victim.svs", content=large) / "victim.svs", "victim.svs"
    else:
        write_mirax(cli.source / "m.mrxs")
        victim, slide = cli.source / "m" / "Data0001.dat", "m.mrxs"
        victim.write_bytes(large)
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE + victim.relative_to(cli.source).as_posix(), times=1)
    with cli.start() as running:
        assert hold.reached.wait(PATIENCE)
        change(victim)
        sandbox.faults.clear()
        result = running.result()
    assert result.code == 1
    assert result.counts("a") == (1, 0, 1)
    error = result.finished("a")[slide]["error"]
    assert victim.name in error
    assert ("cannot read" if change is Path.unlink else "while being sent") in error
    with Client(sandbox) as client:
        assert client.get("GetFiles", path="Slides/in") == ["Slides/in/other.svs"]
    sandbox.end_all_sessions()
    if change is Path.unlink:
        victim.write_bytes(large)
    again = cli.push()
    assert again.counts("a") == (1, 1, 0), again.stdout
    assert arrived(sandbox) == contents(cli.source)


def test_a_source_that_vanishes_before_its_turn(tmp_path: Path, sandbox: Sandbox) -> None:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", sandbox)
    tree(cli.source, "1.svs", "2.svs", content=os.urandom(1000))
    hold = Hold()
    sandbox.faults.add(hold, path=FILE + "1.svs", times=1)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        (cli.source / "2.svs").unlink()
        sandbox.faults.clear()
        result = running.result()
    assert result.counts("a") == (1, 0, 1)
    assert "2.svs" in result.finished("a")["2.svs"]["error"]
    assert files_sent(sandbox) == ["1.svs"]
