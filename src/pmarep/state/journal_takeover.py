"""Take over what other journals of a state folder know: the shards' for a run of all slides, and the other way round.

So nothing is looked at again, and nothing that is partly sent begins again, when a folder is divided among nodes in
another way. For each slide at a site the journal counts that has recorded something last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
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
        unknown = await self._mine.unknown(server, paths)
        if not unknown:
            return
        latest: dict[str, tuple[_Known, _JournalPages]] = {}
        for other in list(self._others):
            try:
                for path, known in (await other.known(server, unknown)).items():
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


def _pages(paths: Sequence[str]) -> Iterator[Sequence[str]]:
    """Divide paths into as many as one question may be about."""
    return (paths[start : start + MAX_PATHS_PER_QUERY] for start in range(0, len(paths), MAX_PATHS_PER_QUERY))


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


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
            for some in _pages(paths):
                found |= self._known(f"{_KNOWN} path IN ({_marks(some)})", server, *some)
            return found

        return await self._read(work)

    async def unknown(self, server: str, paths: Sequence[str]) -> list[str]:
        """Return those of these slides of which nothing is known at a server."""

        def work() -> list[str]:
            found: set[str] = set()
            for some in _pages(paths):
                query = f"SELECT path FROM slide WHERE server = ? AND path IN ({_marks(some)})"  # noqa: S608
                found.update(path for (path,) in self._db.execute(query, (server, *some)))
            return [path for path in paths if path not in found]

        return await self._read(work)

    def _known(self, query: str, *values: str | int) -> dict[str, _Known]:
        return {path: _Known(changed, looked) for path, changed, looked in self._db.execute(query, values)}

    async def entries(self, server: str, paths: Sequence[str]) -> list[_Entry]:
        """Return all rows about slides, but for those that have gone meanwhile; the oldest first."""

        def work() -> list[_Entry]:
            found: dict[str, _Entry] = {}
            for some in _pages(paths):
                slides, files, parts, looked = (
                    self._db.execute(
                        f"SELECT * FROM {table} WHERE server = ? AND path IN ({_marks(some)})",  # noqa: S608
                        (server, *some),
                    ).fetchall()
                    for table in ("slide", "file", "part", "looked")
                )
                at = {path: time for _, path, time in looked}
                found |= {row[1]: _Entry(row, [], [], at.get(row[1], 0.0)) for row in slides}
                for row in files:
                    if row[1] in found:  # else another process has changed it meanwhile
                        found[row[1]].files.append(row)
                for row in parts:
                    if row[1] in found:
                        found[row[1]].parts.append(row)
            return sorted(found.values(), key=lambda entry: float(entry.slide[7]))

        return await self._read(work)

    async def put(self, entries: Sequence[_Entry]) -> None:
        """Put entries in place of what is known about the same slides."""

        def work() -> None:
            # First those with uploads, while rows that others replace still tell who had an upload id later.
            for entry in entries:
                if entry.slide[4] is not None:
                    self._put([self._claimed(entry)])
            self._put([entry for entry in entries if entry.slide[4] is None])

        await self._write(work)

    def _put(self, entries: Sequence[_Entry]) -> None:
        if not entries:
            return
        every, columns = self._db.executemany, _marks(entries[0].slide)
        every("DELETE FROM slide WHERE server = ? AND path = ?", [entry.slide[:2] for entry in entries])
        every(f"INSERT INTO slide VALUES ({columns})", [entry.slide for entry in entries])  # noqa: S608
        every("INSERT INTO file VALUES (?, ?, ?)", [row for entry in entries for row in entry.files])
        every("INSERT INTO part VALUES (?, ?, ?, ?, ?)", [row for entry in entries for row in entry.parts])
        looked = [(*entry.slide[:2], entry.looked) for entry in entries if entry.looked]
        every("INSERT INTO looked VALUES (?, ?, ?)", looked)

    def _claimed(self, entry: _Entry) -> _Entry:
        """Claim the upload id of an entry; return the entry without its upload where that is no longer its own."""
        server, path, _, _, upload_id, _, _, changed, *_ = entry.slide
        self._db.execute("DELETE FROM slide WHERE server = ? AND path = ?", (server, path))
        if self._claim(server, upload_id, float(changed)):
            return entry
        slide = list(entry.slide)
        slide[4] = slide[6] = None
        return entry._replace(slide=tuple(slide), files=[], parts=[])

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
