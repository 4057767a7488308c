"""What is young, and what stands still."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_vsi

from pmarep.slides import LeftOut, Slide, Why, find_slides
from pmarep.slides.stability import (
    StabilityPolicy,
    expected_main_path,
    is_unchanged,
    newest_mtime_ns,
    snapshot_incomplete,
)

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("settle", "recent", "watch"), [(None, 60, 10), (3.0, 60, 3), (60.0, 60, 60), (300.0, 300, 300)]
)
def test_the_values_of_settle(settle: float | None, recent: float, watch: float) -> None:
    policy = StabilityPolicy.from_option(settle)
    assert policy is not None
    assert (policy.recent_seconds, policy.watch_seconds) == (recent, watch)


def test_nought_is_never_to_wait() -> None:
    assert StabilityPolicy.from_option(0) is None


@pytest.mark.parametrize(("age", "recent"), [(61, False), (60, False), (59, True), (0, True), (-1, True), (-9e6, True)])
def test_recent_is_less_than_a_minute_and_whatever_comes_from_the_future(age: float, recent: bool) -> None:
    assert StabilityPolicy().is_recent(int((NOW - age) * 1e9), NOW) is recent


def only(folder: Path) -> Slide | LeftOut:
    (found,) = (thing for thing in find_slides(folder) if isinstance(thing, Slide) or thing.why is not Why.NOT_A_SLIDE)
    return found


def slide(folder: Path) -> Slide:
    found = only(folder)
    assert isinstance(found, Slide)
    return found


def left_out(folder: Path) -> LeftOut:
    found = only(folder)
    assert isinstance(found, LeftOut)
    return found


def test_the_newest_file_counts(tmp_path: Path) -> None:
    write_mirax(tmp_path / "m.mrxs")
    for path in tmp_path.rglob("*"):
        os.utime(path, (100, 100))
    os.utime(tmp_path / "m" / "Data0001.dat", ns=(5, 200_000_000_005))
    assert newest_mtime_ns(slide(tmp_path)) == 200_000_000_005


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def touch(path: Path) -> None:
    before = path.stat()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 100))


def rewrite(path: Path) -> None:
    """Other content of the same size, and the old time put back but for its smallest part."""
    before = path.stat()
    path.write_bytes(os.urandom(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 100))


@pytest.mark.parametrize("change", [grow, touch, rewrite, Path.unlink])
@pytest.mark.parametrize("name", ["m.mrxs", "m/Data0002.dat", "m/Slidedat.ini"])
def test_a_slide_of_which_a_file_changes_does_not_stand_still(
    tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    write_mirax(tmp_path / "m.mrxs")
    found = slide(tmp_path)
    assert is_unchanged(found)
    change(tmp_path / name)
    assert not is_unchanged(found)


@pytest.mark.parametrize("change", [grow, touch, Path.unlink])
@pytest.mark.parametrize("name", ["m.mrxs", "m/Data0002.dat"])
def test_an_incomplete_slide_leaves_traces(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    """Its index comes last, so nobody can know its files."""
    write_mirax(tmp_path / "m.mrxs")
    (tmp_path / "m" / "Slidedat.ini").unlink()
    found = left_out(tmp_path)
    before = snapshot_incomplete(tmp_path, found)
    assert before == snapshot_incomplete(tmp_path, found)
    assert before is not None
    assert before.newest_mtime_ns >= (tmp_path / "m" / "Data0002.dat").stat().st_mtime_ns
    change(tmp_path / name)
    assert snapshot_incomplete(tmp_path, found) != before


def test_traces_reach_below_a_companion_folder(tmp_path: Path) -> None:
    write_vsi(tmp_path / "v.vsi")
    found = LeftOut("v.vsi", Why.INCOMPLETE, "whatever")
    before = snapshot_incomplete(tmp_path, found)
    grow(tmp_path / "_v_" / "stack10001" / "frame_t.ets")
    assert snapshot_incomplete(tmp_path, found) != before


@pytest.mark.parametrize("why", [Why.BAD_NAME, Why.EXCLUDED, Why.NOT_A_SLIDE, Why.UNFINISHED])
def test_no_snapshot_of_what_cannot_become_a_slide(tmp_path: Path, why: Why) -> None:
    tree(tmp_path, "a.svs")
    assert snapshot_incomplete(tmp_path, LeftOut("a.svs", why, "")) is None


@pytest.mark.parametrize("path", [".", "gone.mrxs", "a/b/c.vsi", r"a\x00.svs", "\0", "x" * 5000])
def test_a_snapshot_of_nothing(tmp_path: Path, path: str) -> None:
    snapshot_incomplete(tmp_path, LeftOut(path, Why.UNREADABLE, ""))
    snapshot_incomplete(Path(), LeftOut(path, Why.UNREADABLE, ""))


@pytest.mark.parametrize(("source", "path"), [("", "m"), ("deep/down", "deep/down/m")])
def test_a_companion_folder_waits_for_its_main_file(tmp_path: Path, source: str, path: str) -> None:
    main = tmp_path / source / "m.mrxs"
    main.parent.mkdir(parents=True, exist_ok=True)
    write_mirax(main)
    picture = main.read_bytes()
    main.unlink()
    found = left_out(tmp_path)
    assert found.path == path
    assert expected_main_path(tmp_path, found) == path
    main.write_bytes(picture)
    assert expected_main_path(tmp_path, found) == path + ".mrxs"
