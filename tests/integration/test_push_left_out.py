"""What a push says of files that it does not send, and of slides that no server could read."""

from __future__ import annotations

import os

from support.corpus import tree, write_svs
from support.fork_server import LatePatch
from support.push_cli import PushCli, arrived, files_sent

from pmacore_sandbox import CannedResponse, Sandbox

IMPATIENT = LatePatch("import pmarep.engine.slide.arrival\npmarep.engine.slide.arrival.READABLE_SECONDS = 0.0")


def line_of(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("left out: ")]


def test_what_is_left_out_is_counted(cli: PushCli) -> None:
    tree(cli.source, "a.svs", "b/scan_00001", "b/x.unheard-of", "notes.txt", "Thumbs.db", "@Recycle/old.svs", "c.ndpi")
    result = cli.run("--exclude", "*.ndpi")
    assert result.code == 0
    assert line_of(result.stdout) == [
        "left out: 2 files that may be slides or parts of one (pmarep slides SRC says which), 1 other file, "
        "2 system files and folders, 1 excluded"
    ]
    assert line_of(cli.run("--quiet", "--exclude", "*.ndpi").stdout) == line_of(result.stdout)
    summary = cli.push("--exclude", "*.ndpi").summary
    assert summary["left_out"] == {"unknown": 2, "other": 1, "system": 2, "excluded": 1}


def test_a_quiet_night_stays_quiet_where_nothing_could_be_a_slide(cli: PushCli) -> None:
    tree(cli.source, "a.svs", "notes.txt", "Thumbs.db", "b.svs.bak")
    assert cli.run("--quiet").stdout == ""
    assert line_of(cli.run().stdout) == ["left out: 2 other files, 1 system file or folder"]


def test_no_line_where_nothing_is_left_out(cli: PushCli) -> None:
    tree(cli.source, "a.svs")
    assert line_of(cli.run().stdout) == []


def test_broken_files_are_not_sent_and_reported_every_night(cli: PushCli, sandbox: Sandbox) -> None:
    write_svs(cli.source / "good.svs")
    write_svs(cli.source / "half.svs")
    os.truncate(cli.source / "half.svs", 100_000)
    tree(cli.source, "page.svs", content=b"<!DOCTYPE html><title>Sign in</title>")
    tree(cli.source, "pointer.svs", content=b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    tree(cli.source, "zeros.tif", content=bytes(9000))
    words = {"half.svs": "cut off", "page.svs": "a web page", "pointer.svs": "git-lfs"}
    for night in range(2):
        result = cli.push()
        assert result.code == 1
        assert result.counts("a") == (1 - night, night, 3)
        assert result.summary["source_problems"] == 1
        finished = result.finished("a")
        for slide, said in words.items():
            assert said in finished[slide]["error"]
        assert set(arrived(sandbox)) == {"good.svs"}


def test_what_the_server_cannot_read_is_sent_once(cli: PushCli, sandbox: Sandbox) -> None:
    write_svs(cli.source / "x.svs", width=256, height=256)
    sandbox.faults.add(CannedResponse.refusal("cannot read it"), method="GET", path="GetImageInfo")
    first = cli.push(patch=IMPATIENT)
    assert (first.code, first.counts("a")) == (1, (0, 0, 1))
    assert "not sent again unless it changes, or with --fresh" in first.finished("a")["x.svs"]["error"]
    assert files_sent(sandbox) == ["x.svs"]
    for _ in range(2):  # every night
        sandbox.clear_requests()
        again = cli.push(patch=IMPATIENT)
        assert (again.code, again.counts("a")) == (1, (0, 0, 1))
        assert "its bytes are there, but the server cannot read the slide" in again.finished("a")["x.svs"]["error"]
        assert files_sent(sandbox) == []
    assert cli.push("--fresh", patch=IMPATIENT).code == 1
    assert files_sent(sandbox) == ["x.svs"]

    sandbox.clear_requests()
    write_svs(cli.source / "x.svs", width=256, height=256, seed=1)
    assert cli.push(patch=IMPATIENT).code == 1
    assert files_sent(sandbox) == ["x.svs"]


def test_a_server_that_learns_to_read_it(cli: PushCli, sandbox: Sandbox) -> None:
    write_svs(cli.source / "x.svs", width=256, height=256)
    sandbox.faults.add(CannedResponse.refusal("cannot read it"), method="GET", path="GetImageInfo", times=2)
    assert cli.push(patch=IMPATIENT).code == 1
    sandbox.clear_requests()
    for _ in range(2):
        again = cli.push()
        assert (again.code, again.counts("a")) == (0, (0, 1, 0))
    assert files_sent(sandbox) == []


def test_a_file_that_is_reported_to_be_torn_is_read_back(cli: PushCli, sandbox: Sandbox) -> None:
    """And is right after all, so that it is not sent again."""
    write_svs(cli.source / "x.svs", width=256, height=256)
    sandbox.faults.add(CannedResponse.refusal("cannot read it"), method="GET", path="GetImageInfo", times=1)
    sandbox.faults.add(
        CannedResponse(200, '[{"Path": "Slides/in/x.svs", "Size": 1}]'), method="GET", path="GetFilenames", times=2
    )
    assert cli.push(patch=IMPATIENT).code == 0
    assert cli.push().code == 0
    assert files_sent(sandbox) == ["x.svs"]


def test_patterns_that_match_no_slide_are_reported(cli: PushCli) -> None:
    tree(cli.source, "a.svs", "b/old/y.svs", "b/old/z.txt")
    result = cli.run("--quiet", "--exclude", "old", "--exclude", "*.txt", "--include", "a.*")
    assert result.code == 0
    assert [line for line in [*result.lines, *result.stderr.splitlines()] if "matches" in line] == [
        "note: --exclude '*.txt' matches no slide"
    ]
