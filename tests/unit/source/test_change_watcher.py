"""Changes in a real folder."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pmarep.source import change_watcher
from pmarep.source.change_watcher import ChangeWatcher

PATIENCE = 60.0


@contextmanager
def watching(folder: Path, *ours: Path) -> Iterator[queue.SimpleQueue[str]]:
    """Watch a folder; what is told comes out of the queue. Ready once the first change was told."""
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    watcher = ChangeWatcher([folder], 3600, ours, lambda: told.put("changed"), lambda why: told.put(f"failed: {why}"))
    with closing(watcher):
        while told.empty():  # until the system watches
            (folder / "begin").touch()
            (folder / "begin").unlink()
            try:
                told.put(told.get(timeout=0.2))
            except queue.Empty:
                continue
        assert told.get() == "changed"
        yield told


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
        lambda folder: (folder / "report.html.svs").write_bytes(b"x"),
    ],
    ids=["new", "deep", "grows", "renamed", "deleted", "moved into it", "name that begins as ours"],
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


def test_files_that_pmarep_writes_are_no_change(tmp_path: Path) -> None:
    state, report, log = tmp_path / "state", tmp_path / "report.html", tmp_path / "push.log"
    (state / "runs").mkdir(parents=True)
    with watching(tmp_path, state, report, log) as told:
        (state / "journal.sqlite3").write_bytes(b"x")
        (state / "runs" / "1.jsonl.gz").write_bytes(b"x")
        beside = tmp_path / ".report.html.0123456789abcdef"
        beside.write_bytes(b"x")
        beside.rename(report)
        log.write_bytes(b"x")
        log.rename(tmp_path / "push.log.1")
        (tmp_path / "slide.svs").touch()  # told of, and nothing before it
        assert told.get(timeout=PATIENCE) == "changed"
        assert told.empty()


def test_a_folder_that_cannot_be_watched_is_said(tmp_path: Path) -> None:
    told: queue.SimpleQueue[str] = queue.SimpleQueue()
    watcher = ChangeWatcher([tmp_path / "gone"], 60, [], lambda: told.put("changed"), told.put)
    with closing(watcher):
        why = told.get(timeout=PATIENCE)
    assert why
    assert why != "changed"
