"""Print things by sides: columns on a terminal, lines with tabs for pipes; and what sides do not tell."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ...compare.exports import cell_words
from ...compare.rows import Row, State
from ...compare.table import ELSEWHERE, Gap, GapKind
from ...text import printable
from ..output_streams import echo

_GAPS_SHOWN = 50

_STYLES = {
    State.DIFFERS: "yellow",
    State.MISSING: "red",
    State.UNKNOWN: "magenta",
    State.PROBLEM: "magenta",
    State.IGNORED: "dim",
    State.EXCLUDED: "dim",
}


def matrix_for(labels: Sequence[str], thing: str) -> Matrix:
    """Return the matrix for whoever reads stdout. `thing`: the name of the last column."""
    return TerminalMatrix(labels, thing) if sys.stdout.isatty() else Matrix(labels, thing)


class Matrix:
    """Lines with tabs: the state at each side, the name, and the reasons. Names of columns come first."""

    def __init__(self, labels: Sequence[str], thing: str) -> None:
        self._columns = [*map(printable, labels), thing]
        self.begun = False

    def measure(self, row: Row) -> None:
        """Look at a row that will be shown; all are measured before the first one is."""

    def row(self, row: Row, name: str, reasons: Sequence[str] = ()) -> None:
        """Show a row."""
        if not self.begun:
            self.begun = True
            self._head()
        self._row(row, printable(name), [printable(reason) for reason in reasons])

    def _head(self) -> None:
        echo(*self._columns)

    def _row(self, row: Row, name: str, reasons: Sequence[str]) -> None:
        echo(*map(cell_words, row.cells), name, *(["; ".join(reasons)] if reasons else []))


class TerminalMatrix(Matrix):
    """For people: columns that are as wide as they have to be, the name last and never cut, reasons below it."""

    def __init__(self, labels: Sequence[str], thing: str) -> None:
        from rich.cells import cell_len
        from rich.console import Console

        super().__init__(labels, thing)
        self._console = Console(highlight=False)
        self._widths = [cell_len(label) for label in self._columns[:-1]]

    def measure(self, row: Row) -> None:
        words = [len(cell_words(cell)) for cell in row.cells]
        self._widths = list(map(max, self._widths, words))

    def _head(self) -> None:
        from rich.text import Text

        cells = [*map(_padded, self._columns, self._widths), self._columns[-1]]
        self._print(Text("  ".join(cells), "bold"))

    def _row(self, row: Row, name: str, reasons: Sequence[str]) -> None:
        from rich.text import Text

        line = Text()
        for cell, width in zip(row.cells, self._widths, strict=True):
            line.append(_padded(cell_words(cell), width), _STYLES.get(cell.state, "")).append("  ")
        self._print(line.append(name))
        for reason in reasons:
            self._print(Text(f"    {reason}", "dim"))

    def _print(self, text: Any) -> None:
        self._console.print(text, soft_wrap=True)


def _padded(text: str, width: int) -> str:
    from rich.cells import cell_len

    return text + " " * (width - cell_len(text))


class GapLines:
    """Says on stderr what sides do not tell: the first ones, then how many more."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._said = 0

    def say(self, gap: Gap) -> None:
        self._said += 1
        if self._said <= _GAPS_SHOWN:
            where = gap.path.removeprefix(ELSEWHERE) or "all of it"
            words = gap.why if gap.kind is GapKind.PROBLEM else f"not told: {gap.why}"
            echo(printable(f"pmarep: {self._labels[gap.side]}: {where}: {words}"), err=True)

    def finish(self) -> None:
        if self._said > _GAPS_SHOWN:
            echo(f"pmarep: and {self._said - _GAPS_SHOWN:,} more that are not told; --json has all", err=True)
