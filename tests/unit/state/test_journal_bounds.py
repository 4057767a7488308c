"""The journal does not grow for ever, and what is worth most is what stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from pmarep.state.journal_bounds import bound
from pmarep.state.schema import SCHEMA


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection


def add(db: sqlite3.Connection, path: str, state: str, changed: float, looked: float | None = None) -> None:
    row = ("https://a/", path, state, "x", None, 0, None, changed, None, None, None)
    db.execute("INSERT INTO slide VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    if looked is not None:
        db.execute("INSERT INTO looked VALUES ('https://a/', ?, ?)", (path, looked))


def paths(db: sqlite3.Connection) -> list[str]:
    return [path for (path,) in db.execute("SELECT path FROM slide ORDER BY path")]


def test_what_was_looked_at_longest_ago_goes_first_and_what_is_unfinished_last(db: sqlite3.Connection) -> None:
    add(db, "a sent, looked at", "sent", 1, looked=100)
    add(db, "b unfinished", "sending", 1)
    add(db, "c damaged", "broken", 2)
    add(db, "d seen", "seen", 3)
    add(db, "e sent", "sent", 4)
    bound(db, 0, most=5)
    assert len(paths(db)) == 5
    bound(db, 0, most=4)
    assert paths(db) == ["a sent, looked at", "b unfinished", "c damaged", "e sent"]
    bound(db, 0, most=3)
    assert paths(db) == ["a sent, looked at", "b unfinished", "c damaged"]
    bound(db, 0, most=2)
    assert paths(db) == ["b unfinished", "c damaged"]
    assert db.execute("SELECT count(*) FROM looked").fetchone() == (0,)


def test_a_twentieth_goes_at_once(db: sqlite3.Connection) -> None:
    for number in range(101):
        add(db, f"{number:03}", "sent", number)
    bound(db, 0, most=100)
    assert paths(db)[0] == "006"
    bound(db, 0, most=100)
    assert len(paths(db)) == 95


def test_in_a_small_file_nothing_is_counted(db: sqlite3.Connection) -> None:
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    bound(db, 0)
    assert not any("slide" in statement for statement in asked)
