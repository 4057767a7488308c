"""The names of all that the sources of a run have, in a temporary file: what a mirror must leave at the sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import accumulate

from ...slides import Slide
from ...system.temporary_database import TemporaryDatabase
from ...system.windows_names import collision_key
from ...text import printable
from ..discovery.collisions import collision_keys


class Had(Enum):
    """How the source has a name. `LEFT_OUT`: not sent, so that nobody knows which files belong to it at the site."""

    NOT = "not"
    SENT = "sent"
    LEFT_OUT = "left out"


class SourceNames(TemporaryDatabase):
    """Names of files that are sent, and of files and folders that are left out, by paths from their sources.

    Two names that any server may take for one are one (`collision_key`): where that is in doubt, a slide stays. Filled
    in the thread that looks through the sources. Raises TemporaryFileError.
    """

    def __init__(self) -> None:
        super().__init__(
            (
                "CREATE TABLE sent (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "CREATE TABLE left_out (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "CREATE TABLE not_taken (key TEXT PRIMARY KEY) WITHOUT ROWID",  # of main files, behind a site and a "/"
            ),
            "names of the source",
        )

    def add_slides(self, slides: Sequence[Slide], excluded: Mapping[tuple[str, str], Sequence[int]]) -> None:
        """Add all files of slides that are sent. `excluded`: indices of those that sites do not take, by site first."""
        self._insert("sent", (key for slide in slides for key in collision_keys(slide)))
        for (site, _), indices in excluded.items():
            self._insert("not_taken", (f"{site}/{collision_key(slides[index].path)}" for index in indices))

    def add_left_out(self, paths: Sequence[str]) -> None:
        """Add files and folders that are not sent, with all that is in them; their names as LeftOut has them."""
        self._insert("left_out", (collision_key(path.strip("/")) for path in paths))

    def has(self, path: str, site: str = "") -> Had:
        """Return how the source has a file, by its path from the folder that is mirrored.

        `site`: where a main file that this site does not take counts as left out.
        """
        keys = {collision_key(path), collision_key(printable(path))}
        with self._lock:
            if any(self._is_in("sent", key) for key in keys):
                is_taken = not site or not any(self._is_in("not_taken", f"{site}/{key}") for key in keys)
                return Had.SENT if is_taken else Had.LEFT_OUT
            levels = (level for key in keys for level in accumulate(key.split("/"), "{}/{}".format))
            return Had.LEFT_OUT if any(self._is_in("left_out", level) for level in levels) else Had.NOT

    def _is_in(self, table: str, key: str) -> bool:
        return self._execute(f"SELECT 1 FROM {table} WHERE key = ?", (key,)).fetchone() is not None  # noqa: S608

    def _insert(self, table: str, keys: Iterable[str]) -> None:
        with self._lock:
            self._many(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((key,) for key in keys))  # noqa: S608
