"""Take over what other journals of a state folder know: the shards' for a run of all slides, and the other way round.

So nothing is looked at again, and nothing that is partly sent begins again, when a folder is divided among nodes in
another way. For each slide at a site the journal counts that has recorded something last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import PmarepError
from ..slides.shard import Shard
from .connection import JournalConnection
from .records import MAX_PATHS_PER_QUERY
from .state_folders import state_folders

log = logging.getLogger(__name__)

PAGE = 5_000
"""Slides that are compared at once."""

_KNOWN = (
    "SELECT path, changed, coalesce(looked.at, 0) FROM slide LEFT JOIN looked USING (server, path) WHERE server = ? AND"
)


class Scope(NamedTuple):
    """The slides below a folder of a server."""

    server: str
    folder: str


class _Known(NamedTuple):
    """When a slide's state was recorded, and when its files there were last looked at; seconds since the epoch."""

    changed: float
    looked: float


class _Entry(NamedTuple):
    """All rows about a slide. `slide` in the order of the columns; `changed` is its eighth."""

    slide: tuple[Any, ...]
    files: list[tuple[Any, ...]]
    parts: list[tuple[Any, ...]]
    looked: float


async def take_over(
    own: Path, others: Iterable[Path], scopes: Sequence[Scope], shard: Shard | None, note: Callable[[str], None]
) -> None:
    """Take over into the journal in the state folder `own` what others know of the slides of `shard` (None: of all).

    For a run that holds the targets of `scopes`. Says by `note` which journal cannot be read: then the listings of the
    sites tell what is there. Raises UsageError and JournalError about the own one.
    """
    found = [folder for folder in others if (folder / "journal.sqlite").exists()]
    if not found or not scopes:
        return
    mine = _JournalPages(own / "journal.sqlite")
    try:
        for folder in found:
            await _take_from(folder, mine, scopes, shard, note)
    finally:
        mine.close()


def other_states(state_dir: Path, shard: Shard | None) -> list[Path]:
    """Return the state folders in which runs may have sent the same slides as a run of `shard`: not those beside it."""
    return [
        folder.path
        for folder in state_folders([state_dir])
        if folder.node is not None
        or (folder.shard != shard and (shard is None or folder.shard is None or folder.shard.count != shard.count))
    ]


class SlideTakeOver:
    """Takes over what other journals know of single slides that the own one does not know, as they are asked for.

    For runs to which slides are given, and that know of none before. Raises UsageError and JournalError about the own
    one; others that cannot be read are passed over.
    """

    def __init__(self, own: Path, others: Iterable[Path]) -> None:
        self._mine = _JournalPages(own / "journal.sqlite")
        self._others: list[_JournalPages] = []
        for folder in others:
            if folder != own and (folder / "journal.sqlite").exists():
                try:
                    self._others.append(_JournalPages(folder / "journal.sqlite", read_only=True))
                except PmarepError as error:
                    log.debug("%s", error)

    async def take(self, server: str, paths: Sequence[str]) -> None:
        """Take over what is known about slides of a server, from whichever journal has it latest."""
        if not self._others:
            return
        own = await self._mine.known(server, paths)
        unknown = [path for path in paths if path not in own]
        latest: dict[str, tuple[_Known, _JournalPages]] = {}
        for other in list(self._others):
            try:
                for path, known in (await other.known(server, unknown)).items() if unknown else ():
                    if _is_newer(known, latest[path][0] if path in latest else None):
                        latest[path] = known, other
            except PmarepError as error:
                log.debug("%s", error)
                self._others.remove(other)
        for other in self._others:
            if found := [path for path, (_, whose) in latest.items() if whose is other]:
                await self._mine.put(await other.entries(server, found))

    def close(self) -> None:
        """Close all journals."""
        for journal in (self._mine, *self._others):
            journal.close()


async def _take_from(
    folder: Path, mine: _JournalPages, scopes: Sequence[Scope], shard: Shard | None, note: Callable[[str], None]
) -> None:
    try:
        theirs = _JournalPages(folder / "journal.sqlite", read_only=True)
    except PmarepError as error:
        note(f"{error}; what was sent by it is found out from the listings of the sites")
        return
    try:
        for scope in scopes:
            after = ""
            while True:
                try:
                    page = await theirs.page(scope, after)
                except PmarepError as error:
                    note(f"{error}; the rest of it is found out from the listings of the sites")
                    return
                if not page:
                    break
                own = await mine.known(scope.server, list(page))
                after = next(reversed(page))
                start = len(scope.folder) + 1
                newer = [
                    path
                    for path, known in page.items()
                    if _is_newer(known, own.get(path)) and (shard is None or shard.has(path[start:]))
                ]
                if newer:
                    await mine.put(await theirs.entries(scope.server, newer))
    finally:
        theirs.close()


def _is_newer(known: _Known, own: _Known | None) -> bool:
    return own is None or known.changed > own.changed or (known.changed == own.changed and known.looked > own.looked)


class _JournalPages(JournalConnection):
    """A journal that is read, and written to, by pages of slides."""

    async def page(self, scope: Scope, after: str) -> dict[str, _Known]:
        """Return the next slides of a scope by their paths, in the order of these; empty at the end."""
        low, high = max(after, scope.folder + "/"), scope.folder + "0"  # "0" comes after "/"
        query = f"{_KNOWN} path > ? AND path < ? ORDER BY path LIMIT ?"
        return await self._read(lambda: self._known(query, scope.server, low, high, PAGE))

    async def known(self, server: str, paths: Sequence[str]) -> dict[str, _Known]:
        """Return those of these slides that are known at a server."""

        def work() -> dict[str, _Known]:
            found: dict[str, _Known] = {}
            for start in range(0, len(paths), MAX_PATHS_PER_QUERY):
                some = paths[start : start + MAX_PATHS_PER_QUERY]
                found |= self._known(f"{_KNOWN} path IN ({', '.join('?' * len(some))})", server, *some)
            return found

        return await self._read(work)

    def _known(self, query: str, *values: str | int) -> dict[str, _Known]:
        return {path: _Known(changed, looked) for path, changed, looked in self._db.execute(query, values)}

    async def entries(self, server: str, paths: Sequence[str]) -> list[_Entry]:
        """Return all rows about slides, but for those that have gone meanwhile; the oldest first."""

        def one(path: str) -> _Entry | None:
            slide, files, parts, looked = (
                self._db.execute(f"SELECT * FROM {table} WHERE server = ? AND path = ?", (server, path)).fetchall()  # noqa: S608
                for table in ("slide", "file", "part", "looked")
            )
            return _Entry(slide[0], files, parts, looked[0][2] if looked else 0.0) if slide else None

        found = await self._read(lambda: [entry for path in paths if (entry := one(path)) is not None])
        return sorted(found, key=lambda entry: float(entry.slide[7]))

    async def put(self, entries: Sequence[_Entry]) -> None:
        """Put entries in place of what is known about the same slides."""

        def work() -> None:
            for entry in entries:
                self._put(entry)

        await self._write(work)

    def _put(self, entry: _Entry) -> None:
        server, path, _, _, upload_id, *_ = entry.slide
        slide, files, parts = list(entry.slide), entry.files, entry.parts
        self._db.execute("DELETE FROM slide WHERE server = ? AND path = ?", (server, path))
        if upload_id is not None and not self._claim(server, upload_id, float(entry.slide[7])):
            slide[4] = slide[6] = None
            files, parts = [], []
        self._db.execute(f"INSERT INTO slide VALUES ({', '.join('?' * len(slide))})", slide)  # noqa: S608
        self._db.executemany("INSERT INTO file VALUES (?, ?, ?)", files)
        self._db.executemany("INSERT INTO part VALUES (?, ?, ?, ?, ?)", parts)
        if entry.looked:
            self._db.execute("INSERT INTO looked VALUES (?, ?, ?)", (server, path, entry.looked))

    def _claim(self, server: str, upload_id: str, changed: float) -> bool:
        """Take an upload id from slides that had it before; return False where one had it later (see Journal)."""
        others = self._db.execute(
            "SELECT path, changed FROM slide WHERE server = ? AND upload_id = ?", (server, upload_id)
        ).fetchall()
        if any(later >= changed for _, later in others):
            return False
        for path, _ in others:
            for table in ("file", "part"):
                self._db.execute(f"DELETE FROM {table} WHERE server = ? AND path = ?", (server, path))  # noqa: S608
            self._db.execute(
                "UPDATE slide SET upload_id = NULL, upload = NULL WHERE server = ? AND path = ?", (server, path)
            )
        return True
