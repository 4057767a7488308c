"""`KnownResults`: which files a command has made of which slide, also after the files themselves are gone.

What a site has can be compared with it, so that a run in which nothing is to be sent prepares nothing. It may be lost
at any time: the commands are run again then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import UsageError
from ...slides.model import Slide, SlideFile
from ...state.database import is_damage
from ...state.records import signature

_MOST = 2_000_000
"""Results that are remembered, in about 500 bytes each; the oldest go first."""

_TABLE = (
    "CREATE TABLE IF NOT EXISTS result (number INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, content TEXT NOT NULL)"
)


class Result(NamedTuple):
    """What a command has made. `name`: the folder of the result in the cache; `path`: the main file in it."""

    name: str
    path: str
    format: str
    files: tuple[SlideFile, ...]


def result_key(slide: Slide, command: str) -> str:
    """Return a key that changes with the command, with the files of a slide, and with the folder that they are in."""
    said = json.dumps([slide.folder_name, slide.main.path, signature(slide), command])
    return hashlib.sha256(said.encode()).hexdigest()


class KnownResults:
    """A small database. Used in threads. `read_only`: nothing is written, nor made where nothing is.

    Raises UsageError when it cannot be opened. A damaged one is thrown away.
    """

    def __init__(self, file: Path, *, read_only: bool = False) -> None:
        self._file = file
        self._read_only = read_only
        self._lock = threading.Lock()
        try:
            self._db = self._open()
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"cannot use {file} ({error}); name another folder as cache in [gate]") from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def find(self, keys: Sequence[str]) -> dict[str, Result]:
        """Return what is known of these keys. Where it cannot be read, nothing is known."""
        found: dict[str, Result] = {}
        with self._lock, contextlib.suppress(sqlite3.Error, ValueError, TypeError):
            for start in range(0, len(keys), 500):
                some = keys[start : start + 500]
                marks = ", ".join("?" * len(some))
                rows = self._db.execute(f"SELECT key, content FROM result WHERE key IN ({marks})", some)  # noqa: S608
                found |= {key: _unpack(content) for key, content in rows}
        return found

    def put(self, key: str, result: Result) -> None:
        """Remember a result. Where that fails, the command is run again some day."""
        if self._read_only:
            return
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._db.execute("INSERT OR REPLACE INTO result (key, content) VALUES (?, ?)", (key, _pack(result)))
            (last,) = self._db.execute("SELECT max(number) FROM result").fetchone()
            self._db.execute("DELETE FROM result WHERE number <= ?", (last - _MOST,))

    def _open(self) -> sqlite3.Connection:
        if self._read_only:
            return self._connect_to_read()
        try:
            return self._connect()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
        for suffix in ("", "-wal", "-shm"):
            self._file.with_name(self._file.name + suffix).unlink(missing_ok=True)
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        # Made by us before SQLite does, so that it is never readable by others.
        os.close(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(self._file, check_same_thread=False, timeout=30, isolation_level=None)
        try:
            for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", _TABLE):
                db.execute(line)
            db.execute("SELECT count(*) FROM (SELECT 1 FROM result LIMIT 1)")
        except BaseException:
            db.close()
            raise
        return db

    def _connect_to_read(self) -> sqlite3.Connection:
        there = self._file.exists()
        db = sqlite3.connect(self._file if there else ":memory:", check_same_thread=False, timeout=30)
        with contextlib.suppress(sqlite3.Error):  # then nothing is known
            db.execute("PRAGMA query_only = ON" if there else _TABLE)
        return db


def _pack(result: Result) -> str:
    files = [(file.path, file.size, file.mtime_ns, file.local_name) for file in result.files]
    return json.dumps([result.name, result.path, result.format, files])


def _unpack(content: str) -> Result:
    name, path, kind, files = json.loads(content)
    return Result(name, path, kind, tuple(SlideFile(*file) for file in files))
