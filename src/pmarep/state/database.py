"""The journal's file: its tables, how it is opened and worked with, and what becomes of a damaged one."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from filelock import ReadWriteLock, Timeout

from ..errors import UsageError
from ..system.private_folder import make_private_folder

VERSION = 4
"""Of the tables. To change them: change `_SCHEMA`, raise this, and add to `_STEPS` what changes an older file so."""
PUT_ASIDE_SECONDS = 30.0  # that another run may take to put a damaged file aside
IN_USE_SECONDS = 2.0  # that one may take which only looks
GROUP = 500
"""So many writes at most are committed together."""

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE slide (
    server TEXT NOT NULL,      -- base URL
    path TEXT NOT NULL,        -- virtual path of the main file
    state TEXT NOT NULL,       -- sending | broken (sent, but not there as it should be) | sent
                               -- | unreadable (sent, all its bytes are there, and the server cannot open it)
                               -- | seen (there, not from us) | differs (there, not from us, other bytes)
    signature TEXT NOT NULL,   -- of the files that are (being) sent
    upload_id TEXT,            -- the server's id of an unfinished upload
    replaces INTEGER NOT NULL, -- 1: another slide is at the site and may be overwritten
    upload TEXT,               -- JSON: what the server answered to the announcement
    changed REAL NOT NULL,     -- seconds since the epoch
    source TEXT,               -- what the files that are being sent are (inodes, ctimes), NULL where nobody has looked
    stamp TEXT,                -- what the site said of the files that `state` is about: engine/stamp.py
    PRIMARY KEY (server, path)
) WITHOUT ROWID;
CREATE INDEX slide_upload ON slide (server, upload_id) WHERE upload_id IS NOT NULL;
CREATE TABLE file (            -- files of slides that are being sent which the server has acknowledged
    server TEXT NOT NULL,
    path TEXT NOT NULL,
    file TEXT NOT NULL,
    PRIMARY KEY (server, path, file),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE part (            -- parts and blocks of files that are not whole yet
    server TEXT NOT NULL,
    path TEXT NOT NULL,
    file TEXT NOT NULL,
    number INTEGER NOT NULL,
    tag TEXT NOT NULL,         -- S3: the ETag
    PRIMARY KEY (server, path, file, number),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE looked (          -- when the files of slides at sites were last compared with ours, by names and sizes
    server TEXT NOT NULL,
    path TEXT NOT NULL,
    at REAL NOT NULL,          -- seconds since the epoch
    PRIMARY KEY (server, path),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    sources TEXT NOT NULL,     -- JSON list
    summary TEXT               -- JSON of the summary event, NULL while running or killed
);
"""

_STEPS = {
    1: "ALTER TABLE slide ADD COLUMN source TEXT",
    2: "ALTER TABLE slide ADD COLUMN stamp TEXT",
    3: """
CREATE TABLE looked (
    server TEXT NOT NULL,
    path TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (server, path),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID
""",
}
"""By version: SQL statements that make a journal of that version one of the next. The columns have to stand in the same
order as in `_SCHEMA`: INSERTs rely on it, and a file that has others counts as damaged."""


class DamagedDatabaseError(sqlite3.DatabaseError):
    """SQLite can read the file, but it does not hold what we have written."""


class OpenDatabase:
    """A connection, and where a damaged file was put aside (None where it was not). Raises UsageError.

    `mend`: put it aside instead of raising. What was known is not lost for good: the sites' listings tell which slides
    they have. Only the parts of unfinished uploads have to be sent again.

    Runs to different targets use one file at the same time, and each holds a shared lock as long as it does: a file is
    put aside, under a lock of its own, only while nobody writes to it.

    `read_only`: nothing on disk is created, changed or put aside. A file that is not there counts as an empty one, and
    one of an older version is brought up to date in memory.
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


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    writes: bool
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


_Outcome = tuple[_Job, Any, BaseException | None]


class DatabaseThread:
    """Runs work on one connection, one call after the other, in a thread of its own.

    Writes that wait at the same time are committed together; each caller hears of it after that commit.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._jobs: deque[_Job] = deque()
        self._called = False  # a call to _work_off is on its way to the thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def close(self) -> None:
        """After all that is waiting, also for callers that do not wait any more."""
        self._thread.shutdown(wait=True)

    async def read(self, work: Callable[[], T]) -> T:
        """Its result, in order with the writes that were called before and after."""
        return await self._do(work, writes=False)

    async def write(self, work: Callable[[], T]) -> T:
        """Its result, once it is committed. `work` begins and ends no transaction; it may be run again."""
        return await self._do(work, writes=True)

    async def _do(self, work: Callable[[], T], *, writes: bool) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append(_Job(work, writes, future, loop))
        if not self._called:
            self._called = True
            self._thread.submit(self._work_off)
        # Shielded: a row that describes what the server has acknowledged is written even if the run is being stopped.
        return await asyncio.shield(future)

    def _work_off(self) -> None:
        self._called = False  # before looking: what is appended from now on calls again
        while self._jobs:
            group = [self._jobs.popleft()]
            while group[0].writes and len(group) < GROUP and self._jobs and self._jobs[0].writes:
                group.append(self._jobs.popleft())
            _tell(self._run(group))

    def _run(self, group: Sequence[_Job]) -> list[_Outcome]:
        try:
            if not group[0].writes:
                return [(job, job.work(), None) for job in group]
            with self._transaction():
                results = [job.work() for job in group]
            return list(zip(group, results, [None] * len(group), strict=True))
        except Exception as error:
            if len(group) == 1 or isinstance(error, sqlite3.OperationalError):  # locked, full: so it is for all
                return [(job, None, error) for job in group]
        return [outcome for job in group for outcome in self._run([job])]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite ends it itself where the disk is full
                self._db.execute("ROLLBACK")
            raise


def _tell(outcomes: Sequence[_Outcome]) -> None:
    def settle(mine: list[_Outcome]) -> None:
        for job, result, error in mine:
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    for loop in {outcome[0].loop for outcome in outcomes}:
        with suppress(RuntimeError):  # it is closed: nobody waits
            loop.call_soon_threadsafe(settle, [outcome for outcome in outcomes if outcome[0].loop is loop])


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is broken: also SQLite's result codes "database corruption" and "not a database"."""
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
    """A file that says that a run has found damage in the middle; opening does not notice all of it."""
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
        if version < VERSION:
            with closing(connection):
                return _copy_in_memory(connection, file)
        _bring_up_to_date(connection, file)
    except BaseException:
        connection.close()
        raise
    return connection


def _copy_in_memory(original: sqlite3.Connection | None, file: Path) -> sqlite3.Connection:
    copy = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
    try:
        if original is not None:
            original.backup(copy)
        _bring_up_to_date(copy, file)
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
    _bring_up_to_date(connection, file)
    connection.execute("COMMIT")


def _bring_up_to_date(connection: sqlite3.Connection, file: Path) -> None:
    """Make the tables of a new file, and change those of an older pmarep. Part of a transaction, if on disk.

    Writes nothing where the version is the current one.

    Raises UsageError for those of a newer one, DamagedDatabaseError for others than we have ever written.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise UsageError(f"the journal {file} was written by a newer pmarep; update this one")
    if version == 0 and not _columns(connection):
        _execute_all(connection, _SCHEMA)
    elif version < 1:
        raise DamagedDatabaseError(f"it says that it has version {version}")
    else:
        for older in range(version, VERSION):
            try:
                _execute_all(connection, _STEPS[older])
            except sqlite3.OperationalError as error:  # no such table
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                raise DamagedDatabaseError(str(error)) from None
    if version != VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")
    found = _columns(connection)
    for table, columns in _wanted_columns().items():
        if table not in found:
            raise DamagedDatabaseError(f"no such table: {table}")
        if found[table] != columns:
            raise DamagedDatabaseError(f"the table {table} has other columns")


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):  # executescript() would end the transaction
        connection.execute(statement)


def _columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Of each table, in order."""
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(
        "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns "
        "WHERE tables.type = 'table' ORDER BY tables.name, columns.cid"
    ):
        found.setdefault(table, []).append(column)
    return found


def _wanted_columns() -> dict[str, list[str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        _execute_all(connection, _SCHEMA)
        return _columns(connection)


def _put_aside(file: Path) -> Path:
    """Rename it with its companions (-wal, -shm). Raises OSError."""
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
