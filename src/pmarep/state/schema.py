"""The journal's tables, their version, and the steps that migrate a file of an older pmarep."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ..errors import UsageError

VERSION = 5
"""The version of the tables, SQLite's `user_version`.

To change them: change `SCHEMA`, raise this, add the step to `MIGRATIONS`, and keep a file of the version before with
the tests.
"""

SCHEMA = """
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
    sizes TEXT,                -- JSON: bytes of each file of an unfinished upload, NULL from an older pmarep
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

MIGRATIONS = {
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
    4: "ALTER TABLE slide ADD COLUMN sizes TEXT",
}
"""SQL statements by version: they turn a journal of that version into one of the next.

The columns have to stand in the same order as in `SCHEMA`: INSERTs rely on it, and a file that has others counts as
damaged.
"""


class DamagedDatabaseError(sqlite3.DatabaseError):
    """A file that SQLite can read, with tables or values in it that pmarep has never written."""


def migrate(connection: sqlite3.Connection, file: Path) -> None:
    """Create the tables of a new file, or migrate those of an older pmarep. Part of a transaction, if on disk.

    Writes nothing where the version is the current one. Raises UsageError for a file of a newer pmarep,
    DamagedDatabaseError for tables that no pmarep has written.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise UsageError(f"the journal {file} was written by a newer pmarep; update this one")
    if version == 0 and not _columns(connection):
        _execute_all(connection, SCHEMA)
    elif version < 1:
        raise DamagedDatabaseError(f"it says that it has version {version}")
    else:
        for older in range(version, VERSION):
            try:
                _execute_all(connection, MIGRATIONS[older])
            except sqlite3.OperationalError as error:  # no such table
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                raise DamagedDatabaseError(str(error)) from None
    if version != VERSION:
        connection.execute(f"PRAGMA user_version = {VERSION}")
    found = _columns(connection)
    for table, columns in _expected_columns().items():
        if table not in found:
            raise DamagedDatabaseError(f"no such table: {table}")
        if found[table] != columns:
            raise DamagedDatabaseError(f"the table {table} has other columns")


def _execute_all(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):  # executescript() would end the transaction
        connection.execute(statement)


def _columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the names of each table's columns, in order."""
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(
        "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns "
        "WHERE tables.type = 'table' ORDER BY tables.name, columns.cid"
    ):
        found.setdefault(table, []).append(column)
    return found


def _expected_columns() -> dict[str, list[str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        _execute_all(connection, SCHEMA)
        return _columns(connection)
