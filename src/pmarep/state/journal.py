"""What has been sent where: the only state on disk.

One SQLite file in the state folder, readable by its owner only. A row is written before it is relied on, so that after
a `kill -9` the next run knows which files of which upload a server has acknowledged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..errors import PmarepError, Remedy
from ..slides.model import Slide
from .database import DamagedDatabaseError, DatabaseThread, OpenDatabase, damage_mark, is_damage

T = TypeVar("T")
SENDING, BROKEN, SENT, SEEN, DIFFERS, UNREADABLE = _STATES = (
    "sending",
    "broken",
    "sent",
    "seen",
    "differs",
    "unreadable",
)

MAX_CACHED_FILES = 10_000
"""Signatures of slides of so many files are kept for other sites: as many as the catalogue keeps slides of."""
MAX_PATHS_PER_QUERY = 500
"""In one question: SQLite takes 32,766 values (SQLITE_MAX_VARIABLE_NUMBER), before 3.32 it took 999."""

_KNOWN_BELOW = (
    "FROM slide LEFT JOIN looked USING (server, path) "
    f"WHERE server = ? AND path >= ? AND path < ? AND state IN ('{SENT}', '{SEEN}')"
)
_FORGET_PARTS = "DELETE FROM part WHERE server = ? AND path = ? AND file = ?"


@cache
def _numbered(count: int) -> str:
    """`(0, ?), (1, ?)`"""
    return ", ".join(f"({number}, ?)" for number in range(count))


class JournalError(PmarepError):
    """The journal failed in the middle of a run: nothing can be relied on any more, so sending ends."""

    remedy = Remedy.STOP_RUN


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A slide at a server: base URL and the virtual path of its main file."""

    server: str
    path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal knows of a slide at a place.

    `replaces`: when sending began, another slide was there, to be overwritten. `stamp`: what the site said of the files
    that `state` is about, or of those to be overwritten; None where it said too little to know them again.
    `upload` is the server's announcement as JSON, a secret; `files` and `parts` (number and ETag, by
    file) are the acknowledged ones of an unfinished upload. `source`: what its files were (Source.check).
    """

    state: str
    signature: str
    replaces: bool
    upload: str | None
    files: frozenset[str]
    parts: dict[str, dict[int, str]]
    source: str | None = None
    stamp: str | None = None


class Known(NamedTuple):
    """What the journal knows of a slide at a place, in short. `signature` is of the files that are (being) sent."""

    state: str
    signature: str


class Looks(NamedTuple):
    """At slides: how many there are, when one was last looked at (None: never), when the first was sent (epoch)."""

    slides: int
    newest: float | None
    first: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """`started` in seconds since the epoch; `summary` is None for a run that was killed or still goes on."""

    started: float
    sources: list[str]
    summary: dict[str, Any] | None


def signature(slide: Slide) -> str:
    """Changes whenever a file of the slide does: names, sizes and mtimes, hashed."""
    text = json.dumps(sorted((f.path, f.size, f.mtime_ns) for f in slide.files))
    return hashlib.sha256(text.encode()).hexdigest()


class Journal:
    """Calls run one after the other in a thread of their own; when one that writes returns, its row is committed.

    Raises UsageError when the file cannot be used.

    `mend`: a damaged file is put aside (`put_aside` says where to) and a new one begun, instead of an error.
    `read_only`: nothing is written to disk, not even where there is no file yet or one of an older pmarep.
    """

    def __init__(self, folder: Path, *, mend: bool = False, read_only: bool = False) -> None:
        self.file = folder / "journal.sqlite"
        self._open = OpenDatabase(self.file, mend=mend, read_only=read_only)
        self.put_aside = self._open.put_aside
        self._db = self._open.connection
        self._thread = DatabaseThread(self._db)
        self._signatures: dict[int, tuple[Slide, str]] = {}  # by id(slide): it is nobody else's while it is in here
        self._signed_files = 0

    def close(self) -> None:
        self._thread.close()
        self._open.close()

    async def _read(self, work: Callable[[], T]) -> T:
        with self._understood():
            return await self._thread.read(work)

    async def _write(self, work: Callable[[], T]) -> T:
        with self._understood():
            return await self._thread.write(work)

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
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

    # Slides

    def signature(self, slide: Slide) -> str:
        """As the function: computed once for all sites that come to the slide at about the same time."""
        known = self._signatures.get(id(slide))
        if known is None:
            known = self._signatures[id(slide)] = slide, signature(slide)
            self._signed_files += len(slide.files)
            while self._signed_files > MAX_CACHED_FILES and len(self._signatures) > 1:
                oldest, _ = self._signatures.pop(next(iter(self._signatures)))
                self._signed_files -= len(oldest.files)
        return known[1]

    async def known(self, server: str, paths: Sequence[str]) -> dict[str, Known]:
        """Of slides at one server, by their paths; without those of which nothing is known."""

        def work() -> dict[str, Known]:
            found = {}
            for start in range(0, len(paths), MAX_PATHS_PER_QUERY):
                some = paths[start : start + MAX_PATHS_PER_QUERY]
                # All in one row: sqlite3 gives up Python's lock for each, and gets it back from a busy thread late.
                ((rows,),) = self._db.execute(
                    f"WITH asked(number, path) AS (VALUES {_numbered(len(some))}) "  # noqa: S608
                    "SELECT group_concat(number || ' ' || state || ' ' || signature, char(10)) "
                    "FROM asked JOIN slide USING (path) WHERE server = ?",
                    (*some, server),
                )
                for row in (rows or "").split("\n"):
                    number, _, known = row.partition(" ")
                    if number.isdecimal():  # not so where nothing is known
                        state, _, signature = known.partition(" ")
                        found[some[int(number)]] = Known(state, signature)
            return found

        return await self._read(work)

    # Looks at what is at the sites already

    async def looks(self, server: str, below: str) -> Looks:
        """At slides below a folder of a server that are known to be there."""

        def work() -> Looks:
            count, newest, first = self._db.execute(
                f"SELECT count(*), max(looked.at), min(slide.changed) {_KNOWN_BELOW}",
                (server, below + "/", below + "0"),  # "0" comes after "/"
            ).fetchone()
            return Looks(count, newest, first)

        return await self._read(work)

    async def oldest_look(self, server: str, below: str, number: int) -> float:
        """When the slides were looked at, or sent, that were so the longest ago: the `number`th of them, from 1."""

        def work() -> float:
            row = self._db.execute(
                f"SELECT coalesce(looked.at, slide.changed) AS last {_KNOWN_BELOW} ORDER BY last LIMIT 1 OFFSET ?",
                (server, below + "/", below + "0", number - 1),
            ).fetchone()
            return 0.0 if row is None else float(row[0])

        return await self._read(work)

    async def not_looked_at_since(self, server: str, paths: Sequence[str], moment: float) -> dict[str, float]:
        """Those of these slides that were neither sent nor looked at since, and when they last were."""

        def work() -> dict[str, float]:
            found: dict[str, float] = {}
            for start in range(0, len(paths), MAX_PATHS_PER_QUERY):
                some = paths[start : start + MAX_PATHS_PER_QUERY]
                found.update(
                    self._db.execute(
                        "SELECT path, coalesce(looked.at, slide.changed) AS last "  # noqa: S608
                        "FROM slide LEFT JOIN looked USING (server, path) "
                        f"WHERE server = ? AND path IN ({', '.join('?' * len(some))}) AND last <= ?",
                        (server, *some, moment),
                    ).fetchall()
                )
            return found

        return await self._read(work)

    async def looked_at(self, server: str, paths: Sequence[str], moment: float) -> None:
        """Their files have been found as they should be."""

        def work() -> None:
            self._db.executemany(
                "INSERT OR REPLACE INTO looked SELECT server, path, ? FROM slide WHERE server = ? AND path = ?",
                [(moment, server, path) for path in paths],
            )

        await self._write(work)

    async def entry(self, place: RemotePath) -> Entry | None:
        def work() -> Entry | None:
            row = self._db.execute(
                "SELECT state, signature, replaces, upload, source, stamp FROM slide WHERE server = ? AND path = ?",
                (place.server, place.path),
            ).fetchone()
            if row is None:
                return None
            files = self._db.execute(
                "SELECT file FROM file WHERE server = ? AND path = ?", (place.server, place.path)
            ).fetchall()
            parts: dict[str, dict[int, str]] = {}
            for file, number, tag in self._db.execute(
                "SELECT file, number, tag FROM part WHERE server = ? AND path = ?", (place.server, place.path)
            ):
                parts.setdefault(file, {})[number] = tag
            names = frozenset(name for (name,) in files)
            entry = Entry(row[0], row[1], bool(row[2]), row[3], names, parts, row[4], row[5])
            _check(entry)
            return entry

        return await self._read(work)

    async def sending(
        self,
        place: RemotePath,
        signature: str,
        upload_id: int | str,
        upload: str,
        *,
        replaces: bool = False,
        source: str | None = None,
        stamp: str | None = None,
    ) -> None:
        """An upload was announced (`upload`: JSON); whatever was known of the place before is forgotten.

        An id belongs to one upload: another slide that had it at this server has lost its upload. A server that was
        restored from a backup gives ids out again, and the files of that slide would come to lie in this one.
        """
        await self._put(place, SENDING, signature, str(upload_id), upload, replaces, source, stamp)

    async def file_sent(self, place: RemotePath, file: str) -> None:
        """The server has acknowledged one whole file."""

        def work() -> None:
            self._db.execute("INSERT OR IGNORE INTO file VALUES (?, ?, ?)", (place.server, place.path, file))
            self._db.execute(_FORGET_PARTS, (place.server, place.path, file))

        await self._write(work)

    async def part_sent(self, place: RemotePath, file: str, number: int, tag: str) -> None:
        """The storage has acknowledged one part of a file."""

        def work() -> None:
            row = (place.server, place.path, file, number, tag)
            self._db.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)", row)

        await self._write(work)

    async def forget_parts(self, place: RemotePath, file: str) -> None:
        await self._write(lambda: self._db.execute(_FORGET_PARTS, (place.server, place.path, file)) and None)

    async def announced_again(self, place: RemotePath, upload_id: int | str, upload: str) -> None:
        """A new announcement of the same upload, for which the parts sent before are still good."""

        def work() -> None:
            self._free_id(place.server, str(upload_id))
            self._db.execute(
                "UPDATE slide SET upload_id = ?, upload = ? WHERE server = ? AND path = ?",
                (str(upload_id), upload, place.server, place.path),
            )

        await self._write(work)

    async def overtaken(self, place: RemotePath) -> None:
        """Another slide has come to the place of an unfinished upload: what was acknowledged is not ours any more."""

        def work() -> None:
            for table in ("file", "part"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE server = ? AND path = ?",  # noqa: S608
                    (place.server, place.path),
                )

        await self._write(work)

    async def broken(self, place: RemotePath, signature: str, stamp: str | None = None) -> None:
        """All was sent, but the slide is not there as it should be.

        `stamp` is of what is known to be ours and damaged: the next run sends it again. Without it, that run looks.
        """
        await self._put(place, BROKEN, signature, stamp=stamp)

    async def unreadable(self, place: RemotePath, signature: str, stamp: str | None = None) -> None:
        """All its bytes are at the site, and the server cannot open it: sending them again would not help."""
        await self._put(place, UNREADABLE, signature, stamp=stamp)

    async def sent(
        self, place: RemotePath, signature: str, stamp: str | None = None, *, source: str | None = None
    ) -> None:
        """The slide is at the site, whole and verified. `source`: what its files here were when they were sent."""
        await self._put(place, SENT, signature, source=source, stamp=stamp)

    async def seen(self, place: RemotePath, signature: str) -> None:
        """A slide with these files and sizes is at the site, and not from us as far as is known."""
        await self._put(place, SEEN, signature)

    async def differs(self, place: RemotePath, signature: str, stamp: str | None = None) -> None:
        """A slide that is not known to be ours is there, and is another than this one."""
        await self._put(place, DIFFERS, signature, stamp=stamp)

    def _free_id(self, server: str, upload_id: str) -> None:
        """Part of a write."""
        for (path,) in self._db.execute(
            "SELECT path FROM slide WHERE server = ? AND upload_id = ?", (server, upload_id)
        ).fetchall():
            for table in ("file", "part"):
                self._db.execute(f"DELETE FROM {table} WHERE server = ? AND path = ?", (server, path))  # noqa: S608
            self._db.execute(
                "UPDATE slide SET upload_id = NULL, upload = NULL WHERE server = ? AND path = ?", (server, path)
            )

    async def _put(
        self,
        place: RemotePath,
        state: str,
        signature: str,
        upload_id: str | None = None,
        upload: str | None = None,
        replaces: bool = False,
        source: str | None = None,
        stamp: str | None = None,
    ) -> None:
        def work() -> None:
            if upload_id is not None:
                self._free_id(place.server, upload_id)
            self._db.execute("DELETE FROM slide WHERE server = ? AND path = ?", (place.server, place.path))
            self._db.execute(
                "INSERT INTO slide VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (place.server, place.path, state, signature, upload_id, replaces, upload, time.time(), source, stamp),
            )

        await self._write(work)

    async def unfinished(self) -> list[RemotePath]:
        """Slides of which something may be at a server, but not all."""
        rows = await self._read(
            lambda: self._db.execute(
                "SELECT server, path FROM slide WHERE state IN (?, ?) ORDER BY server, path", (SENDING, BROKEN)
            ).fetchall()
        )
        return [RemotePath(*row) for row in rows]

    async def acknowledged(self) -> dict[RemotePath, tuple[int, int]]:
        """Of unfinished slides, how many whole files and how many parts of others their servers have."""
        rows = await self._read(
            lambda: self._db.execute(
                "SELECT server, path, (SELECT count(*) FROM file f WHERE f.server = s.server AND f.path = s.path), "
                "(SELECT count(*) FROM part p WHERE p.server = s.server AND p.path = s.path) "
                "FROM slide s WHERE state = ?",
                (SENDING,),
            ).fetchall()
        )
        return {RemotePath(server, path): (files, parts) for server, path, files, parts in rows}

    # Runs

    async def run_started(self, sources: list[str]) -> int:
        def work() -> int:
            cursor = self._db.execute(
                "INSERT INTO run (started, sources) VALUES (?, ?)", (time.time(), json.dumps(sources))
            )
            self._db.execute("DELETE FROM run WHERE id <= ?", ((cursor.lastrowid or 0) - 1000,))
            return cursor.lastrowid or 0

        return await self._write(work)

    async def run_finished(self, run: int, summary: dict[str, Any]) -> None:
        await self._write(
            lambda: self._db.execute("UPDATE run SET summary = ? WHERE id = ?", (json.dumps(summary), run)) and None
        )

    async def runs(self, count: int) -> list[Run]:
        """The last runs, newest first."""
        rows = await self._read(
            lambda: self._db.execute(
                "SELECT started, sources, summary FROM run ORDER BY id DESC LIMIT ?", (count,)
            ).fetchall()
        )
        with self._understood():
            return [_run(*row) for row in rows]


def _advice(error: sqlite3.Error) -> str:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return "is its disk full?"
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return "another program holds it"
    return "start again: the next run looks whether it is damaged"


def _check(entry: Entry) -> None:
    """Raises DamagedDatabaseError for what we have never written."""
    tags = [part for parts in entry.parts.values() for part in parts.items()]
    if (
        entry.state not in _STATES
        or not isinstance(entry.signature, str)
        or not all(isinstance(number, int) and isinstance(tag, str) for number, tag in tags)
    ):
        raise DamagedDatabaseError("a slide in it cannot be read")
    if entry.upload is not None:
        try:
            json.loads(entry.upload)
        except (TypeError, ValueError, RecursionError):  # without its words: it is a secret
            raise DamagedDatabaseError("an upload in it cannot be read") from None


def _run(started: float, sources: str, summary: str | None) -> Run:
    """Raises DamagedDatabaseError."""
    try:
        run = Run(float(started), json.loads(sources), json.loads(summary) if summary else None)
        good = all(isinstance(source, str) for source in run.sources) and (
            run.summary is None
            or (
                isinstance(run.summary["exit_code"], int)
                and all(site.keys() >= {"sent", "skipped", "failed"} for site in run.summary["sites"].values())
            )
        )
    except (TypeError, ValueError, RecursionError, KeyError, AttributeError):
        good = False
    if not good:
        raise DamagedDatabaseError("a run in it cannot be read")
    return run
