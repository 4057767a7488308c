"""The journal's tables: those of an older pmarep are brought up to date, others than ours count as damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pmarep.errors import UsageError
from pmarep.state import database
from pmarep.state.journal import SENT, Journal, JournalError, RemotePath

HERE = RemotePath("https://tokyo.example/", "Slides/in/Größe 🔬.mrxs")

VERSION_1 = """
CREATE TABLE slide (
    server TEXT NOT NULL, path TEXT NOT NULL, state TEXT NOT NULL, signature TEXT NOT NULL, upload_id TEXT,
    replaces INTEGER NOT NULL, upload TEXT, changed REAL NOT NULL, PRIMARY KEY (server, path)
) WITHOUT ROWID;
CREATE INDEX slide_upload ON slide (server, upload_id) WHERE upload_id IS NOT NULL;
CREATE TABLE file (
    server TEXT NOT NULL, path TEXT NOT NULL, file TEXT NOT NULL, PRIMARY KEY (server, path, file),
    FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE part (
    server TEXT NOT NULL, path TEXT NOT NULL, file TEXT NOT NULL, number INTEGER NOT NULL, tag TEXT NOT NULL,
    PRIMARY KEY (server, path, file, number), FOREIGN KEY (server, path) REFERENCES slide ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE run (id INTEGER PRIMARY KEY, started REAL NOT NULL, sources TEXT NOT NULL, summary TEXT);
INSERT INTO slide VALUES ('https://tokyo.example/', 'Slides/in/Größe 🔬.mrxs', 'sent', 'sig', NULL, 0, NULL, 1.5);
INSERT INTO run VALUES (1, 1.5, '["/cases"]', '{"exit_code": 0, "sites": {}}');
PRAGMA user_version = 1;
"""
"""What the first pmarep wrote. It stays as it is, whatever the tables become."""


def write(folder: Path, sql: str) -> Path:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        db.executescript(sql)
    return folder


def change(folder: Path, sql: str) -> None:
    Journal(folder).close()
    write(folder, sql)


async def assert_put_aside(folder: Path, words: str) -> None:
    """By the next push, and not by what only looks."""
    with pytest.raises(UsageError, match=rf"the journal .* is damaged \(.*{words}.*\); the next push puts it aside"):
        Journal(folder)
    for expected in (True, False):
        journal = Journal(folder, mend=True)
        assert (journal.put_aside is not None) is expected
        await journal.sent(HERE, "sig")
        journal.close()


async def test_a_journal_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    journal = Journal(write(tmp_path, VERSION_1))
    assert journal.put_aside is None
    assert await journal.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
    assert [run.summary for run in await journal.runs(5)] == [{"exit_code": 0, "sites": {}}]
    await journal.sending(HERE, "sig", 1, "{}")
    await journal.file_sent(HERE, "a")
    await journal.sent(HERE, "sig")
    assert journal._db.execute("PRAGMA user_version").fetchone() == (database.VERSION,)
    journal.close()


def on_disk(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def test_a_journal_of_the_first_version_is_read_without_being_changed(tmp_path: Path) -> None:
    write(tmp_path, VERSION_1)
    before = (tmp_path / "journal.sqlite").read_bytes()
    journal = Journal(tmp_path, read_only=True)
    assert await journal.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
    assert [run.summary for run in await journal.runs(5)] == [{"exit_code": 0, "sites": {}}]
    assert await journal.entry(HERE) is not None
    with pytest.raises(JournalError):
        await journal.sent(HERE, "another")
    journal.close()
    assert (tmp_path / "journal.sqlite").read_bytes() == before


async def test_a_journal_is_read_without_being_changed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.sent(HERE, "sig")
    journal.close()
    before = on_disk(tmp_path)
    reading = Journal(tmp_path, read_only=True)
    assert await reading.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
    with pytest.raises(JournalError):
        await reading.sent(HERE, "another")
    reading.close()
    assert on_disk(tmp_path) == before


async def test_a_run_that_writes_is_read_along(tmp_path: Path) -> None:
    writing, reading = Journal(tmp_path), Journal(tmp_path, read_only=True)
    await writing.sent(HERE, "sig")
    assert await reading.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
    reading.close()
    await writing.sent(HERE, "sig2")
    writing.close()


async def test_a_journal_that_is_not_there_is_read_as_an_empty_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state", read_only=True)
    assert await journal.unfinished() == []
    journal.close()
    assert on_disk(tmp_path) == {}


def test_a_damaged_journal_is_not_touched_by_what_only_reads(tmp_path: Path) -> None:
    change(tmp_path, "PRAGMA foreign_keys = OFF; DROP TABLE part")
    before = on_disk(tmp_path)
    with pytest.raises(UsageError, match=r"is damaged .*; the next push puts it aside"):
        Journal(tmp_path, read_only=True)
    assert on_disk(tmp_path) == before


def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pmarep whose journal has one more column."""
    newer = database._SCHEMA.replace("tag TEXT NOT NULL,", "tag TEXT NOT NULL, bytes INTEGER NOT NULL DEFAULT 7,")
    monkeypatch.setattr(database, "_SCHEMA", newer)
    step = "ALTER TABLE part ADD COLUMN bytes INTEGER NOT NULL DEFAULT 7; CREATE INDEX part_bytes ON part (bytes)"
    monkeypatch.setitem(database._STEPS, database.VERSION, step)
    monkeypatch.setattr(database, "VERSION", database.VERSION + 1)


async def test_a_version_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    await journal.sending(HERE, "sig", 1, "{}")
    await journal.part_sent(HERE, "a", 1, "etag")
    journal.close()
    older = database.VERSION
    with monkeypatch.context() as patch:
        next_version(patch)
        for _ in range(2):
            newer = Journal(tmp_path, mend=True)
            assert newer.put_aside is None
            assert newer._db.execute("PRAGMA user_version").fetchone() == (older + 1,)
            assert newer._db.execute("SELECT file, tag, bytes FROM part").fetchall() == [("a", "etag", 7)]
            newer.close()
    with pytest.raises(UsageError, match="newer pmarep; update this one"):
        Journal(tmp_path, mend=True)


async def test_a_step_that_meets_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(tmp_path, "DROP TABLE part")
    older = database.VERSION
    with monkeypatch.context() as patch:
        next_version(patch)
        with pytest.raises(UsageError, match="no such table: part"):
            Journal(tmp_path)
        with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
            assert db.execute("PRAGMA user_version").fetchone() == (older,)  # nothing of the step has stayed


@pytest.mark.parametrize("table", ["slide", "file", "part", "run"])
async def test_a_table_that_is_missing(tmp_path: Path, table: str) -> None:
    change(tmp_path, f"PRAGMA foreign_keys = OFF; DROP TABLE {table}")
    await assert_put_aside(tmp_path, f"no such table: {table}")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("ALTER TABLE slide DROP COLUMN changed", "the table slide has other columns"),
        ("ALTER TABLE run RENAME COLUMN sources TO source", "the table run has other columns"),
        ("ALTER TABLE run ADD COLUMN more", "the table run has other columns"),
        ("PRAGMA user_version = 0", "it says that it has version 0"),
        ("PRAGMA user_version = -3", "it says that it has version -3"),
    ],
)
async def test_tables_that_are_not_ours(tmp_path: Path, sql: str, words: str) -> None:
    change(tmp_path, sql)
    await assert_put_aside(tmp_path, words)


@pytest.mark.parametrize("upload", ['{"Id": 17, "Urls": ["https://secret', "[" * 100_000, "", b"\xff\xfe", b"\x00"])
async def test_an_upload_that_cannot_be_read(tmp_path: Path, upload: object) -> None:
    """It ends one run, and not every one; what is in it is a secret."""
    journal = Journal(tmp_path)
    await journal.sending(HERE, "sig", 17, '{"Id": 17}')
    journal._db.execute("UPDATE slide SET upload = ?", (upload,))
    with pytest.raises(JournalError, match=r"is damaged .*; the next run puts it aside") as caught:
        await journal.entry(HERE)
    assert "secret" not in str(caught.value)
    journal.close()
    mended = Journal(tmp_path, mend=True)
    assert mended.put_aside is not None
    assert await mended.entry(HERE) is None
    mended.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE slide SET state = 'sen\x7fing'",
        "UPDATE slide SET signature = x'ff00'",
        "UPDATE slide SET state = CAST(x'ff' AS TEXT)",
        "UPDATE part SET number = 'x'",
        "UPDATE part SET tag = x'00'",
    ],
)
async def test_a_slide_that_cannot_be_read(tmp_path: Path, sql: str) -> None:
    journal = Journal(tmp_path)
    await journal.sending(HERE, "sig", 17, '{"Id": 17}')
    await journal.part_sent(HERE, "a", 1, "etag")
    assert await journal.entry(HERE) is not None
    journal._db.execute(sql)
    with pytest.raises(JournalError, match=r"is damaged .*; the next run puts it aside"):
        await journal.entry(HERE)
    journal.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE run SET sources = '[\"/cas'",
        "UPDATE run SET sources = '17'",
        "UPDATE run SET summary = '{'",
        "UPDATE run SET summary = '[]'",
        "UPDATE run SET summary = '{\"exit_code\": 0}'",
        'UPDATE run SET summary = \'{"exit_code": 0, "sites": {"a": {}}}\'',
        "UPDATE run SET started = 'yesterday'",
    ],
)
async def test_a_run_that_cannot_be_read(tmp_path: Path, sql: str) -> None:
    journal = Journal(tmp_path)
    await journal.run_finished(await journal.run_started(["/cases"]), {"exit_code": 0, "sites": {}})
    assert len(await journal.runs(5)) == 1
    journal._db.execute(sql)
    with pytest.raises(JournalError, match=r"is damaged .*; the next run puts it aside"):
        await journal.runs(5)
    journal.close()


async def test_a_table_that_goes_in_the_middle_is_no_full_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal._db.execute("DROP TABLE part")
    with pytest.raises(JournalError, match=r"\(no such table: .*\); start again: the next run looks"):
        await journal.part_sent(HERE, "a", 1, "etag")
    journal.close()
