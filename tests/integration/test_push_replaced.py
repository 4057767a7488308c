"""A source that is replaced with its size and mtime kept, while it is sent and between two runs: never a mixture."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE
from support.push_cli import PushCli, arrived, contents
from support.sandbox_client import Client

from pmacore_sandbox import Hold, Sandbox

FILE = r"transfer/Upload/[0-9]+\?path="

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there only a replaced file is seen (unit tests)")


def replace(path: Path) -> None:
    stat, new = path.stat(), path.with_name("new")
    new.write_bytes(os.urandom(stat.st_size))
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    new.replace(path)


def rewrite(path: Path) -> None:
    stat = path.stat()
    with path.open("r+b") as file:
        file.write(os.urandom(stat.st_size))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("change", [replace, rewrite])
def test_while_it_is_sent(cli: PushCli, sandbox: Sandbox, change: Callable[[Path], None]) -> None:
    """Too large to be in the network's buffers when it changes. The run after it sends all of the new one."""
    victim = tree(cli.source, "victim.svs", content=os.urandom(12_000_000)) / "victim.svs"
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE + "victim.svs", times=1)
    with cli.start() as running:
        assert hold.reached.wait(PATIENCE)
        change(victim)
        sandbox.faults.clear()
        result = running.result()
    assert result.counts("a") == (0, 0, 1)
    assert "victim.svs was replaced while being sent" in result.finished("a")["victim.svs"]["error"]
    with Client(sandbox) as client:
        assert client.get("GetFiles", path="Slides/in") == []
    sandbox.end_all_sessions()
    assert cli.push().counts("a") == (1, 0, 0)
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("killed", [True, False])
def test_between_two_runs(cli: PushCli, sandbox: Sandbox, killed: bool) -> None:
    """The files that have arrived already are of the old slide: they go again."""
    write_mirax(cli.source / "m.mrxs", data_files=4, data_size=400_000)
    hold = Hold(after_bytes=100_000)
    sandbox.faults.add(hold, path=FILE + "m/Data0003.dat", times=1)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        if killed:
            running.kill()
        else:
            running.interrupt()
            assert running.result().code == 130
    sandbox.faults.clear()
    assert (sandbox.data / "Slides/in/m/Data0000.dat").is_file()
    rewrite(cli.source / "m" / "Data0000.dat")
    result = cli.push()
    assert result.counts("a") == (1, 0, 0)
    (again,) = [event for event in result.events if event["event"] == "slide_restarted"]
    assert "replaced here since they were sent" in again["reason"]
    assert arrived(sandbox) == contents(cli.source)
