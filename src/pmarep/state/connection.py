"""The journal's open database: reads and writes in its thread, with errors that say what to do."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from .database import JournalDatabase, damage_mark, is_damage
from .database_thread import DatabaseThread
from .records import JournalError

T = TypeVar("T")


class JournalConnection:
    """Owns the journal's SQLite connection and its thread. Raises UsageError when the file cannot be opened."""

    def __init__(self, file: Path, *, mend: bool = False, read_only: bool = False) -> None:
        self.file = file
        self._open = JournalDatabase(self.file, mend=mend, read_only=read_only)
        self.put_aside = self._open.put_aside
        self._db = self._open.connection
        self._thread = DatabaseThread(self._db)

    def close(self) -> None:
        """Wait for all writes, and close the file."""
        self._thread.close()
        self._open.close()

    async def _read(self, work: Callable[[], T]) -> T:
        with self._translated_errors():
            return await self._thread.read(work)

    async def _write(self, work: Callable[[], T]) -> T:
        with self._translated_errors():
            return await self._thread.write(work)

    @contextlib.contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if is_damage(error):
                self._mark_damaged()
                raise JournalError(
                    f"the journal {self.file} is damaged ({error}); the next run puts it aside and looks at the sites"
                ) from None
            raise JournalError(f"cannot use the journal {self.file} ({error}); {_advice(error)}") from None

    def _mark_damaged(self) -> None:
        with contextlib.suppress(OSError):
            damage_mark(self.file).touch()


def _advice(error: sqlite3.Error) -> str:
    """Return what to do about an error of SQLite that is no damage."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "is its disk full?"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program holds it"
    return "start again: the next run looks whether it is damaged"
