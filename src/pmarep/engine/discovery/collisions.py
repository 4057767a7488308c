"""Find files of one name in several sources, which would overwrite each other below the targets."""

from __future__ import annotations

import sqlite3

from ...slides import Slide
from ...system.windows_names import collision_key
from .disk_list import DiskListError

_CACHE_KIB = 16 * 1024


class NameCollisions:
    """The source of each file name, in a private database without a name, which SQLite keeps on disk beyond its cache.

    Raises DiskListError. Used by one thread at a time.
    """

    def __init__(self) -> None:
        try:
            # An empty name is a temporary database of this connection, deleted with it (sqlite.org/inmemorydb.html).
            self._names = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            for line in (
                "PRAGMA journal_mode = OFF",
                f"PRAGMA cache_size = -{_CACHE_KIB}",
                "CREATE TABLE names (key TEXT PRIMARY KEY, source INTEGER NOT NULL) WITHOUT ROWID",
                "BEGIN",
            ):
                self._names.execute(line)
        except sqlite3.Error as error:
            raise _cannot(error) from None

    def claim(self, source: int, slide: Slide) -> int | None:
        """Claim the names of a slide's files; return the number of another source that has one of them, else None."""
        above, slash, _ = slide.path.rpartition("/")
        keys = [collision_key(above + slash + file.path) for file in slide.files]
        try:
            for key in keys:
                found = self._names.execute("SELECT source FROM names WHERE key = ?", (key,)).fetchone()
                if found is not None and found[0] != source:
                    return int(found[0])
            self._names.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", [(key, source) for key in keys])
        except sqlite3.Error as error:
            raise _cannot(error) from None
        return None

    def close(self) -> None:
        self._names.close()


def _cannot(error: sqlite3.Error) -> DiskListError:
    return DiskListError(f"cannot keep the names of files in the temporary folder: {error}; make room there")
