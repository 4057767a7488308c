"""Read sites from a CSV file, as a spreadsheet saves it, and report everything that is wrong with it at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import ConfigError, ProblemsError
from ..units import count_of
from .book import SiteBook
from .book_parser import effective_server, merge_keys
from .csv_rows import CsvProblems, check_surplus, csv_rows
from .models import SiteTable
from .site_names import check_name, did_you_mean, quoted
from .toml_lines import Value
from .validators import looks_secret

_NEEDED = ("url", "username", "target")
COLUMNS = ("name", *SiteTable.model_fields)


class CsvImportError(ProblemsError):
    """A CSV file cannot be used. `problems`: everything wrong, each as `file, line n, column m (key): what`."""

    def __init__(self, file: Path, problems: Sequence[str]) -> None:
        super().__init__(f"{file} has {count_of(len(problems), 'problem')}; nothing was changed", problems)


@dataclass
class _CsvImport(CsvProblems):
    """The state of one import: the book, and the problems found so far."""

    book: SiteBook = field(kw_only=True)
    server: str | None = field(kw_only=True)
    update: bool = field(kw_only=True)
    lines: dict[str, int] = field(default_factory=dict)  # of names


def read_csv_sites(file: Path, book: SiteBook, server: str | None, update: bool) -> dict[str, dict[str, Value]]:
    """Return the keys of each site by name, in the file's order. Files in them are relative to this one's folder.

    `server`: of all sites that name neither server nor url. `update`: names may be in the book already.
    Raises CsvImportError with all problems, ConfigError if the file cannot be read at all.
    """
    if server is not None and server not in book.servers:
        hint = did_you_mean(server, book.servers) or f"; known: {', '.join(book.servers) or 'none'}"
        raise ConfigError(f"{book.path}: there is no server {quoted(server)}{hint}")
    importing = _CsvImport(file, book=book, server=server, update=update)
    records = csv_rows(importing, COLUMNS, "name,target")
    found: dict[str, dict[str, Value]] = {}
    line, header = next(records, (1, []))
    columns = _columns(importing, line, header)
    if not importing.problems:
        for line, cells in records:
            name, values = _row(importing, line, columns, cells)
            found.setdefault(name, values)
        if not found and not importing.problems:
            importing.add_problem(1, "there are no sites below the header")
    if importing.problems:
        raise CsvImportError(file, importing.problems)
    return found


def _columns(importing: _CsvImport, line: int, header: list[str]) -> list[str]:
    columns = [cell.lower() for cell in header]
    for number, column in enumerate(columns, 1):
        place = (number, header[number - 1])
        if looks_secret(column):
            words = "looks like a password, which has no place in this file; use `pmarep sites login`"
            importing.add_problem(line, words, place)
        elif column not in COLUMNS:
            hint = did_you_mean(column, COLUMNS)
            importing.add_problem(line, f"there is no such column{hint or '; known: ' + ', '.join(COLUMNS)}", place)
        elif column in columns[: number - 1]:
            importing.add_problem(line, "this column is there twice", place)
    if "name" not in columns:
        importing.add_problem(
            line, 'there is no column "name"; the first line has to name the columns, such as name,target'
        )
    return columns


def _row(importing: _CsvImport, line: int, columns: list[str], cells: list[str]) -> tuple[str, dict[str, Value]]:
    check_surplus(importing, line, columns, cells)
    name, values, bad = "", {}, set()
    for number, (column, cell) in enumerate(zip(columns, cells, strict=False), 1):
        try:
            if column == "name":
                name = cell
                _check_row_name(importing, line, name)
            elif cell:
                values[column] = _value(column, cell, importing.file.parent.absolute())
        except ValueError as error:
            importing.add_problem(line, str(error), (number, column))
            bad.add(column)
    if "name" not in bad:
        _check_row(importing, line, name, values, bad)
    return name, values


def _check_row_name(importing: _CsvImport, line: int, name: str) -> None:
    """Check the name in a row: a valid one, new in this file and in the book. Raises ValueError."""
    if not name:
        raise ValueError("the name is empty; write one, or delete the row")
    check_name(name)
    if name in importing.lines:
        raise ValueError(f"the name {quoted(name)} is in line {importing.lines[name]} already; leave one out")
    importing.lines[name] = line
    source = importing.book.stack
    for kind in ("sites", "groups"):
        owner = source.owner((kind, name))
        if owner and not (importing.update and kind == "sites" and owner is source.own):
            hint = "; --update changes it" if kind == "sites" and owner is source.own else f" ({owner.path})"
            raise ValueError(f"there is already a {kind[:-1]} {quoted(name)}{hint}")


def _value(key: str, cell: str, folder: Path) -> Value:
    """Convert a cell to the value for the book. Raises ValueError."""
    words = ""
    for candidate in _candidates(cell):
        try:
            value = getattr(SiteTable.model_validate({key: candidate}, context={"folder": folder}), key)
        except ValidationError as errors:
            words = words or _words(errors)
            continue
        files = [value] if isinstance(value, Path) else value if isinstance(value, tuple) else ()
        for file in files:
            if isinstance(file, Path) and not file.is_file():
                raise ValueError(f"the {key} {file} is not there; name a PEM file")
        return str(files[0]) if files and isinstance(files[0], Path) else candidate
    raise ValueError(words)


def _candidates(cell: str) -> Iterator[Any]:
    """Yield what a cell may mean, since it has no type: text, then truth, then number."""
    yield cell
    if cell.lower() in ("true", "false"):
        yield cell.lower() == "true"
    for number in (int, float):
        try:
            yield number(cell)
        except ValueError:
            continue


def _check_row(importing: _CsvImport, line: int, name: str, values: dict[str, Value], bad: set[str]) -> None:
    """Check a site as a whole, but for its bad cells, after adding the server of all sites to it."""
    book = importing.book
    is_new = name not in book.sites
    if importing.server and not {"server", "url"} & {*values, *bad}:
        # First, as people write it.
        rest = dict(values)
        values.clear()
        values.update({"server": importing.server, **rest})
    before = {} if is_new else book.stack.own.data["sites"][name]
    try:
        said = SiteTable.model_validate({**before, **values}, context={"folder": book.path.parent})
    except ValidationError as errors:
        importing.add_problem(line, _words(errors))
        return
    server = effective_server(said, book.defaults)
    if server is not None and server not in book.servers:
        hint = did_you_mean(server, book.servers) or f"; known: {', '.join(book.servers) or 'none'}"
        importing.add_problem(line, f"there is no server {quoted(server)}{hint}")
        return
    merged = merge_keys(said, book.servers[server] if server else None, book.defaults)
    if missing := [key for key in _NEEDED if key not in merged and key not in bad]:
        hint = "add a column" if missing == ["target"] else "add a column, or name a --server"
        importing.add_problem(line, f"{quoted(name)} has no {' and no '.join(missing)}; {hint}")


def _words(errors: ValidationError) -> str:
    first = errors.errors(include_input=False, include_url=False)[0]
    return str(first["ctx"]["error"]) if first["type"] == "value_error" else f"{first['loc'][0]}: {first['msg']}"
