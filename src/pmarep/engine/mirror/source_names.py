"""The names of all that the sources of a run have, in a temporary file: what a mirror must leave at the sites."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import accumulate

from ...sites.name_map import OWN_NAMES, NameMap, SiteNames
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
    in the thread that looks through the sources. `names`: what slides are called at `sites`, where that is another
    name. Raises TemporaryFileError.
    """

    def __init__(self, names: NameMap | None = None, sites: Sequence[str] = ()) -> None:
        self._at = {} if names is None else {site: names.of(site) for site in sites}
        self._given = {
            site: frozenset(collision_key(row.to) for row in found.rows()) for site, found in self._at.items()
        }
        super().__init__(
            (
                "CREATE TABLE sent (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "CREATE TABLE left_out (key TEXT PRIMARY KEY) WITHOUT ROWID",
                "CREATE TABLE not_taken (key TEXT PRIMARY KEY) WITHOUT ROWID",  # of main files, behind a site and a "/"
                "CREATE TABLE named (key TEXT PRIMARY KEY) WITHOUT ROWID",  # of files that have another name there
                "CREATE TABLE renamed (key TEXT PRIMARY KEY) WITHOUT ROWID",  # of the same, by their own names
            ),
            "names of the source",
        )

    def add_slides(self, slides: Sequence[Slide], excluded: Mapping[tuple[str, str], Sequence[int]]) -> None:
        """Add all files of slides that are sent. `excluded`: indices of those that sites do not take, by site first."""
        self._insert("sent", (key for slide in slides for key in collision_keys(slide)))
        for site, names in self._at.items():
            for slide in slides:
                if names.row(slide.path) is not None:
                    self._insert("named", (f"{site}/{key}" for key in collision_keys(names.named(slide))))
                    self._insert("renamed", (f"{site}/{key}" for key in collision_keys(slide)))
        for (site, _), indices in excluded.items():
            taken = self._at.get(site, OWN_NAMES)
            not_taken = (collision_key(_path_at(taken, slides[index])) for index in indices)
            self._insert("not_taken", (f"{site}/{key}" for key in not_taken))

    def add_left_out(self, paths: Sequence[str]) -> None:
        """Add files and folders that are not sent, with all that is in them; their names as LeftOut has them."""
        self._insert("left_out", (collision_key(path.strip("/")) for path in paths))

    def has(self, path: str, site: str = "") -> Had:
        """Return how the source has a file, by its path from the folder that is mirrored.

        `site`: where a main file that this site does not take counts as left out. At a site, names of a map count.
        """
        keys = {collision_key(path), collision_key(printable(path))}
        with self._lock:
            if any(self._is_sent(key, site) for key in keys):
                is_taken = not site or not any(self._is_in("not_taken", f"{site}/{key}") for key in keys)
                return Had.SENT if is_taken else Had.LEFT_OUT
            if not keys.isdisjoint(self._given.get(site, ())):  # of a slide that options leave out
                return Had.LEFT_OUT
            levels = (level for key in keys for level in accumulate(key.split("/"), "{}/{}".format))
            return Had.LEFT_OUT if any(self._is_in("left_out", level) for level in levels) else Had.NOT

    def _is_sent(self, key: str, site: str) -> bool:
        at = f"{site}/{key}"
        if site in self._at and self._is_in("named", at):
            return True
        return self._is_in("sent", key) and not (site in self._at and self._is_in("renamed", at))

    def _is_in(self, table: str, key: str) -> bool:
        return self._execute(f"SELECT 1 FROM {table} WHERE key = ?", (key,)).fetchone() is not None  # noqa: S608

    def _insert(self, table: str, keys: Iterable[str]) -> None:
        with self._lock:
            self._many(f"INSERT OR IGNORE INTO {table} VALUES (?)", ((key,) for key in keys))  # noqa: S608


def _path_at(names: SiteNames, slide: Slide) -> str:
    """Return the path of a slide at a site, from the folder that is mirrored."""
    row = names.row(slide.path)
    return slide.path if row is None else row.to
