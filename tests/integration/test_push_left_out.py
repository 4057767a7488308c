"""What a push says of files that it does not send, and of slides that no server could read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus import tree, write_svs
from desk import Desk, arrived, files_sent

from pmacore_sandbox import CannedResponse, Sandbox

IMPATIENT = "import pmarep.engine.verify\npmarep.engine.verify.READABLE_SECONDS = 0.0"


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox) -> Desk:
    """With one site, `a`."""
    desk = Desk(tmp_path / "desk")
    desk.site("a", sandbox)
    return desk


def line_of(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("left out: ")]


def test_what_is_left_out_is_counted(desk: Desk) -> None:
    tree(desk.source, "a.svs", "b/scan_00001", "b/x.unheard-of", "notes.txt", "Thumbs.db", "@Recycle/old.svs", "c.ndpi")
    result = desk.run("--exclude", "*.ndpi")
    assert result.code == 0
    assert line_of(result.stdout) == [
        "left out: 2 files that may be slides or parts of one (pmarep slides SRC says which), 1 other file, "
        "2 system files and folders, 1 excluded"
    ]
    assert line_of(desk.run("--quiet", "--exclude", "*.ndpi").stdout) == line_of(result.stdout)
    summary = desk.push("--exclude", "*.ndpi").summary
    assert summary["left_out"] == {"unknown": 2, "other": 1, "system": 2, "excluded": 1}


def test_a_quiet_night_stays_quiet_where_nothing_could_be_a_slide(desk: Desk) -> None:
    tree(desk.source, "a.svs", "notes.txt", "Thumbs.db", "b.svs.bak")
    assert desk.run("--quiet").stdout == ""
    assert line_of(desk.run().stdout) == ["left out: 2 other files, 1 system file or folder"]


def test_nothing_is_said_of_nothing(desk: Desk) -> None:
    tree(desk.source, "a.svs")
    assert line_of(desk.run().stdout) == []


def test_broken_files_are_not_sent_and_told_every_night(desk: Desk, sandbox: Sandbox) -> None:
    write_svs(desk.source / "good.svs")
    write_svs(desk.source / "half.svs")
    os.truncate(desk.source / "half.svs", 100_000)
    tree(desk.source, "page.svs", content=b"<!DOCTYPE html><title>Sign in</title>")
    tree(desk.source, "pointer.svs", content=b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    tree(desk.source, "zeros.tif", content=bytes(9000))
    words = {"half.svs": "cut off", "page.svs": "a web page", "pointer.svs": "git-lfs"}
    for night in range(2):
        result = desk.push()
        assert result.code == 1
        assert result.counts("a") == (1 - night, night, 3)
        assert result.summary["source_problems"] == 1
        finished = result.finished("a")
        for slide, said in words.items():
            assert said in finished[slide]["error"]
        assert set(arrived(sandbox)) == {"good.svs"}


def test_what_the_server_cannot_read_is_sent_once(desk: Desk, sandbox: Sandbox) -> None:
    write_svs(desk.source / "x.svs", width=256, height=256)
    sandbox.faults.add(CannedResponse.refusal("cannot read it"), method="GET", path="GetImageInfo")
    first = desk.push(patch=IMPATIENT)
    assert (first.code, first.counts("a")) == (1, (0, 0, 1))
    assert "not sent again unless it changes, or with --fresh" in first.finished("a")["x.svs"]["error"]
    assert files_sent(sandbox) == ["x.svs"]
    for _ in range(2):  # every night
        sandbox.clear_requests()
        again = desk.push(patch=IMPATIENT)
        assert (again.code, again.counts("a")) == (1, (0, 0, 1))
        assert "its bytes are there, but the server cannot read the slide" in again.finished("a")["x.svs"]["error"]
        assert files_sent(sandbox) == []
    assert desk.push("--fresh", patch=IMPATIENT).code == 1
    assert files_sent(sandbox) == ["x.svs"]

    sandbox.clear_requests()
    write_svs(desk.source / "x.svs", width=256, height=256, seed=1)
    assert desk.push(patch=IMPATIENT).code == 1
    assert files_sent(sandbox) == ["x.svs"]


def test_a_server_that_learns_to_read_it(desk: Desk, sandbox: Sandbox) -> None:
    write_svs(desk.source / "x.svs", width=256, height=256)
    sandbox.faults.add(CannedResponse.refusal("cannot read it"), method="GET", path="GetImageInfo", times=2)
    assert desk.push(patch=IMPATIENT).code == 1
    sandbox.clear_requests()
    for _ in range(2):
        again = desk.push()
        assert (again.code, again.counts("a")) == (0, (0, 1, 0))
    assert files_sent(sandbox) == []


def test_a_file_that_is_said_to_be_torn_is_read_back(desk: Desk, sandbox: Sandbox) -> None:
    """And is right after all, so that it is not sent again."""
    write_svs(desk.source / "x.svs", width=256, height=256)
    sandbox.faults.add(CannedResponse.refusal("cannot read it"), method="GET", path="GetImageInfo", times=1)
    sandbox.faults.add(
        CannedResponse(200, '[{"Path": "Slides/in/x.svs", "Size": 1}]'), method="GET", path="GetFilenames", times=2
    )
    assert desk.push(patch=IMPATIENT).code == 0
    assert desk.push().code == 0
    assert files_sent(sandbox) == ["x.svs"]
