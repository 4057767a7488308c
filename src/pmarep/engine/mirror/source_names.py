"""The names of all that the sources of a run have, in a temporary file: what a mirror must leave at the sites."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import accumulate

from ...slides import Slide
from ...system.windows_names import collision_key
from ...text import printable
from ..discovery.disk_list import DiskListError

_CACHE_KIB = 16 * 1024


class Had(Enum):
    """How the source has a name. `LEFT_OUT`: not sent, so that nobody knows which files belong to it."""

    NOT = "not"
    SENT = "sent"
    LEFT_OUT = "left out"


class SourceNames:
    """Names of files that are sent, and of files and folders that are left out, by paths from their sources.

    Two names that any server may take for one are one (`collision_key`): where that is in doubt, a slide stays. Filled
    in the thread that looks through the sources. Raises DiskListError.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        try:
            # An empty name is a temporary database of this connection, deleted with it (sqlite.org/inmemorydb.html).
            self._names = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            for line in (
                "PRAGMA journal_mode = OFF",
                f"PRAGMA cache_size = -{_CACHE_KIB}",
                "CREATE TABLE sent (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "CREATE TABLE left_out (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "BEGIN",
            ):
                self._names.execute(line)
        except sqlite3.Error as error:
            raise _cannot(error) from None

    def add_slides(self, slides: Sequence[Slide]) -> None:
        """Add all files of slides that are sent."""
        self._insert("sent", (key for slide in slides for key in _keys_of(slide)))

    def add_left_out(self, paths: Sequence[str]) -> None:
        """Add files and folders that are not sent, with all that is in them; their names as LeftOut has them."""
        self._insert("left_out", (collision_key(path.strip("/")) for path in paths))

    def has(self, path: str) -> Had:
        """Return how the source has a file, by its path from the folder that is mirrored."""
        keys = {collision_key(path), collision_key(printable(path))}
        with self._lock:
            if any(self._is_in("sent", key) for key in keys):
                return Had.SENT
            levels = (level for key in keys for level in accumulate(key.split("/"), "{}/{}".format))
            return Had.LEFT_OUT if any(self._is_in("left_out", level) for level in levels) else Had.NOT

    def close(self) -> None:
        """Delete the names."""
        with self._lock:
            self._names.close()

    def _is_in(self, table: str, key: str) -> bool:
        try:
            return self._names.execute(f"SELECT 1 FROM {table} WHERE key = ?", (key,)).fetchone() is not None  # noqa: S608
        except sqlite3.Error as error:
            raise _cannot(error) from None

    def _insert(self, table: str, keys: Iterable[str]) -> None:
        with self._lock:
            try:
                self._names.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((key,) for key in keys))  # noqa: S608
            except sqlite3.Error as error:
                raise _cannot(error) from None


def _keys_of(slide: Slide) -> Iterator[str]:
    above, slash, _ = slide.path.rpartition("/")
    return (collision_key(above + slash + file.path) for file in slide.files)


def _cannot(error: sqlite3.Error) -> DiskListError:
    return DiskListError(f"cannot keep the names of the source in the temporary folder: {error}; make room there")
