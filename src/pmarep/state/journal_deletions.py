"""What the journal forgets of slides that are deleted at a site: it must not claim that they are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from ..system.windows_names import normalized_key
from .connection import JournalConnection
from .records import SENDING


class JournalDeletions(JournalConnection):
    """The part of a journal that is about slides which are deleted."""

    async def recorded_as(self, server: str, paths: Collection[str]) -> dict[str, list[str]]:
        """Return under which paths slides at a server are recorded that it calls by these; without those that are not.

        The journal has the names that were asked for, and the server those that it lists: case, and composed and
        decomposed letters, may differ.
        """
        wanted = defaultdict[str, list[str]](list)
        for path in paths:
            wanted[normalized_key(path)].append(path)

        def work() -> dict[str, list[str]]:
            found = defaultdict[str, list[str]](list)
            for (recorded,) in self._db.execute("SELECT path FROM slide WHERE server = ?", (server,)):
                for path in wanted.get(normalized_key(recorded), ()):
                    found[path].append(recorded)
            return dict(found)

        return await self._read(work) if wanted else {}

    async def forget_slides(self, server: str, recorded: Iterable[str], *, only_unfinished: bool = False) -> None:
        """Delete what is recorded of slides, or only what was acknowledged of their unfinished uploads."""
        rows = [(server, path) for path in recorded]
        which = f" AND state = '{SENDING}'" if only_unfinished else ""
        sql = f"DELETE FROM slide WHERE server = ? AND path = ?{which}"  # noqa: S608
        if rows:
            await self._write(lambda: self._db.executemany(sql, rows) and None)
