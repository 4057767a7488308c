"""Too many open files: the limit is raised, what is sent at once is bounded by it, and what meets it waits."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree

from pmarep.errors import SourceAway
from pmarep.slides import Slide, find_slides
from pmarep.slides import folder as folder_module
from pmarep.source import SharedReader, SiteReader, reader
from pmarep.source.files import LocalFile
from pmarep.system import open_files
from pmarep.system.open_files import MAX_OPEN_FILES, max_requests_per_site

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit")


def limits_of_a_process(soft: int, hard: int) -> list[int]:
    code = (
        "import resource, sys\n"
        "from pmarep.system.open_files import raise_limit\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "raise_limit()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


@POSIX
def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert limits_of_a_process(64, 200) == [200, 200]
    assert limits_of_a_process(200, 200) == [200, 200]


@POSIX
def test_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where the system takes no such number, as macOS does, less."""
    import resource

    asked: list[tuple[int, int]] = []

    def refuse(_: int, limits: tuple[int, int]) -> None:
        asked.append(limits)
        if len(asked) == 1:
            raise ValueError("not allowed to raise maximum limit")

    none = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, none))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    open_files.raise_limit()
    assert asked == [(MAX_OPEN_FILES, none), (10_240, none)]


@pytest.mark.parametrize(("allowed", "sites", "requests"), [(256, 5, 6), (1024, 5, 32), (64, 3, 2), (256, 200, 2)])
def test_requests_are_bounded_by_the_limit(
    monkeypatch: pytest.MonkeyPatch, allowed: int, sites: int, requests: int
) -> None:
    monkeypatch.setattr(open_files, "limit", lambda: allowed)
    assert max_requests_per_site(sites) == requests


def test_nothing_bounds_them_without_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "limit", lambda: None)
    assert max_requests_per_site(5) is None


class Full:
    """No file can be opened so many times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, code: int) -> None:
        self.left = times
        opened = Path.open

        def fails(path: Path, *args: Any, **kwargs: Any) -> Any:
            if self.left:
                self.left -= 1
                raise OSError(code, os.strerror(code), str(path))
            return opened(path, *args, **kwargs)

        monkeypatch.setattr(Path, "open", fails)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
async def test_a_read_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    (slide,) = find_slides(tree(tmp_path, "a.svs", content=b"12345"))
    assert isinstance(slide, Slide)
    monkeypatch.setattr(reader, "LONGEST_PAUSE", reader.SHORTEST_PAUSE)
    files = SharedReader()
    full = Full(monkeypatch, 3, code)
    assert [chunk async for chunk in SiteReader(files).read(slide, slide.main)] == [b"12345"]
    assert full.left == 0
    files.close()


async def test_handles_that_nobody_needs_now_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = find_slides(tree(tmp_path, "a.svs", "b.svs", content=b"x" * 600_000))
    assert isinstance(first, Slide)
    assert isinstance(second, Slide)
    files = SharedReader()
    reading = SiteReader(files).read(first, first.main)
    await anext(reading)
    while files._pending_reads:  # what is read ahead takes a handle
        await asyncio.sleep(0)
    (handles,) = files._handles.values()
    idle = list(handles.idle)
    assert idle
    Full(monkeypatch, 1, errno.EMFILE)
    await anext(SiteReader(files).read(second, second.main))
    assert all(isinstance(handle, LocalFile) and handle.closed for handle in idle)
    assert len(b"".join([chunk async for chunk in reading])) > 0  # it opens the file again
    files.close()


async def test_it_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is a matter of the source being away, which makes the site pause and not the slide fail."""
    (slide,) = find_slides(tree(tmp_path, "a.svs"))
    assert isinstance(slide, Slide)
    monkeypatch.setattr(reader, "OPEN_FILES_SECONDS", 0.0)
    files = SharedReader()
    Full(monkeypatch, 10, errno.EMFILE)
    with pytest.raises(SourceAway, match=r"(?i)too many open files"):
        await anext(SiteReader(files).read(slide, slide.main))
    files.close()


def test_the_walk_waits_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "_PAUSE", 0.0)
    left = [3]

    def scandir(path: str) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        return os.scandir(path)

    found = find_slides(tree(tmp_path, "a/b.svs"), scandir=scandir)
    assert [thing.path for thing in found] == ["a/b.svs"]
