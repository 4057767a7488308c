"""The journal's file: how it is opened, to write or only to read, and how a damaged one is put aside."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from filelock import ReadWriteLock, Timeout

from ..errors import UsageError
from ..system.private_folder import make_private_folder
from . import schema
from .schema import DamagedDatabaseError, migrate

PUT_ASIDE_SECONDS = 30.0  # to wait for another run that puts a damaged file aside
IN_USE_SECONDS = 2.0  # to wait for one that only reads


class JournalDatabase:
    """An open SQLite connection, and where a damaged file was put aside (None where it was not). Raises UsageError.

    `mend`: put it aside instead of raising. What was known is not lost for good: the sites' listings tell which slides
    they have. Only the parts of unfinished uploads have to be sent again.

    Runs to different targets use one file at the same time, and each holds a shared lock as long as it does: a file is
    put aside, under a lock of its own, only while nobody writes to it.

    `read_only`: the file is not created, changed or put aside, though a lock file is made beside one that exists. Where
    there is no file, it counts as an empty one; one of an older version is brought up to date in memory.
    """

    def __init__(self, file: Path, *, mend: bool, read_only: bool = False) -> None:
        self.put_aside: Path | None = None
        self._lock: ReadWriteLock | None = None
        try:
            if read_only and not file.exists():
                self.connection = _copy_in_memory(None, file)
                return
            make_private_folder(file.parent)
            self._lock = ReadWriteLock(file.with_suffix(".lock"), is_singleton=False)
            try:
                self.connection = self._open(self._lock, file, mend=mend, read_only=read_only)
            except BaseException:
                self._lock.close()
                raise
        except Timeout:
            raise UsageError(f"the journal {file} is being put aside by another run; start again") from None
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"cannot use the journal {file} ({error}); name another folder with --state-dir") from None

    def close(self) -> None:
        self.connection.close()
        if self._lock is not None:
            self._lock.close()

    def _open(self, lock: ReadWriteLock, file: Path, *, mend: bool, read_only: bool) -> sqlite3.Connection:
        lock.acquire_read(timeout=PUT_ASIDE_SECONDS)
        found = "a run has found it out"
        if not mend or not damage_mark(file).exists():
            try:
                return _connect_to_read(file) if read_only else _connect(file)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                found = str(error)
            if not mend:
                raise UsageError(f"the journal {file} is damaged ({found}); the next push puts it aside")
        lock.release()
        try:
            lock.acquire_write(timeout=IN_USE_SECONDS)
        except Timeout:
            raise UsageError(
                f"the journal {file} is damaged ({found}), and another run uses it; start again when that has ended"
            ) from None
        if _is_damaged(file):  # not put aside by somebody else meanwhile
            self.put_aside = _put_aside(file)
        lock.release()
        lock.acquire_read(timeout=PUT_ASIDE_SECONDS)
        return _connect(file)


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means a damaged file, as SQLite's codes "database corruption" and "not a database" do."""
    if isinstance(error, DamagedDatabaseError):
        return True
    if isinstance(error, sqlite3.OperationalError) and not hasattr(error, "sqlite_errorcode"):
        return True  # not SQLite says so but Python, of a text that is none
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the lower byte of extended codes
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_damaged(file: Path) -> bool:
    if damage_mark(file).exists():
        return True
    try:
        _connect(file).close()
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return True
    return False


def damage_mark(file: Path) -> Path:
    """Return the path of the file that marks a journal as damaged: opening it does not notice all damage."""
    return file.with_name(file.name + ".damaged")


def _connect(file: Path) -> sqlite3.Connection:
    # Made by us before SQLite does, so that it is never readable by others, not even for a moment.
    os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(file, check_same_thread=False, timeout=30, isolation_level=None)
    try:
        _prepare(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect_to_read(file: Path) -> sqlite3.Connection:
    """Open a file that exists, or a copy in memory where it is an older one. Both refuse to be written to."""
    connection = sqlite3.connect(file, check_same_thread=False, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA query_only = ON")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < schema.VERSION:
            with closing(connection):
                return _copy_in_memory(connection, file)
        migrate(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _copy_in_memory(original: sqlite3.Connection | None, file: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    try:
        if original is not None:
            original.backup(copy)
        migrate(copy, file)
        copy.execute("PRAGMA query_only = ON")
    except BaseException:
        copy.close()
        raise
    return copy


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # presigned URLs are secrets
    connection.execute("BEGIN IMMEDIATE")
    migrate(connection, file)
    connection.execute("COMMIT")


def _put_aside(file: Path) -> Path:
    """Rename a damaged file with SQLite's files beside it (-wal, -shm); return its new path. Raises OSError."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = file.with_name(f"{file.stem}-damaged-{stamp}{file.suffix}")
    number = 1
    while aside.exists():
        number += 1
        aside = file.with_name(f"{file.stem}-damaged-{stamp}-{number}{file.suffix}")
    file.rename(aside)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(file.name + suffix).rename(aside.with_name(aside.name + suffix))
    with suppress(FileNotFoundError):
        damage_mark(file).unlink()
    return aside
