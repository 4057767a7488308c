"""What has been sent where: the only state on disk.

One SQLite file in the state folder, readable by its owner only. A row is written before it is relied on, so that after
a `kill -9` the next run knows which files of which upload a server has acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .database import damage_mark, is_damage, open_database
from .errors import PmarepError, Remedy
from .slides.model import Slide

T = TypeVar("T")
SENDING, BROKEN, SENT, SEEN, DIFFERS = "sending", "broken", "sent", "seen", "differs"

_FORGET_PARTS = "DELETE FROM part WHERE server = ? AND path = ? AND file = ?"


class JournalError(PmarepError):
    """The journal failed in the middle of a run: nothing can be relied on any more, so sending ends."""

    remedy = Remedy.STOP_RUN


@dataclass(frozen=True, slots=True)
class Place:
    """A slide at a server: base URL and the virtual path of its main file."""

    server: str
    path: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal knows of a slide at a place.

    `replaces`: when sending began, another slide was there, to be overwritten.
    `upload` is the server's announcement as JSON, a secret; `files` and `parts` (number and ETag, by
    file) are the acknowledged ones of an unfinished upload.
    """

    state: str
    signature: str
    replaces: bool
    upload: str | None
    files: frozenset[str]
    parts: dict[str, dict[int, str]]


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
    """Calls run one after the other in a thread of their own. Raises UsageError when the file cannot be used.

    `mend`: a damaged file is put aside (`put_aside` says where to) and a new one begun, instead of an error.
    """

    def __init__(self, folder: Path, *, mend: bool = False) -> None:
        self.file = folder / "journal.sqlite"
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._db, self.put_aside = open_database(self.file, mend=mend)

    @contextlib.contextmanager
    def _transaction(self) -> Any:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite ends it itself where the disk is full
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._db.close()

    async def _do(self, work: Callable[[], T]) -> T:
        # Shielded: a row that describes what the server has acknowledged is written even if the run is being stopped.
        try:
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work))
        except sqlite3.Error as error:
            if is_damage(error):
                self._mark_damaged()
                raise JournalError(
                    f"the journal {self.file} is damaged ({error}); the next run puts it aside and looks at the sites"
                ) from None
            raise JournalError(f"cannot use the journal {self.file} ({error}); is its disk full?") from None

    def _mark_damaged(self) -> None:
        with contextlib.suppress(OSError):
            damage_mark(self.file).touch()

    # Slides

    async def entry(self, place: Place) -> Entry | None:
        def work() -> Entry | None:
            row = self._db.execute(
                "SELECT state, signature, replaces, upload FROM slide WHERE server = ? AND path = ?",
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
            return Entry(row[0], row[1], bool(row[2]), row[3], frozenset(name for (name,) in files), parts)

        return await self._do(work)

    async def sending(
        self, place: Place, signature: str, upload_id: int | str, upload: str, *, replaces: bool = False
    ) -> None:
        """An upload was announced (`upload`: JSON); whatever was known of the place before is forgotten.

        An id belongs to one upload: another slide that had it at this server has lost its upload. A server that was
        restored from a backup gives ids out again, and the files of that slide would come to lie in this one.
        """
        await self._put(place, SENDING, signature, str(upload_id), upload, replaces)

    async def file_sent(self, place: Place, file: str) -> None:
        """The server has acknowledged one whole file."""

        def work() -> None:
            with self._transaction():
                self._db.execute("INSERT OR IGNORE INTO file VALUES (?, ?, ?)", (place.server, place.path, file))
                self._db.execute(_FORGET_PARTS, (place.server, place.path, file))

        await self._do(work)

    async def part_sent(self, place: Place, file: str, number: int, tag: str) -> None:
        """The storage has acknowledged one part of a file."""

        def work() -> None:
            row = (place.server, place.path, file, number, tag)
            self._db.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)", row)

        await self._do(work)

    async def forget_parts(self, place: Place, file: str) -> None:
        await self._do(lambda: self._db.execute(_FORGET_PARTS, (place.server, place.path, file)) and None)

    async def announced_again(self, place: Place, upload_id: int | str, upload: str) -> None:
        """A new announcement of the same upload, for which the parts sent before are still good."""

        def work() -> None:
            with self._transaction():
                self._free_id(place.server, str(upload_id))
                self._db.execute(
                    "UPDATE slide SET upload_id = ?, upload = ? WHERE server = ? AND path = ?",
                    (str(upload_id), upload, place.server, place.path),
                )

        await self._do(work)

    async def broken(self, place: Place, signature: str) -> None:
        """All was sent, but the slide is not there as it should be: the next run sends it again, whole."""
        await self._put(place, BROKEN, signature)

    async def sent(self, place: Place, signature: str) -> None:
        """The slide is at the site, whole and verified."""
        await self._put(place, SENT, signature)

    async def seen(self, place: Place, signature: str) -> None:
        """A slide with these files and sizes is at the site, and not from us as far as is known."""
        await self._put(place, SEEN, signature)

    async def differs(self, place: Place, signature: str) -> None:
        """A slide that is not known to be ours has these files and sizes, and other bytes."""
        await self._put(place, DIFFERS, signature)

    def _free_id(self, server: str, upload_id: str) -> None:
        """Inside a transaction."""
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
        place: Place,
        state: str,
        signature: str,
        upload_id: str | None = None,
        upload: str | None = None,
        replaces: bool = False,
    ) -> None:
        def work() -> None:
            with self._transaction():
                if upload_id is not None:
                    self._free_id(place.server, upload_id)
                self._db.execute("DELETE FROM slide WHERE server = ? AND path = ?", (place.server, place.path))
                self._db.execute(
                    "INSERT INTO slide VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (place.server, place.path, state, signature, upload_id, replaces, upload, time.time()),
                )

        await self._do(work)

    async def unfinished(self) -> list[Place]:
        """Slides of which something may be at a server, but not all."""
        rows = await self._do(
            lambda: self._db.execute(
                "SELECT server, path FROM slide WHERE state IN (?, ?) ORDER BY server, path", (SENDING, BROKEN)
            ).fetchall()
        )
        return [Place(*row) for row in rows]

    # Runs

    async def run_started(self, sources: list[str]) -> int:
        def work() -> int:
            cursor = self._db.execute(
                "INSERT INTO run (started, sources) VALUES (?, ?)", (time.time(), json.dumps(sources))
            )
            self._db.execute("DELETE FROM run WHERE id <= ?", ((cursor.lastrowid or 0) - 1000,))
            return cursor.lastrowid or 0

        return await self._do(work)

    async def run_finished(self, run: int, summary: dict[str, Any]) -> None:
        await self._do(
            lambda: self._db.execute("UPDATE run SET summary = ? WHERE id = ?", (json.dumps(summary), run)) and None
        )

    async def runs(self, count: int) -> list[Run]:
        """The last runs, newest first."""
        rows = await self._do(
            lambda: self._db.execute(
                "SELECT started, sources, summary FROM run ORDER BY id DESC LIMIT ?", (count,)
            ).fetchall()
        )
        return [Run(row[0], json.loads(row[1]), json.loads(row[2]) if row[2] else None) for row in rows]
