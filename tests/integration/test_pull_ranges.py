"""Files that come in several ranges at once: whole and of one version, whatever the server does meanwhile."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path
from typing import Any

import pytest
from support.cloud import KINDS, StartCloud
from support.pulls import place, pull, put
from support.push_cli import contents

from pmacore_sandbox import CannedResponse, Drop, IgnoreRanges, Sandbox
from pmarep.events import SlideRestarted
from pmarep.pull import file_download, partial_file

KIB = 1024
SIZE = 10 * 64 * KIB + 5
RANGES = 11


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download, "RANGE", 64 * KIB)
    monkeypatch.setattr(partial_file, "SYNC_EVERY", 64 * KIB)
    monkeypatch.setattr(file_download, "STUCK_SECONDS", inf)  # so that a slow machine asks for nothing twice


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


def downloads(sandbox: Sandbox) -> list[int]:
    return [entry.status for entry in sandbox.requests if "Download" in entry.path]


def restarted(report: Any) -> list[SlideRestarted]:
    return [event for event in report.events if isinstance(event, SlideRestarted)]


async def test_each_range_comes_once(sandbox: Sandbox, here: Path) -> None:
    files = put(sandbox, {"x.svs": os.urandom(SIZE), "y.svs": os.urandom(SIZE), "z.svs": b"z", "empty.svs": b""})
    report = await pull([place(sandbox)], here)
    assert contents(here) == files
    assert sorted(downloads(sandbox)) == [200] + [206] * 2 * RANGES
    assert report.finished("tokyo")["x.svs"].bytes == SIZE


@pytest.mark.parametrize("root", KINDS)
async def test_from_a_cloud(cloud_sandbox: StartCloud, here: Path, root: str) -> None:
    cloud, content = cloud_sandbox(), os.urandom(SIZE)
    cloud.side(root).put("in/x.svs", content)
    cloud.side(root).faults.add(Drop(10 * KIB), method="GET", path=r"x\.svs", times=1)
    report = await pull([place(cloud.sandbox, f"{root}/in")], here)
    assert contents(here) == {"x.svs": content}
    assert restarted(report) == []


async def test_a_broken_range_is_repeated_alone(sandbox: Sandbox, here: Path) -> None:
    files = put(sandbox, {"x.svs": os.urandom(SIZE)})
    sandbox.faults.add(Drop(10 * KIB), path="Download", after=3, times=2)
    report = await pull([place(sandbox)], here)
    assert contents(here) == files
    assert downloads(sandbox) == [206] * (RANGES + 2)
    assert restarted(report) == []
    assert report.finished("tokyo")["x.svs"].bytes == SIZE


async def test_the_next_run_brings_the_ranges_that_are_missing(sandbox: Sandbox, here: Path) -> None:
    files = put(sandbox, {"x.svs": os.urandom(SIZE)})
    sandbox.faults.add(CannedResponse.refusal("Locked"), path="Download", after=4, times=1)
    first = await pull([place(sandbox)], here, connections=3)
    assert first.code == 1
    sandbox.faults.clear()
    before = len(downloads(sandbox))
    done = (await pull([place(sandbox)], here)).finished("tokyo")["x.svs"]
    assert contents(here) == files
    assert done.resumed_bytes >= 2 * 64 * KIB  # four had been asked for, and two may have been under way
    assert done.bytes + done.resumed_bytes == SIZE
    assert len(downloads(sandbox)) - before < RANGES


async def test_the_first_answer_tells_that_there_are_no_ranges(sandbox: Sandbox, here: Path) -> None:
    files = put(sandbox, {f"{name}.svs": os.urandom(SIZE) for name in "wxyz"})
    sandbox.faults.add(IgnoreRanges(), path="Download")
    report = await pull([place(sandbox)], here)
    assert contents(here) == files
    assert downloads(sandbox) == [200] * 4
    assert restarted(report) == []


async def test_a_server_that_forgets_how_to_send_ranges(sandbox: Sandbox, here: Path) -> None:
    files = put(sandbox, {"x.svs": os.urandom(SIZE)})
    sandbox.faults.add(IgnoreRanges(), path="Download", after=4)
    report = await pull([place(sandbox)], here, connections=1)
    assert contents(here) == files
    (again,) = restarted(report)
    assert (again.bytes, again.reason) == (4 * 64 * KIB, "the server sends whole files only")
    assert report.finished("tokyo")["x.svs"].bytes == SIZE


async def test_a_file_that_is_replaced_between_two_ranges(
    sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No mixture comes, though size and time are as they were: each range says of which version it is."""
    put(sandbox, {"x.svs": b"o" * SIZE})
    write, path = partial_file.PartialFile.write, sandbox.data / "Slides/in/x.svs"
    replaced: list[None] = []

    def replace_and_write(part: partial_file.PartialFile, *range_: Any) -> None:
        if not replaced:
            replaced.append(None)
            time = path.stat().st_mtime_ns
            path.write_bytes(b"n" * SIZE)
            os.utime(path, ns=(time + 1, time + 1))  # less than a listing tells
        write(part, *range_)

    monkeypatch.setattr(partial_file.PartialFile, "write", replace_and_write)
    report = await pull([place(sandbox)], here, connections=1)
    assert report.code == 0
    assert contents(here) == {"x.svs": b"n" * SIZE}


async def test_a_server_that_names_another_version_each_time(
    sandbox: Sandbox, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole files come from it in the end: each is of one version."""
    files = put(sandbox, {"x.svs": os.urandom(SIZE)})
    receive = file_download.FileDownloader._receive

    async def forgetful(downloader: Any, transfer: Any, one: Any) -> None:
        path = sandbox.data / "Slides/in/x.svs"
        time = path.stat().st_mtime_ns
        os.utime(path, ns=(time + 1, time + 1))
        await receive(downloader, transfer, one)

    monkeypatch.setattr(file_download.FileDownloader, "_receive", forgetful)
    report = await pull([place(sandbox)], here)
    assert report.code == 0
    assert contents(here) == files
    assert downloads(sandbox)[-1] == 200
