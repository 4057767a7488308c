"""Check a map of names against the slides of a run, before anything is sent: `--map`.

Everything that is wrong is found in one walk through the sources, and said at once with line and column: a slide that
is not there, a name that a slide cannot have, and files of two slides that would have one place at a site. Sites
without rows of their own in the map are checked as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ...sites.csv_rows import CsvProblems
from ...sites.name_map import MapRow, NameMap, NameMapError, SiteNames, key_of, unknown_slide
from ...slides import LeftOut, Slide, Why
from ...slides.renaming import RenameError, rename
from ...system.temporary_database import TemporaryDatabase, to_bytes, to_text
from ...system.windows_names import collision_key
from ...text import printable
from .collisions import collision_keys

_BATCH = 1000  # keys that are written down at once


class _Part:
    """Sites at which slides have the same names. `taken`: the row that has each place, by the keys of files."""

    def __init__(self, names: SiteNames, sites: list[str]) -> None:
        self.names = names
        self.sites = sites
        self.taken: dict[str, MapRow] = {}
        self.unmapped = 0  # slides


class NameCheck(TemporaryDatabase):
    """Hears of everything that a walk finds, in its thread. `only`: slides that are not in the map stay here.

    Raises TemporaryFileError.
    """

    def __init__(self, names: NameMap, sites: Sequence[str], *, only: bool) -> None:
        super().__init__(("CREATE TABLE own (key BLOB PRIMARY KEY, path BLOB) WITHOUT ROWID",), "names of slides")
        self._map = names
        self._problems = CsvProblems(names.file, list(names.problems.found))
        self._only = only
        parts: dict[SiteNames, list[str]] = {}
        for site in sites:
            parts.setdefault(names.of(site), []).append(site)
        self._parts = [_Part(found, members) for found, members in parts.items()]
        self._part_of = {site: part for part in self._parts for site in part.sites}
        self._waited: dict[str, MapRow] = {}  # rows whose slides were not found yet, by their keys
        for part in self._parts:
            for row in part.names.rows():
                self._waited.setdefault(row.key, row)
        self._mapped = frozenset(self._waited)
        self._below: dict[str, list[str]] = {}  # keys of rows by those of the folders above
        for key in self._mapped:
            for level in _folders(key):
                self._below.setdefault(level, []).append(key)
        self._no_slides: dict[str, str] = {}  # why not, by keys of rows
        self._found: dict[str, str] = {}  # the slide that has been found for a row, by the row's key
        self._own: list[tuple[bytes, bytes]] = []  # to be written down
        self._has_own = False
        self._finished = False
        self._said: set[tuple[str, int]] = set()
        self._not_taken = Counter[str]()  # slides that are not in the map, by sites whose keys leave them out
        self._check_rows()

    def add(self, thing: Slide | LeftOut) -> Slide | LeftOut:
        """Hear of something that was found; return it, or after `finish` what is to be said instead of sending it."""
        if isinstance(thing, LeftOut):
            self._add_left_out(thing)
            return thing
        key = key_of(thing.path)
        self._waited.pop(key, None)
        why = self._twin(thing.path, key) or self._claim_mapped(thing, key) if key in self._mapped else None
        if not self._only and (key not in self._mapped or any(part.names.row_of(key) is None for part in self._parts)):
            own = list(collision_keys(thing))
            if self._finished:
                why = why or self._taken(key, own)
            if why is None or not self._finished:
                self._own += [(to_bytes(place), to_bytes(thing.path)) for place in own]
                if self._finished or len(self._own) > _BATCH:
                    self._write_own()
        if why is None or not self._finished:
            return thing
        return LeftOut(printable(thing.path), Why.BAD_NAME, why, files=len(thing.files))

    def _taken(self, slide: str, places: Sequence[str]) -> str | None:
        """Return why a slide that was found late, by its key, cannot keep its name; None where it can."""
        for part in self._parts:
            if part.names.row_of(slide) is None:
                for row in (part.taken[place] for place in places if place in part.taken):
                    return f"line {row.line} of {self._map.file} gives its name to another slide"
        return None

    def _add_left_out(self, thing: LeftOut) -> None:
        key = key_of(thing.path.strip("/"))
        if thing.why is Why.NOT_A_SLIDE:
            if key in self._waited:
                self._no_slides[key] = thing.detail
            return
        if key in self._mapped:
            self._twin(thing.path.strip("/"), key)
        for found in (key, *self._below.get(key, ())):  # what is said of a folder is of all in it
            self._waited.pop(found, None)

    def _twin(self, path: str, key: str) -> str | None:
        """Return why a row may mean another slide: their paths differ in nothing but case or composed letters."""
        other = self._found.setdefault(key, printable(path))
        if other == printable(path):
            return None
        row = next(row for part in self._parts if (row := part.names.row_of(key)) is not None)
        words = f"{other} and {printable(path)} are both there, one name to a server; give one of them another here"
        return self._problem(row, "slide", words)

    def _claim_mapped(self, slide: Slide, key: str) -> str | None:
        """Claim the places of a slide's files at sites that give it another name; return why it cannot have them."""
        why: str | None = None
        known: dict[str, list[str]] = {}  # of sites that give it the same name
        for part in self._parts:
            row = part.names.row_of(key)
            if row is None:
                continue
            if row.to not in known:
                try:
                    known[row.to] = list(collision_keys(rename(slide, row.to)))
                except RenameError as error:
                    why = self._problem(row, "to", str(error))
                    continue
            for place in known[row.to]:
                if self._finished and (path := self._own_slide(part, place)) is not None:
                    why = f"{printable(path)} has its place at {_sites(part)} under its own name"
                    break
                other = part.taken.setdefault(place, row)
                if other is not row and other.key != key:
                    why = self._two_for_one(part, row, other)
                    break
        return why

    def _problem(self, row: MapRow, column: str, words: str) -> str:
        if not self._finished and (column, row.line) not in self._said:
            self._said.add((column, row.line))
            self._map.add_problem(self._problems, row, column, words)
        return words

    def _two_for_one(self, part: _Part, *rows: MapRow) -> str:
        first, second = sorted(rows, key=lambda row: row.line)
        where = f"line {first.line} gives {printable(first.slide)} this place too, at {_sites(part)}"
        return self._problem(second, "to", f"{where}; choose another")

    def _check_rows(self) -> None:
        """Find rows that give one name to two slides, whether these are there or not."""
        for part in self._parts:
            seen: dict[str, MapRow] = {}
            for row in part.names.rows():
                other = seen.setdefault(collision_key(row.to), row)
                if other is not row:
                    self._two_for_one(part, row, other)

    def finish(self, *, complete: bool) -> None:
        """End the check after the walk; `complete`: it has seen all there is. Raises NameMapError with all problems."""
        self._write_own()
        for part in self._parts if self._has_own else ():
            for key, row in part.taken.items():
                self._check_against_own(part, key, row)
        for key, row in self._waited.items() if complete else ():
            detail = self._no_slides.get(key)
            words = (
                unknown_slide(row) if detail is None else f"{printable(row.slide)} is no slide that is sent: {detail}"
            )
            self._problem(row, "slide", words)
        self._finished = True
        if self._problems.found:
            raise NameMapError(self._map.file, self._problems.problems)

    def _check_against_own(self, part: _Part, key: str, row: MapRow) -> None:
        """Find a slide that keeps its name at these sites, and has a file in the place of another one's."""
        if (path := self._own_slide(part, key)) is not None:
            words = f"{printable(path)} is not in the map for {_sites(part)}, and has this place under its own name"
            self._problem(row, "to", f"{words}; choose another, or add it to the map")

    def _own_slide(self, part: _Part, key: str) -> str | None:
        """Return the slide that keeps its name at these sites and has a place, by its key; None where none has it."""
        with self._lock:
            found = self._execute("SELECT path FROM own WHERE key = ?", (to_bytes(key),)).fetchone()
        path = None if found is None else to_text(found[0])
        return path if path is not None and part.names.row(path) is None else None

    def _write_own(self) -> None:
        rows, self._own = self._own, []
        self._has_own = self._has_own or bool(rows)
        with self._lock:
            self._many("INSERT OR IGNORE INTO own VALUES (?, ?)", rows)

    def count(self, slides: Sequence[Slide], excluded: Mapping[tuple[str, str], Sequence[int]]) -> None:
        """Count slides that are sent. `excluded`: indices of those that sites do not take, by site first."""
        for part in self._parts:
            part.unmapped += sum(part.names.row(slide.path) is None for slide in slides)
        for (site, _), indices in excluded.items():
            names = self._part_of[site].names
            self._not_taken[site] += sum(names.row(slides[index].path) is None for index in indices)

    def unmapped(self, site: str) -> int:
        """Return how many of the slides counted go to a site under their own names."""
        return self._part_of[site].unmapped - self._not_taken[site]


def _folders(key: str) -> Iterator[str]:
    """Yield the folders above a path."""
    end = key.find("/")
    while end >= 0:
        yield key[:end]
        end = key.find("/", end + 1)


def _sites(part: _Part) -> str:
    shown = ", ".join(part.sites[:3])
    return shown if len(part.sites) <= 3 else f"{shown} and {len(part.sites) - 3} more"
