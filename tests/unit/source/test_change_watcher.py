"""Changes in a real folder."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import watchfiles

from pmarep.source import change_watcher
from pmarep.source.change_watcher import ChangeWatcher

PATIENCE = 60.0


@contextmanager
def watching(folder: Path, *ours: Path, also: Sequence[Path] = ()) -> Iterator[queue.SimpleQueue[str]]:
    """Watch a folder, and others; what is told comes out of the queue. Ready once the first change was told."""
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    folders = [folder, *also]
    watcher = ChangeWatcher(folders, 3600, ours, lambda: told.put("changed"), lambda why: told.put(f"failed: {why}"))
    with closing(watcher):
        wait_until_watched(folder, told)
        yield told


def wait_until_watched(folder: Path, told: queue.SimpleQueue[str]) -> None:
    """Change a folder until that is told."""
    while told.empty():
        (folder / "begin").touch()
        (folder / "begin").unlink()
        try:
            told.put(told.get(timeout=0.2))
        except queue.Empty:
            continue
    assert told.get() == "changed"


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_watcher, "PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(change_watcher, "_LOOKS_MS", 50)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new.svs").write_bytes(b"x"),
        lambda folder: (folder / "sub" / "deep" / "Präparat 1 & ラベル.svs").write_bytes(b"x"),
        lambda folder: (folder / "sub" / "old.svs").open("ab").write(b"x"),
        lambda folder: (folder / "sub" / "old.svs").rename(folder / "renamed.svs"),
        lambda folder: (folder / "sub" / "old.svs").unlink(),
        lambda folder: (folder.parent / "moved.svs").rename(folder / "moved.svs"),
    ],
    ids=["new", "deep", "grows", "renamed", "deleted", "moved into it"],
)
def test_changes_are_told(tmp_path: Path, change: Callable[[Path], Any]) -> None:
    folder = tmp_path / "course"
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "old.svs").touch()
    (tmp_path / "moved.svs").touch()
    with watching(folder, tmp_path / "state") as told:
        change(folder)
        assert told.get(timeout=PATIENCE) == "changed"


def test_a_folder_that_comes_later_is_watched_too(tmp_path: Path) -> None:
    with watching(tmp_path) as told:
        (tmp_path / "later").mkdir()
        assert told.get(timeout=PATIENCE) == "changed"
        (tmp_path / "later" / "new.svs").touch()
        assert told.get(timeout=PATIENCE) == "changed"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("state/journal.sqlite3", 0),
        ("state/runs/1.jsonl.gz", 0),
        (".report.html.0123456789abcdef", 0),
        ("report.html", 0),
        ("push.log", 0),
        ("push.log.1", 0),
        ("push.log.lock", 0),
        ("push.log.1.svs", 1),
        ("report.html.svs", 1),
        ("sub/report.html", 1),
        ("stateless.svs", 1),
        (".cache/prepared/runs/1-a/work/x.svs", 0),
        ("sub/@eaDir/x.svs/thumbnail.svs", 0),
        ("sub/.pmarepignore", 1),
        ("slide.zarr/.zattrs", 1),
        ("", 1),
        ("/elsewhere.svs", 1),
    ],
)
def test_files_that_pmarep_writes_are_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    monkeypatch.setattr(change_watcher, "PAUSE_SECONDS", 0.0)
    stop = watch_instead(monkeypatch, [{(1, str(tmp_path / name))}])
    told: list[str] = []
    ours = [tmp_path / name for name in ("state", "report.html", "push.log")]
    with closing(ChangeWatcher([tmp_path], 3600, ours, lambda: told.append("changed"), pytest.fail)):
        assert stop.wait(PATIENCE)
    assert len(told) == number


def test_a_file_that_is_written_all_the_time_is_told_of_once_it_rests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many times as it was written, it is one change."""
    now = 0.0
    told: list[float] = []
    stop = watch_instead(monkeypatch, [{(2, str(tmp_path / "slide.svs"))}] * 100 + [set()] * 10)

    def tick() -> float:
        nonlocal now
        now += 0.5
        return now

    monkeypatch.setattr(change_watcher, "PAUSE_SECONDS", 2.0)
    monkeypatch.setattr(change_watcher, "time", SimpleNamespace(monotonic=tick))
    with closing(ChangeWatcher([tmp_path], 30, [], lambda: told.append(now), pytest.fail)):
        assert stop.wait(PATIENCE)
    assert told == [30.5, 52.0]  # the longest time after the first, and the pause after the last


def watch_instead(monkeypatch: pytest.MonkeyPatch, looks: Sequence[set[tuple[int, str]]]) -> threading.Event:
    """Let watchfiles have seen this at one look after the other. Set once all were given."""
    given = threading.Event()

    def watch(*_: Path, stop_event: threading.Event, **__: Any) -> Iterator[set[tuple[int, str]]]:
        yield from looks
        given.set()
        stop_event.wait(PATIENCE)

    monkeypatch.setattr("watchfiles.watch", watch)
    return given


def calls_of_watchfiles(
    monkeypatch: pytest.MonkeyPatch,
) -> queue.SimpleQueue[tuple[tuple[Path, ...], dict[str, Any]]]:
    """Return the folders and the options that watchfiles will get."""
    calls: queue.SimpleQueue[tuple[tuple[Path, ...], dict[str, Any]]] = queue.SimpleQueue()
    real = watchfiles.watch

    def watch(*folders: Path, **how: Any) -> Any:
        calls.put((folders, how))
        return real(*folders, **how)

    monkeypatch.setattr("watchfiles.watch", watch)
    return calls


def test_a_folder_that_goes_and_comes_again_is_a_change_and_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drive that is unmounted, and mounted again; meanwhile the other folder is watched."""
    drive, other = tmp_path / "drive", tmp_path / "other"
    drive.mkdir()
    other.mkdir()
    calls = calls_of_watchfiles(monkeypatch)
    with watching(other, also=[drive]) as told:
        drive.rmdir()
        assert told.get(timeout=PATIENCE) == "changed"
        assert calls.get(timeout=PATIENCE)[0] == (other, drive)
        assert calls.get(timeout=PATIENCE)[0] == (other,)
        drive.mkdir()
        assert told.get(timeout=PATIENCE) == "changed"
        wait_until_watched(drive, told)
    assert calls.get()[0] == (other, drive)


def test_a_folder_that_comes_again_while_it_is_told_that_it_has_gone(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    told: queue.SimpleQueue[list[Path]] = queue.SimpleQueue()

    def change() -> None:
        told.put(list(tmp_path.iterdir()))
        drive.mkdir(exist_ok=True)

    with closing(ChangeWatcher([tmp_path, drive], 3600, [tmp_path], change, pytest.fail)):
        drive.rmdir()
        assert told.get(timeout=PATIENCE) == []
        assert told.get(timeout=PATIENCE) == [drive]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="Windows has no mode bits")
def test_a_folder_that_may_not_be_read_keeps_no_other_from_being_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as lost+found at the top of a disk. (Root may read it, and so has no need of this.)"""
    (tmp_path / "lost+found").mkdir(mode=0o000)
    calls = calls_of_watchfiles(monkeypatch)
    with watching(tmp_path):
        assert calls.get()[1]["ignore_permission_denied"]


def test_a_folder_that_cannot_be_watched_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def watch(*_: Path, **__: Any) -> None:
        raise RuntimeError('OS file watch limit reached. about ["/patient"]')

    monkeypatch.setattr("watchfiles.watch", watch)
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    with closing(ChangeWatcher([tmp_path], 60, [], lambda: told.put("changed"), told.put)):
        assert told.get(timeout=PATIENCE) == "OS file watch limit reached"
