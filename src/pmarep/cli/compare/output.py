"""Print a comparison: a matrix with its counts for people, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...compare.exports import detail_lines, gap_object, row_object, summary_object
from ...compare.mend import Mend, commands
from ...compare.rows import Row, Verdict
from ...compare.table import Gap
from ...compare.tally import SideCounts, Tally, agreement_lines, verdict_words
from ...text import printable
from ...units import count_of, format_size
from ..list_output import print_columns
from ..output_streams import echo
from .matrix import GapLines, matrix_for

if TYPE_CHECKING:
    from ...compare.comparison import Comparison
    from ...compare.sides import Side


def output_for(comparison: Comparison, *, json: bool, details: bool, repeated: Sequence[str]) -> CompareOutput:
    """Return the output for whoever reads stdout. `repeated`: options that proposed commands need too."""
    if json:
        return JsonCompareOutput(comparison, repeated)
    return PlainCompareOutput(comparison, repeated, details=details)


class CompareOutput:
    """Base class. First the rows that will be shown are measured, then shown; then come gaps, then the end."""

    def __init__(self, comparison: Comparison, repeated: Sequence[str]) -> None:
        self.comparison = comparison
        self.sides = comparison.sides
        self.labels = [side.label for side in comparison.sides]
        self._repeated = repeated

    def measure(self, row: Row) -> None:
        """Look at a row that will be shown."""

    def row(self, row: Row) -> None:
        """Show a slide."""
        raise NotImplementedError

    def gap(self, gap: Gap) -> None:
        """Show something that is not told."""
        raise NotImplementedError

    def finish(self, tally: Tally, exit_code: int) -> None:
        """Show the counts."""
        raise NotImplementedError

    def mends(self, tally: Tally) -> list[Mend]:
        """Return the commands that bring what is missing."""
        singles = [listed.single for listed in self.comparison.listed]
        return commands(tally.patterns, self.sides, singles, self._repeated)


class JsonCompareOutput(CompareOutput):
    """One object a line, in ASCII with escapes: right in whatever encoding stdout has."""

    def row(self, row: Row) -> None:
        self._print(row_object(row, self.sides))

    def gap(self, gap: Gap) -> None:
        self._print(gap_object(gap, self.sides))

    def finish(self, tally: Tally, exit_code: int) -> None:
        self._print(summary_object(tally, self.sides, self.mends(tally), self.comparison.level[0], exit_code))

    def _print(self, value: dict[str, Any]) -> None:
        echo(json.dumps(value))


class PlainCompareOutput(CompareOutput):
    """The matrix, then the counts in words, and what brings the rest."""

    def __init__(self, comparison: Comparison, repeated: Sequence[str], *, details: bool) -> None:
        super().__init__(comparison, repeated)
        self._details = details
        self._matrix = matrix_for(self.labels, "slide")
        self._gaps = GapLines(self.labels)

    def measure(self, row: Row) -> None:
        self._matrix.measure(row)

    def row(self, row: Row) -> None:
        self._matrix.row(row, row.path, self._reasons(row))

    def _reasons(self, row: Row) -> list[str]:
        """Return the lines that say why: all with --details, else only why a side does not tell."""
        if self._details:
            return detail_lines(row, self.sides)
        return [f"{label}: {cell.why}" for label, cell in zip(self.labels, row.cells, strict=True) if cell.why]

    def gap(self, gap: Gap) -> None:
        self._gaps.say(gap)

    def finish(self, tally: Tally, exit_code: int) -> None:  # noqa: ARG002
        self._gaps.finish()
        if undated := self.comparison.undated:
            words = f"no place says when {undated:,} of the slides were changed; they were compared all the same"
            echo(f"pmarep: {words}", err=True)
        if not tally.slides:
            echo("pmarep: there is no slide in any of them, so nothing was compared", err=True)
            return
        if self._matrix.begun:
            echo("")
        echo(f"{count_of(tally.slides, 'slide')} by {self.comparison.level[1]}: {', '.join(verdict_words(tally))}")
        for line in agreement_lines(tally, self.labels):
            echo(printable(line))
        print_columns([self._has(side, counts) for side, counts in zip(self.sides, tally.sides, strict=True)])
        for line in self._advice(tally):
            echo(printable(line))

    def _has(self, side: Side, counts: SideCounts) -> list[str]:
        if self.comparison.listed[side.number].error is not None:
            return [side.text, "not told", ""]
        return [side.text, count_of(counts.slides, "slide"), format_size(counts.bytes)]

    def _advice(self, tally: Tally) -> list[str]:
        """Return the lines of what brings that which is missing."""
        mends = self.mends(tally)
        able = [mend for mend in mends if mend.command]
        lines = ["", "What is missing is brought by"] if able else []
        lines += [f"  {mend.command}" for mend in able]
        lines += ["", *(mend.why for mend in mends if not mend.command)] if len(able) < len(mends) else []
        if tally.verdicts[Verdict.DIFFERS]:
            lines += ["", "Of slides that differ, decide which is right; --existing overwrite replaces the other."]
        return lines
