"""A comparison as JSON, one object a line, and as a table for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from ..text import spreadsheet_cell
from .mend import Mend
from .rows import Cell, Row, State, Verdict
from .sides import Side
from .table import ELSEWHERE, Gap, GapKind
from .tally import Tally, in_words


def row_object(row: Row, sides: Sequence[Side], what: str = "slide") -> dict[str, Any]:
    """Return the object of a slide, or of something else: `what` is the key of its name."""
    cells = {side.label: _cell(cell) for side, cell in zip(sides, row.cells, strict=True)}
    return {what: row.path, "state": row.verdict.value, "at": cells}


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "state": cell.state.value,
        "group": cell.group or None,
        "files": cell.files,
        "bytes": cell.bytes,
        "differs": list(cell.differs),
        "why": cell.why or None,
        "details": list(cell.details),
    }


def gap_object(gap: Gap, sides: Sequence[Side]) -> dict[str, Any]:
    """Return the object of something that a side does not tell, or that is a problem there."""
    kind = "problem" if gap.kind is GapKind.PROBLEM else "unknown"
    return {"not_told": gap.path.removeprefix(ELSEWHERE), "at": sides[gap.side].label, "state": kind, "why": gap.why}


def summary_object(
    tally: Tally, sides: Sequence[Side], mends: Sequence[Mend], level: str, exit_code: int
) -> dict[str, Any]:
    """Return the object that comes last."""
    labels = [side.label for side in sides]
    return {
        "summary": {
            "exit_code": exit_code,
            "level": level,
            "slides": tally.slides,
            **{verdict.value: tally.verdicts[verdict] for verdict in Verdict},
            "not_told": tally.untold,
            "places": {
                side.label: {
                    "place": side.text,
                    "slides": counts.slides,
                    "bytes": counts.bytes,
                    **{state.value: counts.states[state] for state in State},
                }
                for side, counts in zip(sides, tally.sides, strict=True)
            },
            "agreement": [
                {"slides": count, "words": in_words(pattern, labels)} for pattern, count in tally.patterns.most_common()
            ],
            "commands": [{"command": mend.command, "slides": mend.slides} for mend in mends if mend.command],
        }
    }


def form_summary_object(
    forms: Tally, submissions: Tally, untold: int, sides: Sequence[Side], exit_code: int
) -> dict[str, Any]:
    """Return the object that comes last in a comparison of forms."""
    labels = [side.label for side in sides]

    def counts(tally: Tally) -> dict[str, Any]:
        return {
            "count": tally.slides,
            **{verdict.value: tally.verdicts[verdict] for verdict in Verdict if verdict in _OF_FORMS},
            "agreement": [
                {"count": count, "words": in_words(pattern, labels)} for pattern, count in tally.patterns.most_common()
            ],
        }

    return {
        "summary": {
            "exit_code": exit_code,
            "forms": counts(forms),
            "submissions": counts(submissions),
            "not_told": untold,
            "places": {side.label: side.text for side in sides},
        }
    }


_OF_FORMS = (Verdict.DIFFERS, Verdict.MISSING, Verdict.UNKNOWN, Verdict.SAME)


class CsvLines:
    """Rows as lines of CSV, in UTF-8 with a byte order mark, or Excel would take it for another encoding.

    A line break is CR LF, as RFC 4180 says. Texts that a spreadsheet would take for formulas begin with an apostrophe.
    """

    def __init__(self, sides: Sequence[Side]) -> None:
        self._sides = sides

    def head(self) -> bytes:
        """Return the byte order mark and the names of the columns."""
        columns = [name for side in self._sides for name in (side.text, f"{side.text} files", f"{side.text} bytes")]
        return b"\xef\xbb\xbf" + _line(["slide", "state", *columns, "details"])

    def row(self, row: Row) -> bytes:
        """Return the line of a slide."""
        cells = [value for cell in row.cells for value in (cell_words(cell), cell.files, cell.bytes)]
        return _line([row.path, row.verdict.value, *cells, "; ".join(detail_lines(row, self._sides))])


def cell_words(cell: Cell) -> str:
    """Return a cell in few words: `same`, `missing`, `differs: size`; `differs 2: size` in a second such group."""
    if cell.state is State.DIFFERS:
        number = f" {cell.group - 1}" if cell.group > 2 else ""
        return f"differs{number}: {', '.join(cell.differs)}"
    if cell.state is State.PROBLEM:
        return cell.why.partition(":")[0]
    return "not told" if cell.state is State.UNKNOWN else cell.state.value


def detail_lines(row: Row, sides: Sequence[Side]) -> list[str]:
    """Return a line for all that is known of why the sides differ, and why one does not tell."""
    lines: list[str] = []
    for side, cell in zip(sides, row.cells, strict=True):
        details = [*cell.details[:_SHOWN], *([cell.why] if cell.why else [])]
        more = len(cell.details) - _SHOWN
        lines += [f"{side.label}: {detail}" for detail in details]
        lines += [f"{side.label}: and {more:,} more"] if more > 0 else []
    return lines


_SHOWN = 5
"""Files of a slide whose differences are said."""


def _line(values: Sequence[object]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow([spreadsheet_cell(value) if isinstance(value, str) else value for value in values])
    return out.getvalue().encode("utf-8", "backslashreplace")
