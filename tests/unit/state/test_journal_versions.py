"""The journal's tables: those of an older pmarep are brought up to date, others than ours count as damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pmarep.errors import UsageError
from pmarep.state import schema
from pmarep.state.journal import Journal
from pmarep.state.records import BROKEN, SENDING, SENT, Entry, JournalError, RemotePath

HERE = RemotePath("https://tokyo.example/", "Slides/in/Größe 🔬.mrxs")

HALF = RemotePath(HERE.server, "Slides/in/half.svs")
TORN = RemotePath(HERE.server, "Slides/in/broken.svs")

JOURNALS = Path(__file__).with_name("journals")


def kept(version: int) -> str:
    """A journal as pmarep wrote it at that version. It stays as it is, whatever the tables become."""
    return (JOURNALS / f"version-{version}.sql").read_text(encoding="utf-8")


VERSIONS = range(1, schema.VERSION + 1)


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
        await journal.record_sent(HERE, "sig")
        journal.close()


def test_a_journal_of_each_version_is_kept() -> None:
    assert {file.name for file in JOURNALS.iterdir()} == {f"version-{version}.sql" for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_older_journal_is_migrated(tmp_path: Path, version: int) -> None:
    """Nothing of what it knows is lost, and it is what a new one would be."""
    Journal(write(tmp_path, kept(version))).close()
    journal = Journal(tmp_path)
    assert journal.put_aside is None
    assert journal._db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    states = {HERE.path: (SENT, "sig"), HALF.path: (SENDING, "half"), TORN.path: (BROKEN, "torn")}
    assert await journal.known(HERE.server, [*states, "Slides/in/other.svs"]) == states
    source, stamp = "inode-and-ctime" if version >= 2 else None, "stamp" if version >= 3 else None
    parts = {"half.svs": {2: "etag-2"}}
    sizes = {"half/a.dat": 5, "half.svs": 9} if version >= 5 else None
    half = Entry(SENDING, "half", True, '{"Id": 17}', frozenset({"half/a.dat"}), parts, source, sizes=sizes)
    assert await journal.entry(HALF) == half
    assert await journal.entry(TORN) == Entry(BROKEN, "torn", False, None, frozenset(), {}, None, stamp)
    assert await journal.check_summary(HERE.server, "Slides/in") == (1, 7.5 if version >= 4 else None, 1.5)
    assert [run.summary for run in await journal.runs(5)] == [None, {"exit_code": 0, "sites": {}}]
    await journal.record_announced(HERE, "sig", 17, "{}", sizes={"a": 3})
    await journal.record_file_sent(HERE, "a")
    assert await journal.entry(HERE) == Entry(SENDING, "sig", False, "{}", frozenset({"a"}), {}, sizes={"a": 3})
    half = Entry(SENDING, "half", True, None, frozenset(), {}, source, sizes=sizes)
    assert await journal.entry(HALF) == half  # its id is taken
    await journal.record_sent(HERE, "sig")
    await journal.record_checked(HERE.server, [HERE.path], 9.5)
    journal.close()


@pytest.mark.parametrize("version", [schema.VERSION + 1, 99])
@pytest.mark.parametrize("options", [{"mend": True}, {"mend": False}, {"read_only": True}])
def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path: Path, version: int, options: dict[str, bool]) -> None:
    write(tmp_path, kept(schema.VERSION) + f"ALTER TABLE part ADD COLUMN more; PRAGMA user_version = {version};")
    with pytest.raises(
        UsageError, match=r"the journal .*journal\.sqlite was written by a newer pmarep; update this one"
    ):
        Journal(tmp_path, **options)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (version,)
        assert db.execute("SELECT tag FROM part").fetchall() == [("etag-2",)]
    assert not list(tmp_path.glob("*damaged*"))


def on_disk(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_older_journal_is_read_without_being_changed(tmp_path: Path, version: int) -> None:
    write(tmp_path, kept(version))
    before = (tmp_path / "journal.sqlite").read_bytes()
    journal = Journal(tmp_path, read_only=True)
    assert await journal.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
    assert [run.summary for run in await journal.runs(5)] == [None, {"exit_code": 0, "sites": {}}]
    assert await journal.entry(HERE) is not None
    with pytest.raises(JournalError):
        await journal.record_sent(HERE, "another")
    journal.close()
    assert (tmp_path / "journal.sqlite").read_bytes() == before


async def test_a_journal_is_read_without_being_changed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.record_sent(HERE, "sig")
    journal.close()
    before = on_disk(tmp_path)
    reading = Journal(tmp_path, read_only=True)
    assert await reading.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
    with pytest.raises(JournalError):
        await reading.record_sent(HERE, "another")
    reading.close()
    assert on_disk(tmp_path) == before


async def test_a_run_that_writes_is_read_along(tmp_path: Path) -> None:
    writing, reading = Journal(tmp_path), Journal(tmp_path, read_only=True)
    await writing.record_sent(HERE, "sig")
    assert await reading.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
    reading.close()
    await writing.record_sent(HERE, "sig2")
    writing.close()


async def test_a_journal_that_is_not_there_is_read_as_an_empty_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state", read_only=True)
    assert await journal.unfinished() == {}
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
    newer = schema.SCHEMA.replace("tag TEXT NOT NULL,", "tag TEXT NOT NULL, bytes INTEGER NOT NULL DEFAULT 7,")
    monkeypatch.setattr(schema, "SCHEMA", newer)
    step = "ALTER TABLE part ADD COLUMN bytes INTEGER NOT NULL DEFAULT 7; CREATE INDEX part_bytes ON part (bytes)"
    monkeypatch.setitem(schema.MIGRATIONS, schema.VERSION, step)
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)


async def test_a_version_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    await journal.record_announced(HERE, "sig", 1, "{}")
    await journal.record_part_sent(HERE, "a", 1, "etag")
    journal.close()
    older = schema.VERSION
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
    older = schema.VERSION
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
    await journal.record_announced(HERE, "sig", 17, '{"Id": 17}')
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
        "UPDATE slide SET sizes = '{'",
        "UPDATE slide SET sizes = '[5]'",
        """UPDATE slide SET sizes = '{"a": "5"}'""",
    ],
)
async def test_a_slide_that_cannot_be_read(tmp_path: Path, sql: str) -> None:
    journal = Journal(tmp_path)
    await journal.record_announced(HERE, "sig", 17, '{"Id": 17}')
    await journal.record_part_sent(HERE, "a", 1, "etag")
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
    await journal.record_run_finished(await journal.record_run_started(["/cases"]), {"exit_code": 0, "sites": {}})
    assert len(await journal.runs(5)) == 1
    journal._db.execute(sql)
    with pytest.raises(JournalError, match=r"is damaged .*; the next run puts it aside"):
        await journal.runs(5)
    journal.close()


async def test_a_table_that_goes_in_the_middle_is_no_full_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal._db.execute("DROP TABLE part")
    with pytest.raises(JournalError, match=r"\(no such table: .*\); start again: the next run looks"):
        await journal.record_part_sent(HERE, "a", 1, "etag")
    journal.close()
