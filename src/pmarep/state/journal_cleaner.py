"""Take entries and runs out of the journal that are not needed any more, and keep it from growing for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .journal import Journal
from .records import RemotePath

CHUNK = 10_000
"""Entries that are deleted at once: other runs wait for the journal meanwhile."""


class KnownEntry(NamedTuple):
    """A slide in the journal, its state, and when it was last sent or looked at (seconds since the epoch)."""

    place: RemotePath
    state: str
    last: float


class JournalCleaner(Journal):
    """A journal from which something is to be taken."""

    async def entries(self, wanted: Callable[[KnownEntry], bool]) -> list[KnownEntry]:
        """Return the entries that are `wanted`, by server and path. It is called in the journal's thread."""

        def work() -> list[KnownEntry]:
            rows = self._db.execute(
                "SELECT server, path, state, max(changed, coalesce(looked.at, 0)) "
                "FROM slide LEFT JOIN looked USING (server, path) ORDER BY server, path"
            )
            found = (KnownEntry(RemotePath(server, path), state, last) for server, path, state, last in rows)
            return [entry for entry in found if wanted(entry)]

        return await self._read(work)

    async def forget(self, entries: Sequence[KnownEntry]) -> None:
        """Delete entries with all that belongs to them, but for those that a run has changed since they were read."""
        for start in range(0, len(entries), CHUNK):
            rows = [(entry.place.server, entry.place.path, entry.last) for entry in entries[start : start + CHUNK]]
            await self._write(
                lambda rows=rows: (
                    self._db.executemany(  # type: ignore[misc]
                        "DELETE FROM slide WHERE server = ? AND path = ? AND changed <= ?", rows
                    )
                    and None
                )
            )

    async def forget_runs(self, numbers: Sequence[int]) -> None:
        """Delete runs by their numbers."""
        rows = [(number,) for number in numbers]
        await self._write(lambda: self._db.executemany("DELETE FROM run WHERE id = ?", rows) and None)
