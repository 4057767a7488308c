from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pmarep.errors import UsageError
from pmarep.slides import Slide, SlideFile
from pmarep.state.journal import Journal
from pmarep.state.records import MAX_CACHED_FILES, SENDING, SENT, JournalError, RemotePath, signature

HERE = RemotePath("https://tokyo.example/", "Slides/in/Größe 🔬.mrxs")
THERE = RemotePath("https://saopaulo.example/", "Slides/in/Größe 🔬.mrxs")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "state")
    yield journal
    journal.close()


def reopened(journal: Journal) -> Journal:
    journal.close()
    return Journal(journal.file.parent)


async def test_nothing_is_known_at_first(journal: Journal) -> None:
    assert await journal.entry(HERE) is None
    assert await journal.unfinished() == {}
    assert await journal.runs(5) == []


async def test_a_slide_on_its_way(journal: Journal) -> None:
    await journal.record_announced(HERE, "sig", 1, '{"Id": 17}')
    await journal.record_file_sent(HERE, "x/Data0000.dat")
    await journal.record_file_sent(HERE, "x/Data0000.dat")
    await journal.record_file_sent(HERE, "x/Index.dat")
    entry = await journal.entry(HERE)
    assert entry is not None
    assert (entry.state, entry.signature, entry.upload) == (SENDING, "sig", '{"Id": 17}')
    assert entry.files == {"x/Data0000.dat", "x/Index.dat"}
    assert list(await journal.unfinished()) == [HERE]
    assert await journal.entry(THERE) is None


async def test_a_slide_that_arrived(journal: Journal) -> None:
    await journal.record_announced(HERE, "sig", 1, '{"Id": 17, "Urls": ["https://secret"]}')
    await journal.record_file_sent(HERE, "a")
    await journal.record_sent(HERE, "sig")
    entry = await journal.entry(HERE)
    assert entry is not None
    assert (entry.state, entry.upload, entry.files) == (SENT, None, frozenset())
    assert await journal.unfinished() == {}


async def test_a_new_announcement_forgets_the_files_of_the_old_one(journal: Journal) -> None:
    await journal.record_announced(HERE, "sig", 1, '{"Id": 17}')
    await journal.record_file_sent(HERE, "a")
    await journal.record_part_sent(HERE, "b", 1, "etag")
    await journal.record_announced(HERE, "sig", 1, '{"Id": 18}')
    entry = await journal.entry(HERE)
    assert entry is not None
    assert (entry.upload, entry.files, entry.parts) == ('{"Id": 18}', frozenset(), {})


@pytest.mark.parametrize("again", [False, True])
async def test_an_id_that_is_given_again_belongs_to_the_latest_upload(journal: Journal, again: bool) -> None:
    """At its server only; the older slide has lost its upload, and what is known of its files."""
    places = [RemotePath(HERE.server, "case1/x.mrxs"), THERE, RemotePath(HERE.server, "case2/x.mrxs")]
    for number, place in enumerate(places[:2]):
        await journal.record_announced(place, "sig", 17, "{}", replaces=number == 0)
        await journal.record_file_sent(place, "a")
        await journal.record_part_sent(place, "b", 1, "etag")
    if again:
        await journal.record_announced(places[2], "sig", 18, "{}")
        await journal.record_reannounced(places[2], "17", '{"Id": 17}')
    else:
        await journal.record_announced(places[2], "sig", "17", '{"Id": 17}')
    lost, elsewhere, latest = [await journal.entry(place) for place in places]
    assert lost is not None
    assert elsewhere is not None
    assert latest is not None
    assert (lost.state, lost.replaces, lost.upload, lost.files, lost.parts) == (SENDING, True, None, frozenset(), {})
    assert (elsewhere.upload, elsewhere.parts) == ("{}", {"b": {1: "etag"}})
    assert elsewhere.files == {"a"}
    assert latest.upload == '{"Id": 17}'


async def test_places_do_not_mix(journal: Journal) -> None:
    await journal.record_announced(HERE, "one", 1, "1")
    await journal.record_announced(THERE, "two", 1, "2")
    await journal.record_file_sent(THERE, "a")
    await journal.record_sent(HERE, "one")
    entry = await journal.entry(THERE)
    assert entry is not None
    assert (entry.state, entry.signature) == (SENDING, "two")
    assert entry.files == {"a"}
    assert await journal.entry(HERE) is not None


async def test_everything_is_there_after_a_restart(journal: Journal) -> None:
    await journal.record_announced(HERE, "sig", 1, "{}")
    await journal.record_file_sent(HERE, "a")
    await journal.record_sent(THERE, "sig")
    number = await journal.record_run_started(["/cases"])
    await journal.record_run_finished(number, {"exit_code": 1, "sites": {}})
    await journal.record_run_started(["/killed"])
    again = reopened(journal)
    entry = await again.entry(HERE)
    assert entry is not None
    assert entry.files == {"a"}
    assert [(run.sources, run.summary) for run in await again.runs(5)] == [
        (["/killed"], None),
        (["/cases"], {"exit_code": 1, "sites": {}}),
    ]
    again.close()


def test_kill_9_right_after_a_row(tmp_path: Path) -> None:
    """A row counts as soon as the call that writes it has returned."""
    code = (
        "import asyncio, os, signal, sys; from pathlib import Path\n"
        "from pmarep.state.journal import Journal\nfrom pmarep.state.records import RemotePath\n"
        "async def main():\n"
        "    journal = Journal(Path(sys.argv[1]))\n"
        "    await journal.record_announced(RemotePath('s', 'p'), 'sig', 1, '{}')\n"
        "    await journal.record_file_sent(RemotePath('s', 'p'), 'a')\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "state")], check=False)
    assert done.returncode == -9

    async def look() -> frozenset[str]:
        journal = Journal(tmp_path / "state")
        entry = await journal.entry(RemotePath("s", "p"))
        journal.close()
        assert entry is not None
        return entry.files

    assert asyncio.run(look()) == {"a"}


def test_kill_9_right_after_rows_that_were_written_together(tmp_path: Path) -> None:
    """Each call returns after the commit that its row is part of, and not before: none that returned is lost."""
    code = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from pmarep.state.journal import Journal\nfrom pmarep.state.records import RemotePath\n"
        "async def main():\n"
        "    journal = Journal(Path(sys.argv[1]))\n"
        "    await journal.record_announced(RemotePath('s', 'p'), 'sig', 1, '{}')\n"
        "    async def one(number):\n"
        "        await journal.record_file_sent(RemotePath('s', 'p'), str(number))\n"
        "        os.write(1, f'{number}\\n'.encode())\n"
        "        if number == 700:\n"
        "            os.kill(os.getpid(), 9)\n"
        "    await asyncio.gather(*(one(number) for number in range(2000)))\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "state")], check=False, stdout=subprocess.PIPE, text=True
    )
    assert done.returncode == -9
    returned = set(done.stdout.split())
    assert len(returned) >= 700

    async def look() -> frozenset[str]:
        journal = Journal(tmp_path / "state")
        entry = await journal.entry(RemotePath("s", "p"))
        journal.close()
        assert entry is not None
        return entry.files

    assert returned <= asyncio.run(look())


async def test_a_row_is_written_although_its_writer_is_cancelled(journal: Journal) -> None:
    """The server has acknowledged the file: the run that is being stopped must not lose that."""
    await journal.record_announced(HERE, "sig", 1, "{}")
    with closing(sqlite3.connect(journal.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # so that the rows have to wait
        tasks = [asyncio.create_task(journal.record_file_sent(HERE, str(number))) for number in range(50)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        other.execute("ROLLBACK")
    again = reopened(journal)
    entry = await again.entry(HERE)
    again.close()
    assert entry is not None
    assert len(entry.files) == 50


async def test_many_at_once(journal: Journal) -> None:
    places = [RemotePath("s", str(number)) for number in range(100)]
    await asyncio.gather(*(journal.record_announced(place, "sig", place.path, "{}") for place in places))
    await asyncio.gather(*(journal.record_file_sent(place, "a") for place in places))
    await asyncio.gather(*(journal.record_sent(place, "sig") for place in places[::2]))
    assert len(await journal.unfinished()) == 50


async def commits(journal: Journal, *work: Coroutine[Any, Any, Any]) -> tuple[int, list[Any]]:
    """How often something was committed while these wrote together, and their results."""
    statements: list[str] = []
    with closing(sqlite3.connect(journal.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the first write waits here, and the others behind it
        journal._db.set_trace_callback(statements.append)
        together = asyncio.gather(*work, return_exceptions=True)
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
    results = await together
    journal._db.set_trace_callback(None)
    return statements.count("COMMIT"), results


async def test_writes_that_wait_together_are_committed_together(journal: Journal) -> None:
    await journal.record_announced(HERE, "sig", 1, "{}")
    count, results = await commits(journal, *(journal.record_file_sent(HERE, str(number)) for number in range(300)))
    assert results == [None] * 300
    assert 1 <= count <= 2
    entry = await journal.entry(HERE)
    assert entry is not None
    assert len(entry.files) == 300


async def test_a_write_that_fails_in_a_batch_harms_no_other(journal: Journal) -> None:
    """A file of a slide that nobody knows: the table refuses it."""
    await journal.record_announced(HERE, "sig", 1, "{}")
    work = [journal.record_file_sent(THERE if number == 7 else HERE, str(number)) for number in range(20)]
    _, results = await commits(journal, *work)
    assert [number for number, result in enumerate(results) if result is not None] == [7]
    assert isinstance(results[7], JournalError)
    entry = await journal.entry(HERE)
    assert entry is not None
    assert len(entry.files) == 19


async def test_a_reader_sees_what_was_written_before(journal: Journal) -> None:
    _, results = await commits(
        journal,
        journal.record_announced(HERE, "sig", 1, "{}"),
        journal.record_file_sent(HERE, "a"),
        journal.entry(HERE),
        journal.record_sent(HERE, "sig"),
        journal.known(HERE.server, [HERE.path]),
    )
    assert results[2].files == {"a"}
    assert results[4] == {HERE.path: (SENT, "sig")}


async def test_a_reader_needs_no_lock(journal: Journal) -> None:
    """A dry run looks while another run writes."""
    await journal.record_sent(HERE, "sig")
    with closing(sqlite3.connect(journal.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await journal.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
        assert await journal.entry(HERE) is not None


async def test_many_slides_in_one_question(journal: Journal) -> None:
    paths = [f"Slides/in/{number} 'ä'.svs" for number in range(1200)]
    for path in paths[::3]:
        await journal.record_sent(RemotePath("s", path), f"sig {path}")
    await journal.record_announced(RemotePath("s", paths[1]), "other", 1, "{}")
    await journal.record_sent(RemotePath("elsewhere", paths[2]), "other")
    expected = {path: (SENT, f"sig {path}") for path in paths[::3]} | {paths[1]: (SENDING, "other")}
    assert await journal.known("s", paths) == expected
    assert await journal.known("s", []) == {}


async def test_only_the_last_thousand_runs_are_kept(journal: Journal) -> None:
    for number in range(1010):
        await journal.record_run_started([str(number)])
    assert len(await journal.runs(2000)) == 1000


@pytest.mark.skipif(os.name != "posix", reason="Windows has no modes")
async def test_nobody_else_can_read_it(journal: Journal) -> None:
    await journal.record_announced(HERE, "sig", 1, "{}")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in journal.file.parent.iterdir()}
    assert len(modes) == 4  # and its -wal, -shm and lock
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(journal.file.parent.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_used_is_a_clear_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot use the journal .*--state-dir"):
        Journal(tmp_path / "file" / "state")


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UsageError, match=r"is damaged .* the next push puts it aside"):
        Journal(tmp_path)
    assert (tmp_path / "journal.sqlite").read_bytes() == b"not a database" * 100


async def test_a_damaged_journal_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").write_bytes(b"not a database" * 100)
    for expected in (True, False):
        journal = Journal(tmp_path, mend=True)
        assert (journal.put_aside is not None) is expected
        await journal.record_sent(HERE, "sig")
        journal.close()
    (aside,) = tmp_path.glob("journal-damaged-*.sqlite")
    assert aside.read_bytes() == b"not a database" * 100


async def test_damage_found_in_the_middle_is_mended_by_the_next_run(journal: Journal) -> None:
    for number in range(500):
        await journal.record_sent(replace(HERE, path=f"Slides/{number}.svs"), "sig" * 100)
    assert (reopened(journal)).put_aside is None
    data = bytearray(journal.file.read_bytes())
    data[20_000:80_000] = os.urandom(60_000)
    journal.file.write_bytes(data)
    hit = Journal(journal.file.parent, mend=True)
    assert hit.put_aside is None  # the first pages are as they were
    with pytest.raises(JournalError, match=r"is damaged .* the next run puts it aside"):
        await hit.unfinished()
    hit.close()
    mended = Journal(journal.file.parent, mend=True)
    assert mended.put_aside is not None
    assert await mended.entry(HERE) is None
    mended.close()


async def test_a_journal_that_another_run_uses_is_not_put_aside(journal: Journal) -> None:
    """That run would go on writing to the file with the other name, and nobody would read it."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(journal.file.parent)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        journal._mark_damaged()
        journal.close()
        with pytest.raises(
            UsageError, match=r"is damaged .*, and another run uses it; start again when that has ended"
        ):
            Journal(journal.file.parent, mend=True)
        assert journal.file.exists()
        other.kill()
    mended = Journal(journal.file.parent, mend=True)
    assert mended.put_aside is not None
    mended.close()


HOLD = """
import sys, time
from pathlib import Path
from pmarep.state.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(600)
"""


async def test_a_full_disk(journal: Journal) -> None:
    journal._db.execute("PRAGMA max_page_count = 20")

    async def fill() -> None:
        for number in range(1000):
            await journal.record_sent(replace(HERE, path=f"Slides/{number}.svs"), "sig" * 100)

    with pytest.raises(JournalError, match=r"\(database or disk is full\); is its disk full\?"):
        await fill()
    assert await journal.entry(replace(HERE, path="Slides/0.svs")) is not None


def test_a_newer_journal_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="newer pmarep"):
        Journal(tmp_path)


async def test_a_journal_that_fails_in_the_middle(journal: Journal) -> None:
    with closing(sqlite3.connect(journal.file)) as other:
        other.execute("DROP TABLE slide")
    with pytest.raises(JournalError, match="cannot use the journal"):
        await journal.record_sent(HERE, "sig")


def slide(*files: SlideFile) -> Slide:
    return Slide("a.svs", "Aperio SVS", Path("/cases"), files)


def test_the_signature_changes_with_every_file() -> None:
    one, two = SlideFile("x/1.dat", 10, 1), SlideFile("a.svs", 20, 2)
    whole = signature(slide(one, two))
    changes = [replace(one, size=11), replace(one, mtime_ns=2), replace(one, path="x/2.dat")]
    others = {signature(slide(change, two)) for change in changes} | {signature(slide(two))}
    assert len(others) == 4
    assert whole not in others
    assert whole == signature(slide(one, two)) == signature(replace(slide(one, two), folder=Path("/moved")))


def test_a_signature_is_computed_once_for_all_sites(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[Slide] = []

    def counting(one: Slide) -> str:
        computed.append(one)
        return signature(one)

    monkeypatch.setattr("pmarep.state.records.signature", counting)
    files = tuple(SlideFile(f"x/{number}.dat", 1, 1) for number in range(MAX_CACHED_FILES // 10))
    slides = [slide(*files, SlideFile("a.svs", size, 1)) for size in range(30)]
    for one in slides:
        assert {journal.signature(one) for _ in range(4)} == {signature(one)}
    assert computed == slides
    assert len(journal._signatures) < 10  # and not kept for ever
    assert journal.signature(slides[0]) == signature(slides[0])


def test_an_equal_slide_that_changed_has_a_signature_of_its_own(journal: Journal) -> None:
    """Ids of things that are gone are given out again."""
    found = set()
    for size in range(500):
        found.add(journal.signature(slide(SlideFile("a.svs", size, 1))))
    assert len(found) == 500


async def test_an_older_file_is_brought_up_to_date(journal: Journal) -> None:
    """As it was before slides were looked at again."""
    await journal.record_sent(HERE, "sig")
    file = journal.file
    journal.close()
    with closing(sqlite3.connect(file)) as older:
        older.execute("DROP TABLE looked")
        older.execute("ALTER TABLE slide DROP COLUMN sizes")
        older.execute("PRAGMA user_version = 3")
    again = Journal(file.parent)
    try:
        assert await again.known(HERE.server, [HERE.path]) == {HERE.path: (SENT, "sig")}
        await again.record_checked(HERE.server, [HERE.path, THERE.path], 1e12)
        assert (await again.check_summary(HERE.server, "Slides/in")).newest == 1e12
        assert await again.not_checked_since(HERE.server, [HERE.path], 1e11) == {}
    finally:
        again.close()
