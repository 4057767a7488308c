"""`kill -9` again and again in the middle of one large slide: it goes on where it was, and arrives byte for byte."""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cloud import MIB, PART, StartCloud
from corpus import write_mirax
from desk import Desk, arrived, contents

from pmarep.uploaders.azure import SMALLEST

KILLS = 20
CONNECTIONS = 4


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    return lambda text: record_property("figure", text)


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(6000):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never came")


def journaled(desk: Desk) -> set[tuple[str, str]]:
    """Keys and parts that the journal knows to be acknowledged."""
    with closing(sqlite3.connect(desk.state / "journal.sqlite", timeout=30)) as journal:
        return {(f"in/{file}", str(number)) for file, number in journal.execute("SELECT file, number FROM part")}


@pytest.mark.slow
@pytest.mark.parametrize(("root", "size"), [("Cloud", PART), ("Blobs", SMALLEST)], ids=["s3", "azure"])
def test_killed_twenty_times(
    tmp_path: Path, cloud_sandbox: StartCloud, root: str, size: int, figure: Callable[[str], None]
) -> None:
    random.seed(7)
    desk = Desk(tmp_path / "desk")
    tokyo = cloud_sandbox("tokyo", azure=root == "Blobs")
    side = tokyo.side(root)
    desk.site("tokyo", tokyo.sandbox, target=f"{root}/in")
    with (desk.source / "a.svs").open("wb") as slide:
        for _ in range(300):
            slide.write(os.urandom(MIB))
    total = 300 * MIB
    kills = 0
    while kills < KILLS:
        before = len(side.requests)
        known = journaled(desk) if kills else set()
        # The gateway logs a request when it ends: 0 to 2 more of them, then the axe, somewhere in the next parts.
        wanted = before + random.randrange(3)
        with desk.start("--connections", str(CONNECTIONS)) as running:
            until(lambda: running.process.poll() is not None or len(side.requests) >= wanted)  # noqa: B023
            assert running.process.poll() is None, "there was nothing left to kill"
            threading.Event().wait(random.random() * 0.3)
            running.kill()
        kills += 1
        assert side.wait_idle()
        assert not known & set(side.acknowledged()[before:]), "an acknowledged part was sent again"
    known = journaled(desk)
    before = len(side.requests)
    result = desk.push("--connections", str(CONNECTIONS))
    assert result.code == 0, result.stdout
    again = {(r.key, r.part) for r in side.requests[before:]}
    assert not known & again
    assert side.sha256().keys() == {"in/a.svs"}
    assert side.objects()["in/a.svs"] == (desk.source / "a.svs").read_bytes()
    assert tokyo.s3.open_multipart_uploads() == []
    resent = side.received - total
    allowed = KILLS * CONNECTIONS * size
    figure(f"{root}: {KILLS} kills of a 300 MiB slide: {resent / MIB:.1f} MiB sent again, allowed {allowed // MIB}")
    assert resent <= allowed


@pytest.mark.slow
def test_killed_twenty_times_on_a_file_system(
    tmp_path: Path, cloud_sandbox: StartCloud, figure: Callable[[str], None]
) -> None:
    """Nothing is finer than a file there: complete ones are not sent again."""
    random.seed(7)
    desk = Desk(tmp_path / "desk")
    sandbox = cloud_sandbox("tokyo", azure=False, rate=60 * MIB).sandbox
    desk.site("tokyo", sandbox)
    write_mirax(desk.source / "m.mrxs", data_files=60, data_size=5 * MIB)
    total = sum(map(len, contents(desk.source).values()))
    known: set[str] = set()
    for _ in range(KILLS):
        before = len(sandbox.requests)
        wanted = before + 4 + random.randrange(3)
        with desk.start("--connections", str(CONNECTIONS)) as running:
            until(lambda: running.process.poll() is not None or len(sandbox.requests) >= wanted)  # noqa: B023
            assert running.process.poll() is None, "there was nothing left to kill"
            running.kill()
        assert sandbox.wait_idle()
        sent = {r.path.partition("?path=")[2] for r in sandbox.requests[before:] if "?path=" in r.path}
        assert not known & sent, "a complete file was sent again"
        with closing(sqlite3.connect(desk.state / "journal.sqlite", timeout=30)) as journal:
            known = {name for (name,) in journal.execute("SELECT file FROM file")}
    result = desk.push("--connections", str(CONNECTIONS))
    assert result.code == 0, result.stdout
    assert arrived(sandbox) == contents(desk.source)
    received = sum(r.file_bytes for r in sandbox.requests)
    figure(f"Slides: {KILLS} kills of a slide of 60 files of 5 MiB: {(received - total) / MIB:.1f} MiB sent again")
