"""What a run takes over from the journals of shards, and shards from that of all slides."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pmarep.slides.shard import Shard
from pmarep.state import journal_takeover
from pmarep.state.journal import Journal
from pmarep.state.journal_takeover import Scope, SlideTakeOver, take_over
from pmarep.state.records import MAX_PATHS_PER_QUERY, SEEN, SENT, Entry, RemotePath

SERVER = "http://tokyo"
SCOPES = [Scope(SERVER, "Slides/in")]


def place(name: str) -> RemotePath:
    return RemotePath(SERVER, f"Slides/in/{name}")


class States:
    """The state folder of a run of all slides, and one of a shard."""

    def __init__(self, folder: Path) -> None:
        self.own, self.other = folder / "state", folder / "state" / "shard-1-of-2"
        self.notes: list[str] = []
        for one in (self.own, self.other):
            one.mkdir()
            Journal(one).close()

    async def take_over(self, shard: Shard | None = None) -> None:
        await take_over(self.own, [self.other], SCOPES, shard, self.notes.append)

    async def own_entry(self, name: str) -> Entry | None:
        with closing(Journal(self.own)) as journal:
            return await journal.entry(place(name))

    async def upload(self, folder: Path, name: str, number: int) -> None:
        """Record an upload with a whole file and a part."""
        with closing(Journal(folder)) as journal:
            await journal.record_announced(place(name), "x", number, json.dumps({"Id": number}))
            await journal.record_file_sent(place(name), "companion")
            await journal.record_part_sent(place(name), name, 3, "tag")


@pytest.fixture
def states(tmp_path: Path) -> States:
    return States(tmp_path)


def set_time(folder: Path, name: str, column: str, moment: float) -> None:
    table = "looked" if column == "at" else "slide"
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db, db:
        db.execute(f"UPDATE {table} SET {column} = ? WHERE path = ?", (moment, place(name).path))


async def test_an_upload_goes_on_with_its_files_and_parts(states: States) -> None:
    await states.upload(states.other, "a.svs", 1)
    await states.take_over()
    entry = await states.own_entry("a.svs")
    assert entry is not None
    assert (set(entry.files), entry.parts) == ({"companion"}, {"a.svs": {3: "tag"}})


async def test_all_pages_below_the_target_and_nothing_beside_it(
    states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_takeover, "PAGE", 2)
    names = [f"{number}.svs" for number in range(5)]
    beside = [RemotePath(SERVER, "Slides/inn/a.svs"), RemotePath("http://other", "Slides/in/a.svs")]
    with closing(Journal(states.other)) as journal:
        for one in [*map(place, names), *beside]:
            await journal.record_sent(one, "x")
    await states.take_over()
    with closing(Journal(states.own)) as journal:
        assert [name for name in names if await journal.entry(place(name)) is None] == []
        assert [one for one in beside if await journal.entry(one) is not None] == []


async def test_a_shard_takes_its_own_slides(states: States) -> None:
    names = [f"{number}.svs" for number in range(20)]
    with closing(Journal(states.other)) as journal:
        for name in names:
            await journal.record_sent(place(name), "x")
    shard = Shard(2, 3)
    await states.take_over(shard)
    with closing(Journal(states.own)) as journal:
        taken = [name for name in names if await journal.entry(place(name)) is not None]
    assert taken == [name for name in names if shard.has(name)]
    assert 0 < len(taken) < len(names)


@pytest.mark.parametrize("newer", [True, False])
async def test_what_was_recorded_last_counts(states: States, newer: bool) -> None:
    for folder, moment in ((states.own, 1000.0), (states.other, 2000.0 if newer else 500.0)):
        with closing(Journal(folder)) as journal:
            await (journal.record_sent if folder == states.other else journal.record_seen)(place("a.svs"), "x")
        set_time(folder, "a.svs", "changed", moment)
    await states.take_over()
    entry = await states.own_entry("a.svs")
    assert entry is not None
    assert entry.state == (SENT if newer else SEEN)


async def test_a_later_look_counts_too(states: States) -> None:
    for folder, moment in ((states.own, 2000.0), (states.other, 3000.0)):
        with closing(Journal(folder)) as journal:
            await journal.record_sent(place("a.svs"), "x")
            await journal.record_checked(SERVER, [place("a.svs").path], moment)
        set_time(folder, "a.svs", "changed", 1000.0)
    await states.take_over()
    with closing(Journal(states.own)) as journal:
        assert (await journal.check_summary(SERVER, "Slides/in")).newest == 3000.0


@pytest.mark.parametrize("newer", [True, False])
async def test_an_upload_id_belongs_to_the_slide_that_had_it_last(states: States, newer: bool) -> None:
    """A server that was restored gives ids out again."""
    await states.upload(states.own, "a.svs", 1)
    await states.upload(states.other, "b.svs", 1)
    set_time(states.own, "a.svs", "changed", 1000.0)
    set_time(states.other, "b.svs", "changed", 2000.0 if newer else 500.0)
    await states.take_over()
    entries = {name: await states.own_entry(name) for name in ("a.svs", "b.svs")}
    owners = [name for name, entry in entries.items() if entry and entry.upload and entry.files and entry.parts]
    rest = [name for name, entry in entries.items() if entry and not (entry.upload or entry.files or entry.parts)]
    assert (owners, rest) == ((["b.svs"], ["a.svs"]) if newer else (["a.svs"], ["b.svs"]))


async def test_an_upload_id_that_a_replaced_row_had_later_is_not_claimed(states: States) -> None:
    await states.upload(states.other, "a.svs", 1)
    await states.upload(states.own, "b.svs", 1)
    with closing(Journal(states.other)) as other:
        await other.record_sent(place("b.svs"), "x")
    for folder, name, moment in (
        (states.other, "a.svs", 500.0),
        (states.own, "b.svs", 700.0),
        (states.other, "b.svs", 1000.0),
    ):
        set_time(folder, name, "changed", moment)
    await states.take_over()
    older, newer = await states.own_entry("a.svs"), await states.own_entry("b.svs")
    assert older is not None
    assert (older.upload, older.files, older.parts) == (None, frozenset(), {})
    assert newer is not None
    assert newer.state == SENT


async def test_a_damaged_journal_of_another_is_said(states: States) -> None:
    (states.other / "journal.sqlite").write_bytes(b"no database, and long enough to be looked at" * 100)
    await states.take_over()
    assert len(states.notes) == 1
    assert "listings of the sites" in states.notes[0]


async def test_more_slides_are_taken_over_than_one_question_may_be_about(states: States) -> None:
    names = [f"{number:04}.svs" for number in range(MAX_PATHS_PER_QUERY + 1)]
    with closing(Journal(states.other)) as other:
        await asyncio.gather(*(other.record_sent(place(name), f"of {name}") for name in names))
    with closing(SlideTakeOver(states.own, [states.own, states.other])) as takes:
        await takes.take(SERVER, [place(name).path for name in names])
    with closing(Journal(states.own)) as own:
        known = await own.known(SERVER, [place(name).path for name in names])
    assert known == {place(name).path: (SENT, f"of {name}") for name in names}


async def test_single_slides_are_taken_over_where_the_own_journal_does_not_know_them(states: States) -> None:
    await states.upload(states.other, "a.svs", 1)
    await states.upload(states.other, "not asked for.svs", 2)
    with closing(Journal(states.own)) as journal, closing(Journal(states.other)) as other:
        await journal.record_seen(place("b.svs"), "x")
        await other.record_sent(place("b.svs"), "x")
    with closing(SlideTakeOver(states.own, [states.own, states.other])) as takes:
        await takes.take(SERVER, [place(name).path for name in ("a.svs", "b.svs", "c.svs")])
    taken, kept = await states.own_entry("a.svs"), await states.own_entry("b.svs")
    assert taken is not None
    assert taken.parts == {"a.svs": {3: "tag"}}
    assert kept is not None
    assert kept.state == SEEN
    assert await states.own_entry("not asked for.svs") is None
