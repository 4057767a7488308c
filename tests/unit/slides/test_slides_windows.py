"""What only Windows does: listings that lag behind, and paths that are too long."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from corpus import write_mirax, write_svs

from pmarep.slides import LeftOut, Slide, Why, find_slides
from pmarep.slides.settle import newest, traces

SCANDIR = os.scandir


class Stale:
    """An entry of a folder that knows nothing yet of what was written to the file."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def stat(self) -> os.stat_result:
        found = list(self._entry.stat())
        found[6:10] = [0, 0, 0, 0]
        return os.stat_result(found, {"st_mtime_ns": 0})


@contextmanager
def stale(path: str) -> Iterator[Iterator[Any]]:
    with SCANDIR(path) as entries:
        yield map(Stale, entries)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")


def found_in(folder: Path) -> list[Slide | LeftOut]:
    return list(find_slides(folder, scandir=stale))


def test_a_slide_that_is_being_written_is_as_young_as_its_files(tmp_path: Path, windows: None) -> None:
    write_svs(tmp_path / "a.svs")
    write_mirax(tmp_path / "b.mrxs")
    found = found_in(tmp_path)
    assert len(found) == 2
    for slide in found:
        assert isinstance(slide, Slide)
        stats = [slide.local(file).stat() for file in slide.files]
        assert [(file.size, file.mtime_ns) for file in slide.files] == [(s.st_size, s.st_mtime_ns) for s in stats]
        assert newest(slide) == max(s.st_mtime_ns for s in stats)


def test_so_is_an_incomplete_one(tmp_path: Path, windows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mirax(tmp_path / "b.mrxs")
    missing, *others = sorted((tmp_path / "b").glob("*.dat"))
    missing.unlink()
    os.utime(others[0], ns=(2**62, 2**62))
    (found,) = [thing for thing in found_in(tmp_path) if isinstance(thing, LeftOut) and thing.path == "b.mrxs"]
    monkeypatch.setattr(os, "scandir", stale)
    seen = traces(tmp_path, found)
    assert seen is not None
    assert seen.newest == 2**62


def test_a_file_that_is_no_tiff_is_not_empty(tmp_path: Path, windows: None) -> None:
    (tmp_path / "a.ome.tif").write_text("no TIFF")
    (found,) = found_in(tmp_path)
    assert isinstance(found, LeftOut)
    assert found.why is Why.NOT_A_SLIDE
