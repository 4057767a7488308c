"""Print a comparison: a matrix on a terminal, lines with tabs for pipes, JSON lines for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...compare.exports import cell_words, detail_lines, gap_object, row_object, summary_object
from ...compare.mend import Mend, commands
from ...compare.rows import Row, State, Verdict
from ...compare.table import Gap, GapKind
from ...compare.tally import SideCounts, Tally, in_words, same_everywhere
from ...text import printable
from ...units import format_size
from ..list_output import print_columns
from ..output_streams import echo

if TYPE_CHECKING:
    from ...compare.comparison import Comparison
    from ...compare.sides import Side

_GAPS_SHOWN = 50
_PATTERNS_SHOWN = 12

_STYLES = {
    State.DIFFERS: "yellow",
    State.MISSING: "red",
    State.UNKNOWN: "magenta",
    State.PROBLEM: "magenta",
    State.IGNORED: "dim",
}


def output_for(
    comparison: Comparison, *, json: bool, every: bool, details: bool, repeated: Sequence[str]
) -> CompareOutput:
    """Return the output for whoever reads stdout. `repeated`: options that proposed commands need too."""
    if json:
        return JsonCompareOutput(comparison, repeated)
    kind = TerminalCompareOutput if sys.stdout.isatty() else PlainCompareOutput
    return kind(comparison, every=every, details=details, repeated=repeated)


class CompareOutput:
    """Base class. First every row is measured, then those that are shown come, then gaps, then the end."""

    def __init__(self, comparison: Comparison, repeated: Sequence[str]) -> None:
        self.comparison = comparison
        self.sides = comparison.sides
        self.labels = [side.label for side in comparison.sides]
        self._repeated = repeated

    def measure(self, row: Row) -> None:
        """Look at a row that may be shown."""

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
    """Lines with tabs: the state at each side, the slide, and the reasons; then the counts."""

    def __init__(self, comparison: Comparison, *, every: bool, details: bool, repeated: Sequence[str]) -> None:
        super().__init__(comparison, repeated)
        self._every = every
        self._details = details
        self._gaps = 0
        self._begun = False

    def row(self, row: Row) -> None:
        if not self._begun:
            self._begun = True
            self._head()
        self._row(row, self._reasons(row))

    def _reasons(self, row: Row) -> list[str]:
        """Return the lines that say why: all with --details, else only why a side does not tell."""
        if self._details:
            return detail_lines(row, self.sides)
        return [f"{label}: {cell.why}" for label, cell in zip(self.labels, row.cells, strict=True) if cell.why]

    def _head(self) -> None:
        echo(*self.labels, "slide")

    def _row(self, row: Row, reasons: Sequence[str]) -> None:
        echo(
            *map(cell_words, row.cells), printable(row.path), *(["; ".join(map(printable, reasons))] if reasons else [])
        )

    def gap(self, gap: Gap) -> None:
        self._gaps += 1
        if self._gaps <= _GAPS_SHOWN:
            where = gap.path or "all of it"
            words = gap.why if gap.kind is GapKind.PROBLEM else f"not told: {gap.why}"
            echo(printable(f"pmarep: {self.labels[gap.side]}: {where}: {words}"), err=True)

    def finish(self, tally: Tally, exit_code: int) -> None:  # noqa: ARG002
        if self._gaps > _GAPS_SHOWN:
            echo(f"pmarep: and {self._gaps - _GAPS_SHOWN:,} more that are not told; --json has all", err=True)
        if undated := self.comparison.undated:
            words = f"no place says when {undated:,} of the slides were changed; they were compared all the same"
            echo(f"pmarep: {words}", err=True)
        if not tally.slides:
            echo("pmarep: there is no slide in any of them, so nothing was compared", err=True)
            return
        if self._begun:
            echo("")
        for line in self._counts(tally):
            echo(printable(line))
        print_columns([self._has(side, counts) for side, counts in zip(self.sides, tally.sides, strict=True)])
        for line in self._advice(tally):
            echo(printable(line))

    def _counts(self, tally: Tally) -> list[str]:
        """Return the lines of how many slides are the same, and who agrees with whom."""
        head = f"{count_of(tally.slides, 'slide')} by {self.comparison.level[1]}: {', '.join(_verdicts(tally))}"
        alike = same_everywhere(len(self.sides))
        patterns = [(pattern, count) for pattern, count in tally.patterns.most_common() if pattern != alike]
        shown = [f"{count:>8,}  {in_words(pattern, self.labels)}" for pattern, count in patterns[:_PATTERNS_SHOWN]]
        more = sum(count for _, count in patterns[_PATTERNS_SHOWN:])
        return [head, *shown, *([f"{more:>8,}  in other ways"] if more else [])]

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


class TerminalCompareOutput(PlainCompareOutput):
    """For people: columns that are as wide as they have to be, the slide's name last and never cut."""

    def __init__(self, comparison: Comparison, *, every: bool, details: bool, repeated: Sequence[str]) -> None:
        from rich.cells import cell_len
        from rich.console import Console

        super().__init__(comparison, every=every, details=details, repeated=repeated)
        self._console = Console(highlight=False)
        self._labels = [printable(label) for label in self.labels]
        self._widths = [cell_len(label) for label in self._labels]

    def measure(self, row: Row) -> None:
        if self._every or not row.verdict.is_fine:
            words = [len(cell_words(cell)) for cell in row.cells]
            self._widths = list(map(max, self._widths, words))

    def _head(self) -> None:
        from rich.text import Text

        self._print(Text("  ".join([*map(_padded, self._labels, self._widths), "slide"]), "bold"))

    def _row(self, row: Row, reasons: Sequence[str]) -> None:
        from rich.text import Text

        line = Text()
        for cell, width in zip(row.cells, self._widths, strict=True):
            line.append(_padded(cell_words(cell), width), _STYLES.get(cell.state, "")).append("  ")
        self._print(line.append(printable(row.path)))
        for reason in reasons:
            self._print(Text(f"    {printable(reason)}", "dim"))

    def _print(self, text: Any) -> None:
        self._console.print(text, soft_wrap=True)


def _padded(text: str, width: int) -> str:
    from rich.cells import cell_len

    return text + " " * (width - cell_len(text))


def _verdicts(tally: Tally) -> list[str]:
    words = {
        Verdict.SAME: "{} the same everywhere",
        Verdict.MISSING: "{} missing somewhere",
        Verdict.DIFFERS: "{} different somewhere",
        Verdict.PROBLEM: "{} a problem here",
        Verdict.UNKNOWN: "{} not told",
        Verdict.IGNORED: "{} ignored by a .pmarepignore",
    }
    return [text.format(f"{tally.verdicts[one]:,}") for one, text in words.items() if tally.verdicts[one]]


def count_of(number: int, one: str) -> str:
    """Return a number with its noun: `1 slide`, `1,204 slides`."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"
