"""Read the rows of a CSV file as a spreadsheet saves it, and gather what is wrong with it, by line and column."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError

_DELIMITERS = ",;\t"


class CsvProblem(NamedTuple):
    """Something that is wrong: where, and as `file, line n, column m (key): what`. A whole row has column 0."""

    line: int
    column: int
    text: str


@dataclass
class CsvProblems:
    """What is wrong with a file."""

    file: Path
    found: list[CsvProblem] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Return what is wrong, for people, from the top of the file down."""
        return [one.text for one in sorted(self.found, key=lambda one: (one.line, not one.column, one.column))]

    def add_problem(self, line: int, words: str, column: tuple[int, str] | None = None) -> None:
        where = f", column {column[0]} ({column[1]})" if column else ""
        text = f"{self.file}, line {line}{where}: {words}"
        self.found.append(CsvProblem(line, column[0] if column else 0, text))


def csv_rows(problems: CsvProblems, columns: Collection[str], example: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, with the line each begins at; the first is the header.

    `columns`: the names that a header may have, by which its delimiter is found out; `example`: some of them, for
    people. Raises ConfigError for a file that cannot be read.
    """
    text = _text(problems.file, example)
    first = next((line for line in text.splitlines() if line.strip()), "")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(first, columns), strict=True)
    line = 1
    try:
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = rows.line_num + 1
    except csv.Error as error:
        problems.add_problem(line, f"this is not CSV: {error}")


def check_surplus(problems: CsvProblems, line: int, columns: Collection[str], cells: list[str]) -> None:
    """Add a problem for each cell behind the last column of the header."""
    for number, cell in enumerate(cells[len(columns) :], len(columns) + 1):
        if cell:
            problems.add_problem(
                line, f"column {number} has no name in the first line; values with delimiters need quotes"
            )


def _text(file: Path, example: str) -> str:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{file} is not there; name a CSV file with the columns {example}") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}); look at its rights") from None
    # What Excel calls "Unicode text".
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f'{file}, line {line}: the file is not UTF-8; save it as "CSV UTF-8"') from None


def _delimiter(header: str, columns: Collection[str]) -> str:
    """Return the delimiter with which most columns of the header are known."""

    def known(delimiter: str) -> int:
        return sum(cell.strip(' "').lower() in columns for cell in header.split(delimiter))

    return max(_DELIMITERS, key=known)
