"""`kill -9` again and again in the middle of one large slide: it goes on where it was, and arrives byte for byte."""

from __future__ import annotations

import base64
import os
import random
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest
from support.cloud import MIB, SMALL_BLOCKS, StartCloud
from support.corpus import write_mirax
from support.fork_server import PATIENCE
from support.push_cli import PushCli, arrived, contents, wait_until

from pmacore_sandbox import FaultInjector, Hold

KILLS = 8
CONNECTIONS = 4


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    return lambda text: record_property("figure", text)


def journaled(cli: PushCli) -> set[tuple[str, str]]:
    """Keys and parts that the journal knows to be acknowledged."""
    with closing(sqlite3.connect(cli.state / "journal.sqlite", timeout=30)) as journal:
        return {(f"in/{file}", str(number)) for file, number in journal.execute("SELECT file, number FROM part")}


def journaled_files(cli: PushCli) -> set[str]:
    """Files that the journal knows to be there."""
    with closing(sqlite3.connect(cli.state / "journal.sqlite", timeout=30)) as journal:
        return {name for (name,) in journal.execute("SELECT file FROM file")}


def data_files(names: set[str]) -> int:
    return sum("Data" in name for name in names)


def pieces_of(requests: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Keys and numbers of parts. Azure's blocks have theirs at the end of their ids."""
    parts = [(key, part) for key, part in requests if part not in ("", "blocklist")]
    return {(key, part if part.isdigit() else str(int(base64.b64decode(part)[-6:]))) for key, part in parts}


def kill_in_the_middle(
    cli: PushCli, faults: FaultInjector, path: str, size: int, known: Callable[[], int], before: int
) -> None:
    """Start a push, and kill it when 0 to 2 more pieces have come and others are on their way.

    `path`: of the requests that bring pieces, each of this `size`. `known`: how many the journal knows to be there,
    `before` the push.
    """
    hold, more = Hold(size // 2), random.randrange(3)
    rule = faults.add(hold, path=path, after=more)
    with cli.start("--connections", str(CONNECTIONS)) as running:
        assert hold.reached.wait(PATIENCE)
        wait_until(lambda: known() >= before + more)
        threading.Event().wait(random.random() * 0.05)
        running.kill()
    faults.remove(rule)
    hold.release()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("root", "size", "pieces", "kills"),
    [("Cloud", MIB // 4, 20, KILLS), ("Blobs", MIB, 12, 4)],
    ids=["s3", "azure"],
)
def test_killed_again_and_again(
    tmp_path: Path,
    cloud_sandbox: StartCloud,
    root: str,
    size: int,
    pieces: int,
    kills: int,
    figure: Callable[[str], None],
) -> None:
    random.seed(7)
    cli = PushCli(tmp_path / "cli", SMALL_BLOCKS)
    tokyo = cloud_sandbox("tokyo", azure=root == "Blobs", s3_options={"part_size": size})
    side = tokyo.side(root)
    cli.site("tokyo", tokyo.sandbox, target=f"{root}/in")
    with (cli.source / "a.svs").open("wb") as slide:
        for _ in range(pieces):
            slide.write(os.urandom(size))
    total, known = pieces * size, set[tuple[str, str]]()
    for _ in range(kills):
        before = len(side.acknowledged())
        kill_in_the_middle(cli, side.faults, "partNumber=|comp=block&", size, lambda: len(journaled(cli)), len(known))
        assert side.wait_idle()
        acknowledged = pieces_of(side.acknowledged()[before:])
        assert not known & acknowledged, "an acknowledged part was sent again"
        known = journaled(cli)
        assert len(acknowledged - known) <= CONNECTIONS  # those that were on their way
    assert known
    before = len(side.requests)
    result = cli.push("--connections", str(CONNECTIONS))
    assert result.code == 0, result.stdout
    sent = pieces_of((request.key, request.part) for request in side.requests[before:])
    assert not known & sent
    assert len(known) + len(sent) == pieces
    assert side.objects() == {"in/a.svs": (cli.source / "a.svs").read_bytes()}
    assert tokyo.s3.open_multipart_uploads() == []
    resent = side.received - total
    allowed = kills * CONNECTIONS * size + MIB // 16  # and the list of blocks
    how = f"{kills} kills of a {total / MIB:.0f} MiB slide"
    figure(f"{root}: {how}: {resent / MIB:.1f} MiB sent again, allowed {allowed / MIB:.0f}")
    assert resent <= allowed


@pytest.mark.slow
def test_killed_again_and_again_on_a_file_system(
    tmp_path: Path, cloud_sandbox: StartCloud, figure: Callable[[str], None]
) -> None:
    """Nothing is finer than a file there: complete ones are not sent again."""
    random.seed(7)
    cli = PushCli(tmp_path / "cli")
    sandbox = cloud_sandbox("tokyo", azure=False).sandbox
    cli.site("tokyo", sandbox)
    write_mirax(cli.source / "m.mrxs", data_files=20, data_size=MIB // 4)
    total = sum(map(len, contents(cli.source).values()))
    known: set[str] = set()
    for _ in range(KILLS):
        before = len(sandbox.requests)
        kill_in_the_middle(
            cli, sandbox.faults, r"\?path=.*Data", MIB // 4, lambda: data_files(journaled_files(cli)), data_files(known)
        )
        assert sandbox.wait_idle()
        sent = {r.path.partition("?path=")[2] for r in sandbox.requests[before:] if "?path=" in r.path}
        assert not known & sent, "a complete file was sent again"
        known = journaled_files(cli)
    assert known
    result = cli.push("--connections", str(CONNECTIONS))
    assert result.code == 0, result.stdout
    assert arrived(sandbox) == contents(cli.source)
    received = sum(r.file_bytes for r in sandbox.requests)
    figure(f"Slides: {KILLS} kills of a slide of 20 files of 256 KiB: {(received - total) / MIB:.1f} MiB sent again")
