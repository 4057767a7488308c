"""What `--dry-run` and `pmarep status` say about slides that an earlier run has left unfinished."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from support.cloud import MIB, SMALL_BLOCKS, StartCloud
from support.corpus import tree, write_mirax
from support.fork_server import PATIENCE
from support.push_cli import PushCli

from pmacore_sandbox import Hold, Sandbox

FILE = r"transfer/Upload/[0-9]+\?path="


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


def planned(cli: PushCli) -> dict[str, Any]:
    (event,) = [event for event in cli.push("--dry-run").events if event["event"] == "slide_planned"]
    assert isinstance(event, dict)
    return event


def status(cli: PushCli, *extra: str) -> str:
    done = cli.any("status", "--state-dir", str(cli.state), *extra)
    assert done.code == 0
    return done.stdout


def stop_at(cli: PushCli, sandbox: Sandbox, path: str, after: int) -> None:
    hold = Hold(after_bytes=after)
    sandbox.faults.add(hold, path=path)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        running.interrupt()
        assert running.result().code == 130
    sandbox.faults.clear()
    assert sandbox.wait_idle()


def test_a_file_that_begins_anew_is_not_resumed(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", content=os.urandom(12 * MIB))  # more than fits into what lies between the two
    cli.site("a", sandbox)
    stop_at(cli, sandbox, FILE, 100_000)
    event = planned(cli)
    assert (event["action"], event["bytes"]) == ("send", 12 * MIB)
    assert event["reason"] == "partly sent before, but nothing of it is kept"
    assert "would send a.svs" in cli.run("--dry-run").stdout
    assert "a.svs  (nothing kept, 12.0 MiB to send)" in status(cli)
    (place,) = json.loads(status(cli, "--json"))["unfinished"]
    assert (place["files_kept"], place["parts_kept"]) == (0, 0)
    assert (place["bytes_kept"], place["bytes_to_send"]) == (0, 12 * MIB)


def test_files_that_are_there_are_kept(cli: PushCli, sandbox: Sandbox) -> None:
    write_mirax(cli.source / "m.mrxs", data_files=4, data_size=400_000)
    cli.site("a", sandbox)
    stop_at(cli, sandbox, FILE + "m/Data0003.dat", 100_000)
    event = planned(cli)
    size = sum(file.stat().st_size for file in cli.source.rglob("*.*"))
    assert event["action"] == "resume"
    assert 400_000 <= event["bytes"] < size
    assert " kept, " in event["reason"]
    assert f"m.mrxs  ({event['reason'].partition(': ')[2]})" in status(cli)
    (place,) = json.loads(status(cli, "--json"))["unfinished"]
    assert place["files_kept"] >= 2
    assert (place["bytes_kept"], place["bytes_to_send"]) == (size - event["bytes"], event["bytes"])
    again = cli.push()
    assert again.finished("a")["m.mrxs"]["bytes"] == event["bytes"]


@pytest.mark.parametrize("kind", ["S3", "Azure"])
def test_parts_are_kept(tmp_path: Path, cloud_sandbox: StartCloud, kind: str) -> None:
    cli = PushCli(tmp_path / "cli", patch=SMALL_BLOCKS)
    cloud = cloud_sandbox("tokyo", azure=kind == "Azure", s3_options={"part_size": MIB})
    tree(cli.source, "a.svs", content=os.urandom(5 * MIB))
    cli.site("a", cloud.sandbox, f"{'Cloud' if kind == 'S3' else 'Blobs'}/in")
    hold = Hold()
    storage = cloud.s3 if kind == "S3" else cloud.azure
    storage.faults.add(hold, method="PUT", after=2)
    with cli.start("--connections", "1") as running:
        assert hold.reached.wait(PATIENCE)
        running.interrupt()
        assert running.result().code == 130
    storage.faults.clear()
    event = planned(cli)
    assert event["action"] == "resume"
    assert 0 < event["bytes"] < 5 * MIB
    assert f"a.svs  ({event['reason'].partition(': ')[2]})" in status(cli)
    (place,) = json.loads(status(cli, "--json"))["unfinished"]
    assert place["parts_kept"] > 0
    assert (place["bytes_kept"], place["bytes_to_send"]) == (5 * MIB - event["bytes"], event["bytes"])
    assert cli.push().finished("a")["a.svs"]["bytes"] == event["bytes"]
