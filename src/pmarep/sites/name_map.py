"""Read the names that slides get at sites from a CSV file: `--map`.

A row with a site's own name counts before one with a group or a pattern that the site is in, and that before one for
all sites. What is wrong with the file is gathered, so that it can be said together with what is wrong with the slides.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigError, ProblemsError
from ..slides.renaming import AnySlide, RenameError, check_path, own_name, rename
from ..system.windows_names import normalized_key
from ..text import printable
from ..units import count_of
from .book import SiteBook
from .csv_rows import CsvProblems, check_surplus, csv_rows
from .site_names import did_you_mean, quoted

COLUMNS = ("slide", "site", "to")
_ALL, _GROUP, _SITE = range(3)  # what a row is for, the most special last


class NameMapError(ProblemsError):
    """A map cannot be used. `problems`: everything wrong, each as `file, line n, column m (name): what`."""

    def __init__(self, file: Path, problems: Sequence[str]) -> None:
        super().__init__(f"{file} has {count_of(len(problems), 'problem')}; nothing was sent", problems)


@dataclass(frozen=True, slots=True)
class MapRow:
    """A row: the slide as it is written there, and its path below the targets of its sites."""

    line: int
    slide: str
    to: str
    rank: int = field(compare=False, default=_ALL)

    @property
    def key(self) -> str:
        return key_of(self.slide)


def key_of(path: str) -> str:
    """Return what is the same for all ways to write the path of a slide. Blanks count: ` a.svs` is another slide."""
    return normalized_key(path)


@dataclass(frozen=True, slots=True, eq=False)
class SiteNames:
    """The names that slides have at one site: by its own rows, else by those for all sites."""

    own: Mapping[str, MapRow] = field(default_factory=dict)
    common: Mapping[str, MapRow] = field(default_factory=dict)

    def row(self, path: str) -> MapRow | None:
        """Return the row of a slide, by its path from the source; None where it keeps its name."""
        return self.row_of(key_of(path))

    def row_of(self, key: str) -> MapRow | None:
        """Return the row of a slide, by its key."""
        return self.own.get(key) or self.common.get(key)

    def rows(self) -> Iterator[MapRow]:
        """Yield the rows that count at the site."""
        yield from self.own.values()
        yield from (row for key, row in self.common.items() if key not in self.own)

    def named(self, slide: AnySlide) -> AnySlide:
        """Return a slide as it is called at the site. Raises RenameError."""
        if not self.own and not self.common:
            return slide
        row = self.row(slide.path)
        return own_name(slide) if row is None else rename(slide, row.to)


OWN_NAMES = SiteNames()
"""Every slide keeps its name."""


class NameMap:
    """The rows of a file. `columns`: the numbers of those that it has."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.columns: dict[str, int] = {}
        self.problems = CsvProblems(file)
        """What is wrong with the file itself."""
        self._common: dict[str, MapRow] = {}
        self._own: dict[str, dict[str, MapRow]] = {}
        self._sites: dict[str, SiteNames] = {}
        self._everywhere = SiteNames({}, self._common)

    def of(self, site: str) -> SiteNames:
        """Return the names at a site; the same object for all sites without rows of their own."""
        own = self._own.get(site)
        if own is None:
            return self._everywhere
        return self._sites.setdefault(site, SiteNames(own, self._common))

    def add_problem(self, problems: CsvProblems, row: MapRow, column: str, words: str) -> None:
        """Add what is wrong with a row to problems."""
        problems.add_problem(row.line, words, (self.columns[column], column) if column in self.columns else None)

    @classmethod
    def read(cls, file: Path, book: SiteBook) -> NameMap:
        """Read a file; what is wrong with rows is in its `problems`.

        Raises ConfigError for a file that cannot be read, NameMapError for one without the columns it takes.
        """
        found = cls(file)
        rows = csv_rows(found.problems, COLUMNS, "slide,site,to")
        line, header = next(rows, (1, []))
        columns = found._read_header(line, header)
        sites = _Sites(book)
        for line, cells in rows:
            check_surplus(found.problems, line, columns, cells)
            found._read_row(
                line, {column: cells[at - 1] for column, at in found.columns.items() if at <= len(cells)}, sites
            )
        if not (found._common or found._own or found.problems.found):
            found.problems.add_problem(1, "there are no slides below the header")
        return found

    def _read_header(self, line: int, header: list[str]) -> list[str]:
        columns = [cell.lower() for cell in header]
        for number, column in enumerate(columns, 1):
            if column in self.columns:
                self.problems.add_problem(line, "this column is there twice", (number, header[number - 1]))
            elif column in COLUMNS:
                self.columns[column] = number
            elif column:
                hint = did_you_mean(column, COLUMNS) or f"; known: {', '.join(COLUMNS)}"
                self.problems.add_problem(line, f"there is no such column{hint}", (number, header[number - 1]))
        for needed in ("slide", "to"):
            if needed not in self.columns:
                words = f'there is no column "{needed}"; the first line has to name the columns, such as slide,site,to'
                self.problems.add_problem(line, words)
        if not {"slide", "to"} <= self.columns.keys():
            raise NameMapError(self.file, self.problems.problems)
        return columns

    def _read_row(self, line: int, cells: Mapping[str, str], sites: _Sites) -> None:
        slide, site, to = (cells.get(column, "") for column in COLUMNS)
        if sys.platform == "win32":
            slide = slide.replace("\\", "/")
        row = MapRow(line, slide.removeprefix("./"), to)
        before = len(self.problems.found)
        if not row.slide:
            self._add_problem(row, "slide", "the slide is empty; write its path as pmarep slides prints it")
        if not to:
            self._add_problem(row, "to", "to is empty; write the folder and name that the slide is to have")
        else:
            try:
                check_path(to)
            except RenameError as error:
                self._add_problem(row, "to", f"{quoted(to)} cannot be a slide's path: {error}")
        try:
            names, rank = sites.of(site)
        except ConfigError as error:
            self._add_problem(row, "site", str(error))
        if len(self.problems.found) > before:
            return
        if to.endswith("/"):
            to += row.slide.rpartition("/")[2]
        row = MapRow(line, row.slide, to, rank)
        for rows in [self._common] if not rank else [self._own.setdefault(name, {}) for name in names]:
            if not self._put(rows, row, site):
                return

    def _add_problem(self, row: MapRow, column: str, words: str) -> None:
        self.add_problem(self.problems, row, column, words)

    def _put(self, rows: dict[str, MapRow], row: MapRow, site: str) -> bool:
        """Put a row where it counts; return False where another one says something else."""
        other = rows.get(row.key)
        if other is None or row.rank > other.rank:
            rows[row.key] = row
        elif row.rank == other.rank and row.to != other.to:
            where = f" at {site}" if site else ""
            self._add_problem(row, "slide", f"line {other.line} gives this slide another name{where}; leave one out")
            return False
        return True


class _Sites:
    """The sites that cells of the column `site` stand for, each looked up once."""

    def __init__(self, book: SiteBook) -> None:
        self._book = book
        self._known: dict[str, tuple[Collection[str], int] | ConfigError] = {"": ((), _ALL)}

    def of(self, cell: str) -> tuple[Collection[str], int]:
        """Return the names of sites, and how special that is. Raises ConfigError."""
        if cell not in self._known:
            rank = _SITE if cell in self._book.sites else _GROUP
            try:
                self._known[cell] = [site.name for site in self._book.select([cell])], rank
            except ConfigError as error:
                self._known[cell] = error
        found = self._known[cell]
        if isinstance(found, ConfigError):
            raise found
        return found


def unknown_slide(row: MapRow) -> str:
    """Return what is wrong with a row whose slide is not there."""
    return f"there is no slide {printable(row.slide)} in SRC; write it as pmarep slides prints it"
