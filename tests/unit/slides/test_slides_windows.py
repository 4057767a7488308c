"""What only Windows does: listings that lag behind, and paths that are too long."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.corpus import write_mirax, write_svs

from pmarep.cli.slides.advice import advice
from pmarep.errors import SourceError
from pmarep.slides import Cause, LeftOut, Slide, Why, find_slides
from pmarep.slides.folder import TOO_LONG, os_error_text
from pmarep.slides.stability import newest_mtime_ns, snapshot_incomplete
from pmarep.source import FileVersion
from pmarep.source.files import check_version, open_version

SCANDIR = os.scandir


class Stale:
    """An entry of a folder that knows nothing yet of what was written to the file."""

    def __init__(self, entry: os.DirEntry[str]) -> None:
        self._entry = entry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        found = list(self._entry.stat(follow_symlinks=follow_symlinks))
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
        assert newest_mtime_ns(slide) == max(s.st_mtime_ns for s in stats)


def test_an_incomplete_slide_is_left_out_too(tmp_path: Path, windows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mirax(tmp_path / "b.mrxs")
    missing, *others = sorted((tmp_path / "b").glob("*.dat"))
    missing.unlink()
    os.utime(others[0], ns=(2**62, 2**62))
    (found,) = [thing for thing in found_in(tmp_path) if isinstance(thing, LeftOut) and thing.path == "b.mrxs"]
    monkeypatch.setattr(os, "scandir", stale)
    seen = snapshot_incomplete(tmp_path, found)
    assert seen is not None
    assert seen.newest_mtime_ns == 2**62


def test_a_file_that_is_no_tiff_is_not_empty(tmp_path: Path, windows: None) -> None:
    (tmp_path / "a.ome.tif").write_text("no TIFF")
    (found,) = found_in(tmp_path)
    assert isinstance(found, LeftOut)
    assert found.why is Why.NOT_A_SLIDE


LONG = f"{'a' * 70}/{'b' * 70}/{'c' * 120}.svs"


@pytest.mark.skipif(sys.platform == "win32", reason="it may not let us make one")
def test_a_path_that_is_too_long_is_reported_to_be(tmp_path: Path, windows: None) -> None:
    (tmp_path / LONG).parent.mkdir(parents=True)
    write_svs(tmp_path / LONG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "stat", short_paths_only(os.stat))
        (found,) = found_in(tmp_path)
    assert found == LeftOut(LONG, Why.UNREADABLE, TOO_LONG, Cause.TOO_LONG)
    assert "enable long paths" in advice(found)
    gone = FileVersion(str(tmp_path / "d" / LONG), 1, 1)
    for look in (open_version, check_version):
        with pytest.raises(SourceError, match=f"^cannot read {re.escape(gone.path)}: {re.escape(TOO_LONG)}$"):
            look(gone)


def short_paths_only(stat: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
    def short(path: str, **options: Any) -> os.stat_result:
        if len(os.fspath(path)) >= 260:
            raise FileNotFoundError(2, "The system cannot find the path specified", path)
        return stat(path, **options)

    return short


@pytest.mark.parametrize(
    ("platform", "error"),
    [
        ("linux", FileNotFoundError(2, "no", "/" + "a" * 259)),
        ("win32", FileNotFoundError(2, "no", "/" + "a" * 258)),
        ("win32", PermissionError(13, "no", "/" + "a" * 259)),
        ("win32", FileNotFoundError(2, "no")),
    ],
)
def test_other_errors_are_what_the_system_says(platform: str, error: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert os_error_text(error) == "no"


def test_the_whole_path_counts(windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "a" * (260 - len(os.fspath(tmp_path)) - 1)
    assert os_error_text(FileNotFoundError(2, "no", name)) == TOO_LONG
    assert os_error_text(FileNotFoundError(2, "no", Path(name))) == TOO_LONG
    assert os_error_text(FileNotFoundError(2, "no", name[1:])) == "no"
