"""Which file of which site goes to which name in DIR, so that no two go to one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ..engine.discovery.disk_list import DiskListError

_CACHE_KIB = 16 * 1024


class Claims:
    """The names that are taken, in a private database without a name, which SQLite keeps on disk beyond its cache.

    Raises DiskListError. Used by one thread at a time.
    """

    def __init__(self) -> None:
        try:
            # An empty name is a temporary database of this connection, deleted with it (sqlite.org/inmemorydb.html).
            self._names = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            for line in (
                "PRAGMA journal_mode = OFF",
                f"PRAGMA cache_size = -{_CACHE_KIB}",
                "CREATE TABLE found (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "CREATE TABLE names (key TEXT PRIMARY KEY, file TEXT NOT NULL) WITHOUT ROWID",
                "BEGIN",
            ):
                self._names.execute(line)
        except sqlite3.Error as error:
            raise _cannot(error) from None

    def is_new(self, found: str) -> bool:
        """Return whether something is found for the first time: a walk that was broken off begins again."""
        try:
            return self._names.execute("INSERT OR IGNORE INTO found VALUES (?)", (found,)).rowcount == 1
        except sqlite3.Error as error:
            raise _cannot(error) from None

    def claim(self, files: Iterable[tuple[str, str]]) -> str | None:
        """Claim names, by their keys, for files of a site; return another file that has one of them, else None.

        Two slides may have a file in common.
        """
        files = list(files)
        try:
            for key, file in files:
                found = self._names.execute("SELECT file FROM names WHERE key = ?", (key,)).fetchone()
                if found is not None and found[0] != file:
                    return str(found[0])
            self._names.executemany("INSERT OR IGNORE INTO names VALUES (?, ?)", files)
        except sqlite3.Error as error:
            raise _cannot(error) from None
        return None

    def close(self) -> None:
        self._names.close()


def _cannot(error: sqlite3.Error) -> DiskListError:
    return DiskListError(f"cannot keep the names of files in the temporary folder: {error}; make room there")
