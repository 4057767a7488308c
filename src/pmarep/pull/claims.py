"""Which file of which site goes to which name in DIR, so that no two go to one."""

from __future__ import annotations

from ..engine.discovery.collisions import NameCollisions


class Claims(NameCollisions[str]):
    """The files, with their sites, that have the names in DIR (two slides may share one), and what was found.

    Raises TemporaryFileError.
    """

    def __init__(self) -> None:
        super().__init__(["CREATE TABLE found (key TEXT PRIMARY KEY) WITHOUT ROWID"])

    def is_new(self, found: str) -> bool:
        """Return whether something is found for the first time: a walk that was broken off begins again."""
        with self._lock:
            return self._execute("INSERT OR IGNORE INTO found VALUES (?)", (found,)).rowcount == 1
