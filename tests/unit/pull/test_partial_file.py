"""Files that are not whole yet: what is believed of them, and that nobody takes them for slides."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from support.corpus import write_cws, write_mirax
from support.discovery import discover

from pmarep.pmacore import RemoteFile
from pmarep.pull import partial_file
from pmarep.pull.file_download import FileDownload, PullCounts
from pmarep.pull.partial_file import PartialFile, modified_ms, place_key, remove_partial_files
from pmarep.pull.plan import FileToPull
from pmarep.pull.slide_download import _commit

PLACE = place_key("https://tokyo.example/", "Slides/in")
SYNC = 100


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial_file, "SYNC_EVERY", SYNC)


def part(folder: Path, *, size: int = 1000, modified: str | None = "1700000000000", name: str = "x.svs") -> PartialFile:
    found = PartialFile(PLACE, RemoteFile(path=f"Slides/in/{name}", size=size, lastmodified=modified), folder / name)
    found.open()
    return found


def begin(folder: Path, count: int, **file: str | None) -> PartialFile:
    one = part(folder, **file)  # type: ignore[arg-type]
    for start in range(0, count, 10):
        write(one, start, min(10, count - start))
    return one


def kill(one: PartialFile) -> None:
    """Leave it as a process does that is killed."""
    assert one._stream is not None
    os.close(one._stream)


def write(one: PartialFile, start: int, count: int) -> None:
    one.write(start, b"x" * count, one.generation)


@pytest.mark.parametrize(("written", "believed"), [(0, 0), (99, 0), (100, 100), (199, 100), (999, 900), (1000, 1000)])
def test_after_a_kill_the_next_run_believes_what_was_synced(tmp_path: Path, written: int, believed: int) -> None:
    kill(begin(tmp_path, written))
    again = part(tmp_path)
    assert again.size == believed
    assert again.missing() == ([(believed, 1000)] if believed < 1000 else [])


@pytest.mark.parametrize("written", [0, 99, 199, 1000])
def test_after_an_orderly_end_the_next_run_believes_all(tmp_path: Path, written: int) -> None:
    begin(tmp_path, written).close()
    assert part(tmp_path).size == written


def test_what_cannot_be_forced_to_the_disk_in_the_end_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begin(tmp_path, 150)

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("pmarep.pull.partial_file.os.fsync", fail)
        one.close()
    assert part(tmp_path).size == 100


def test_ranges_in_any_order_are_believed_once_synced(tmp_path: Path) -> None:
    one = part(tmp_path)
    write(one, 500, 60)
    write(one, 900, 40)
    write(one, 0, 30)
    assert (one.size, one.missing()) == (130, [(30, 500), (560, 900), (940, 1000)])
    kill(one)
    again = part(tmp_path)
    assert again.missing() == [(0, 500), (560, 900), (940, 1000)]
    assert again.left_behind() == 100
    write(again, 0, 500)
    write(again, 560, 340)
    write(again, 940, 60)
    again.finish()
    again.commit()
    assert [path.name for path in tmp_path.iterdir()] == ["x.svs"]
    assert (tmp_path / "x.svs").read_bytes() == b"x" * 1000


def test_nothing_is_recorded_before_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = part(tmp_path)

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr("pmarep.pull.partial_file.os.fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            write(one, 0, 500)
    one.close()
    assert part(tmp_path).size == 0


def test_a_file_that_could_not_be_forced_to_the_disk_once_is_not_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is lost then is said once: the next call succeeds."""
    one = part(tmp_path)
    write(one, 0, 600)
    fsync = os.fsync
    failures = [OSError(5, "Input/output error")]

    def fail_once(stream: int) -> None:
        if failures:
            raise failures.pop()
        fsync(stream)

    monkeypatch.setattr("pmarep.pull.partial_file.os.fsync", fail_once)
    monkeypatch.setattr(partial_file, "SYNC_EVERY", 1000)
    write(one, 600, 400)
    with pytest.raises(OSError, match="Input/output"):
        one.finish()
    one.finish()  # by another that has brought a range
    assert (one.finished, one.missing()) == (False, [(600, 1000)])
    one.close()
    assert part(tmp_path).missing() == [(600, 1000)]


def test_after_a_restart_nothing_of_before_is_believed(tmp_path: Path) -> None:
    """Be it that the new bytes of another version reach as far."""
    one = part(tmp_path)
    write(one, 400, 200)
    stale = one.generation
    assert one.restart() == 200
    one.write(0, b"stale", stale)  # by a thread that was broken off
    assert one.size == 0
    write(one, 590, 10)
    kill(one)
    assert part(tmp_path).size == 0


def test_a_whole_file_that_is_thrown_away_is_not_whole(tmp_path: Path) -> None:
    """It is closed by then: what is on the disk goes when it is opened again."""
    one = part(tmp_path)
    write(one, 0, 1000)
    one.finish()
    assert one.restart() == 1000
    assert not one.finished
    one.open()
    assert (one.size, [path.stat().st_size for path in tmp_path.glob("*.part")]) == (0, [0])


def test_a_record_of_more_than_is_here_is_not_believed_then_or_later(tmp_path: Path) -> None:
    begin(tmp_path, 500).close()
    (file,) = tmp_path.glob("*.part")
    file.unlink()
    again = part(tmp_path)
    assert again.size == 0
    write(again, 990, 10)
    kill(again)
    assert part(tmp_path).size == 0


def test_what_somebody_has_cut_begins_again(tmp_path: Path) -> None:
    one = part(tmp_path)
    write(one, 0, 300)
    one.close()
    (file,) = tmp_path.glob("*.part")
    file.write_bytes(b"x" * 200)
    one.open()
    assert one.size == 0


def test_a_finished_partial_file_is_taken_over_whole(tmp_path: Path) -> None:
    one = part(tmp_path)
    write(one, 0, 1000)
    one.finish()
    again = part(tmp_path)
    assert again.size == 1000
    again.finish()
    again.commit()
    assert (tmp_path / "x.svs").stat().st_mtime == 1_700_000_000


def test_files_that_have_their_names_keep_them_when_others_get_theirs_later(tmp_path: Path) -> None:
    """A folder that lies where the main file goes breaks it off; it goes on when that is gone."""
    names = ["a.dat", "b.dat", "x.mrxs"]
    files = [part(tmp_path, size=2, name=name) for name in names]
    for one in files:
        write(one, 0, 2)
        one.finish()
    commit = partial(_commit, [FileDownload("", cast(FileToPull, None), one, PullCounts(), True) for one in files])
    (tmp_path / "x.mrxs").mkdir()
    with pytest.raises(OSError):
        commit()
    assert sorted(one.name for one in tmp_path.glob("[!.]*")) == names
    (tmp_path / "x.mrxs").rmdir()
    commit()
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == dict.fromkeys(names, b"xx")


@pytest.mark.parametrize(
    "other", [{"size": 1001}, {"modified": "1700000000001"}, {"modified": None}, {"name": "y.svs"}]
)
def test_of_another_file_nothing_is_believed(tmp_path: Path, other: dict[str, str]) -> None:
    begin(tmp_path, 500).close()
    assert part(tmp_path, **other).size == 0  # type: ignore[arg-type]


def test_without_a_time_only_the_same_run_goes_on(tmp_path: Path) -> None:
    one = part(tmp_path, modified=None)
    write(one, 0, 555)
    one.close()
    one.open()
    assert one.size == 555
    one.close()
    assert part(tmp_path, modified=None).size == 0


def test_a_closed_partial_file_takes_no_more_bytes(tmp_path: Path) -> None:
    """A thread may still be about to write when its download is broken off: the number of the file may be another's."""
    one = part(tmp_path)
    one.close()
    write(one, 0, 1)
    assert one.size == 0


def test_partial_files_are_no_slides_and_no_parts_of_slides(tmp_path: Path) -> None:
    write_mirax(tmp_path / "m.mrxs")
    write_cws(tmp_path / "cws")
    before = discover(tmp_path).slides
    for folder in (tmp_path, tmp_path / "m", tmp_path / "cws"):
        begin(folder, 500)
        (folder / ".pmarep-pull.lock").touch()
    found = discover(tmp_path)
    assert found.slides == before
    assert {why.is_problem for why in found.left.values()} == {False}


def test_only_those_of_a_place_are_removed_and_folders_that_are_empty_then(tmp_path: Path) -> None:
    for folder in ("a/b", "c"):
        (tmp_path / folder).mkdir(parents=True)
        begin(tmp_path / folder, 105)
    (tmp_path / "c" / ".pmarep-mine.part").touch()
    (tmp_path / ".pmarep-try-0-x").touch()
    remove_partial_files(tmp_path, {"0" * 12})
    assert len(list(tmp_path.rglob("*.part"))) == 3
    remove_partial_files(tmp_path, {PLACE})
    assert [path.name for path in tmp_path.rglob("*")] == ["c", ".pmarep-mine.part"]


@pytest.mark.parametrize(
    ("said", "ms"),
    [
        ("/Date(1700000000000+0100)/", 1_700_000_000_000),
        ("1700000000000", 1_700_000_000_000),
        ("2026-11-28T10:00:00", None),
        ("/Date(0)/", None),
        ("/Date(-62135596800000)/", None),
        ("99999999999999999999", None),
        (None, None),
    ],
)
def test_times_as_servers_say_them(said: str | None, ms: int | None) -> None:
    assert modified_ms(RemoteFile(path="x", size=1, lastmodified=said)) == ms
