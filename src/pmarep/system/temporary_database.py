"""A private database without a name, which SQLite keeps on disk beyond its cache and deletes in the end."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import TemporaryFileError

_CACHE_KIB = 16 * 1024


class TemporaryDatabase:
    """Base class of tables that may be larger than memory. `_lock` is held while it is used: threads share it.

    `what` it holds is said in errors. Raises TemporaryFileError.
    """

    def __init__(self, tables: Sequence[str], what: str = "list of slides") -> None:
        self._lock = threading.Lock()
        self._what = what
        try:
            # An empty name is a temporary database of this connection, deleted with it (sqlite.org/inmemorydb.html).
            self._db = sqlite3.connect("", check_same_thread=False, isolation_level=None)
            for line in ("PRAGMA journal_mode = OFF", f"PRAGMA cache_size = -{_CACHE_KIB}", *tables, "BEGIN"):
                self._db.execute(line)
        except sqlite3.Error as error:
            raise self._cannot(error) from None

    def close(self) -> None:
        """Give the space back."""
        with self._lock:
            self._db.close()

    def _execute(self, line: str, values: Sequence[Any]) -> sqlite3.Cursor:
        try:
            return self._db.execute(line, values)
        except sqlite3.Error as error:
            raise self._cannot(error) from None

    def _many(self, line: str, rows: Iterable[Sequence[Any]]) -> None:
        try:
            self._db.executemany(line, rows)
        except sqlite3.Error as error:
            raise self._cannot(error) from None

    def _cannot(self, error: sqlite3.Error) -> TemporaryFileError:
        return TemporaryFileError(f"cannot keep the {self._what} in the temporary folder: {error}; make room there")


def to_bytes(text: str) -> bytes:
    """Encode a name, also half a character of UTF-16, with which a server may answer."""
    return text.encode("utf-8", "surrogatepass")


def to_text(content: bytes) -> str:
    """Decode what `to_bytes` has made."""
    return content.decode("utf-8", "surrogatepass")
