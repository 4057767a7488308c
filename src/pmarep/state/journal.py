"""The journal of what has been sent where: the only state on disk.

One SQLite file in the state folder, readable by its owner only. A row is written before it is relied on, so that after
a `kill -9` the next run knows which files of which upload a server has acknowledged.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..slides.model import Slide
from .journal_bounds import bound
from .journal_deletions import JournalDeletions
from .records import (
    BROKEN,
    DIFFERS,
    MAX_PATHS_PER_QUERY,
    SEEN,
    SENDING,
    SENT,
    UNREADABLE,
    CheckSummary,
    Entry,
    KnownState,
    RemotePath,
    Run,
    SignatureCache,
    check_entry,
    read_run,
    read_sizes,
)

_KNOWN_BELOW = (
    "FROM slide LEFT JOIN looked USING (server, path) "
    f"WHERE server = ? AND path >= ? AND path < ? AND state IN ('{SENT}', '{SEEN}')"
)
_FORGET_PARTS = "DELETE FROM part WHERE server = ? AND path = ? AND file = ?"


@cache
def _numbered(count: int) -> str:
    """Return `(0, ?), (1, ?), ...`: so many rows of SQL values."""
    return ", ".join(f"({number}, ?)" for number in range(count))


class Journal(JournalDeletions):
    """The record of what has been sent where. When a method that writes returns, its row is committed.

    Calls run one after the other in a thread of their own. Raises UsageError when the file cannot be used, JournalError
    when it fails later.

    `mend`: a damaged file is put aside (`put_aside` says where to) and a new one begun, instead of an error.
    `read_only`: the file is not written to, not even where there is none yet or one of an older pmarep.
    """

    def __init__(self, folder: Path, *, mend: bool = False, read_only: bool = False) -> None:
        super().__init__(folder / "journal.sqlite", mend=mend, read_only=read_only)
        self._signatures = SignatureCache()

    # Slides

    def signature(self, slide: Slide) -> str:
        """Return the signature of a slide's files, from a cache."""
        return self._signatures.get(slide)

    async def known(self, server: str, paths: Sequence[str]) -> dict[str, KnownState]:
        """Return the states of slides at one server, by their paths; without those of which nothing is known."""

        def work() -> dict[str, KnownState]:
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
                        found[some[int(number)]] = KnownState(state, signature)
            return found

        return await self._read(work)

    # Checks of slides that are at the sites already

    async def check_summary(self, server: str, below: str) -> CheckSummary:
        """Summarize the checks of the slides that are known to be below a folder of a server."""

        def work() -> CheckSummary:
            count, newest, first = self._db.execute(
                f"SELECT count(*), max(looked.at), min(slide.changed) {_KNOWN_BELOW}",
                (server, below + "/", below + "0"),  # "0" comes after "/"
            ).fetchone()
            return CheckSummary(count, newest, first)

        return await self._read(work)

    async def oldest_check(self, server: str, below: str, number: int) -> float:
        """Return when the `number`th slide (from 1) was checked or sent, in the order of those times, oldest first."""

        def work() -> float:
            row = self._db.execute(
                f"SELECT coalesce(looked.at, slide.changed) AS last {_KNOWN_BELOW} ORDER BY last LIMIT 1 OFFSET ?",
                (server, below + "/", below + "0", number - 1),
            ).fetchone()
            return 0.0 if row is None else float(row[0])

        return await self._read(work)

    async def not_checked_since(self, server: str, paths: Sequence[str], moment: float) -> dict[str, float]:
        """Return those of these slides that were neither sent nor checked since a moment, and when they last were."""

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

    async def record_checked(self, server: str, paths: Sequence[str], moment: float) -> None:
        """Record that the files of slides have been found as they should be."""

        def work() -> None:
            self._db.executemany(
                "INSERT OR REPLACE INTO looked SELECT server, path, ? FROM slide WHERE server = ? AND path = ?",
                [(moment, server, path) for path in paths],
            )

        await self._write(work)

    async def entry(self, place: RemotePath) -> Entry | None:
        """Return everything that is recorded about a slide; None where that is nothing."""

        def work() -> Entry | None:
            row = self._db.execute(
                "SELECT state, signature, replaces, upload, source, stamp, sizes "
                "FROM slide WHERE server = ? AND path = ?",
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
            entry = Entry(row[0], row[1], bool(row[2]), row[3], names, parts, row[4], row[5], read_sizes(row[6]))
            check_entry(entry)
            return entry

        return await self._read(work)

    async def record_announced(
        self,
        place: RemotePath,
        signature: str,
        upload_id: int | str,
        upload: str,
        *,
        replaces: bool = False,
        source: str | None = None,
        stamp: str | None = None,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        """Record an announced upload (`upload`: JSON), in place of everything known about the slide before.

        An id belongs to one upload: another slide that had it at this server has lost its upload. A server that was
        restored from a backup gives ids out again, and the files of that slide would come to lie in this one.
        """
        await self._put(place, SENDING, signature, str(upload_id), upload, replaces, source, stamp, sizes)

    async def record_file_sent(self, place: RemotePath, file: str) -> None:
        """Record that the server has acknowledged one whole file."""

        def work() -> None:
            self._db.execute("INSERT OR IGNORE INTO file VALUES (?, ?, ?)", (place.server, place.path, file))
            self._db.execute(_FORGET_PARTS, (place.server, place.path, file))

        await self._write(work)

    async def record_part_sent(self, place: RemotePath, file: str, number: int, tag: str) -> None:
        """Record that the storage has acknowledged one part of a file."""

        def work() -> None:
            row = (place.server, place.path, file, number, tag)
            self._db.execute("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?, ?)", row)

        await self._write(work)

    async def forget_parts(self, place: RemotePath, file: str) -> None:
        """Forget the acknowledged parts of a file, which has to be sent anew."""
        await self._write(lambda: self._db.execute(_FORGET_PARTS, (place.server, place.path, file)) and None)

    async def record_reannounced(self, place: RemotePath, upload_id: int | str, upload: str) -> None:
        """Record a new announcement of the same upload, for which the parts sent before are still good."""

        def work() -> None:
            self._free_id(place.server, str(upload_id))
            self._db.execute(
                "UPDATE slide SET upload_id = ?, upload = ? WHERE server = ? AND path = ?",
                (str(upload_id), upload, place.server, place.path),
            )

        await self._write(work)

    async def record_overtaken(self, place: RemotePath) -> None:
        """Forget what was acknowledged of an unfinished upload: another slide has come to its path."""

        def work() -> None:
            for table in ("file", "part"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE server = ? AND path = ?",  # noqa: S608
                    (place.server, place.path),
                )

        await self._write(work)

    async def record_broken(self, place: RemotePath, signature: str, stamp: str | None = None) -> None:
        """Record that all was sent, but the slide is not there as it should be.

        `stamp` is of what is known to be ours and damaged: the next run sends it again. Without it, that run looks.
        """
        await self._put(place, BROKEN, signature, stamp=stamp)

    async def record_unreadable(self, place: RemotePath, signature: str, stamp: str | None = None) -> None:
        """Record that all bytes are at the site and the server cannot open them: sending them again would not help."""
        await self._put(place, UNREADABLE, signature, stamp=stamp)

    async def record_sent(
        self, place: RemotePath, signature: str, stamp: str | None = None, *, source: str | None = None
    ) -> None:
        """Record that the slide is at the site, whole and verified.

        `source`: the identities (inodes, ctimes) of its files here when they were sent.
        """
        await self._put(place, SENT, signature, source=source, stamp=stamp)

    async def record_seen(self, place: RemotePath, signature: str) -> None:
        """Record that a slide with these files and sizes is at the site, not sent by us as far as is known."""
        await self._put(place, SEEN, signature)

    async def record_different(self, place: RemotePath, signature: str, stamp: str | None = None) -> None:
        """Record that another slide than this one is there, which is not known to be ours."""
        await self._put(place, DIFFERS, signature, stamp=stamp)

    def _free_id(self, server: str, upload_id: str) -> None:
        """Take an upload id from the slide that had it, with all that was acknowledged. Part of a write."""
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
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        sizes_text = None if sizes is None else json.dumps(dict(sizes))

        def work() -> None:
            if upload_id is not None:
                self._free_id(place.server, upload_id)
            self._db.execute("DELETE FROM slide WHERE server = ? AND path = ?", (place.server, place.path))
            self._db.execute(
                "INSERT INTO slide VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    place.server,
                    place.path,
                    state,
                    signature,
                    upload_id,
                    replaces,
                    upload,
                    time.time(),
                    source,
                    stamp,
                    sizes_text,
                ),
            )

        await self._write(work)

    async def unfinished(self) -> dict[RemotePath, float]:
        """Return the slides of which something may be at a server, but not all, and since when, in seconds."""
        rows = await self._read(
            lambda: self._db.execute(
                "SELECT server, path, changed FROM slide WHERE state IN (?, ?) ORDER BY server, path", (SENDING, BROKEN)
            ).fetchall()
        )
        return {RemotePath(server, path): float(since) for server, path, since in rows}

    # Runs

    async def record_run_started(self, sources: list[str]) -> int:
        """Record the beginning of a run; return its number. What is too much by now is deleted."""

        def work() -> int:
            cursor = self._db.execute(
                "INSERT INTO run (started, sources) VALUES (?, ?)", (time.time(), json.dumps(sources))
            )
            number = cursor.lastrowid or 0
            bound(self._db, number)
            return number

        return await self._write(work)

    async def record_run_finished(self, run: int, summary: dict[str, Any]) -> None:
        """Record the summary of a run."""
        await self._write(
            lambda: self._db.execute("UPDATE run SET summary = ? WHERE id = ?", (json.dumps(summary), run)) and None
        )

    async def runs(self, count: int) -> list[Run]:
        """Return the last runs, newest first."""
        rows = await self._read(
            lambda: self._db.execute(
                "SELECT id, started, sources, summary FROM run ORDER BY id DESC LIMIT ?", (count,)
            ).fetchall()
        )
        with self._translated_errors():
            return [read_run(*row) for row in rows]
