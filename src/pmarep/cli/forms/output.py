"""Print a comparison of forms: two matrices with their counts for people, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...compare.exports import detail_lines, form_summary_object, gap_object, row_object
from ...compare.form_comparison import SubmissionRow
from ...compare.rows import Row
from ...compare.sides import Side
from ...compare.table import Gap
from ...compare.tally import Tally, agreement_lines, verdict_words
from ...text import printable
from ...units import count_of
from ..compare.matrix import GapLines, matrix_for
from ..output_streams import echo


class FormOutput:
    """Base class. Forms come first; then the rows of data are measured, and shown; then come gaps, then the end."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self.sides = sides
        self.labels = [side.label for side in sides]

    def form(self, row: Row) -> None:
        """Show a form."""
        raise NotImplementedError

    def measure(self, row: SubmissionRow) -> None:
        """Look at a row of data that will be shown."""

    def submission(self, row: SubmissionRow) -> None:
        """Show what one user has filled into one form for one slide."""
        raise NotImplementedError

    def gap(self, gap: Gap) -> None:
        """Show something that is not told."""
        raise NotImplementedError

    def finish(self, forms: Tally, submissions: Tally, untold: int, exit_code: int) -> None:
        """Show the counts."""
        raise NotImplementedError


class JsonFormOutput(FormOutput):
    """One object a line, in ASCII with escapes."""

    def form(self, row: Row) -> None:
        self._print(row_object(row, self.sides, "form"))

    def submission(self, row: SubmissionRow) -> None:
        self._print(row_object(row.row, self.sides) | {"form": row.form, "login": row.login})

    def gap(self, gap: Gap) -> None:
        self._print(gap_object(gap, self.sides))

    def finish(self, forms: Tally, submissions: Tally, untold: int, exit_code: int) -> None:
        self._print(form_summary_object(forms, submissions, untold, self.sides, exit_code))

    def _print(self, value: dict[str, Any]) -> None:
        echo(json.dumps(value))


class PlainFormOutput(FormOutput):
    """A matrix of forms, one of data, then the counts in words."""

    def __init__(self, sides: Sequence[Side]) -> None:
        super().__init__(sides)
        self._forms = matrix_for(self.labels, "form")
        self._submissions = matrix_for(self.labels, "slide: form, user")
        self._gaps = GapLines(self.labels)

    def form(self, row: Row) -> None:
        self._forms.measure(row)
        self._forms.row(row, row.path, detail_lines(row, self.sides))

    def measure(self, row: SubmissionRow) -> None:
        self._submissions.measure(row.row)

    def submission(self, row: SubmissionRow) -> None:
        if self._forms.begun and not self._submissions.begun:
            echo("")
        name = f"{row.row.path}: {row.form}, {row.login or 'nobody'}"
        self._submissions.row(row.row, name, detail_lines(row.row, self.sides))

    def gap(self, gap: Gap) -> None:
        self._gaps.say(gap)

    def finish(self, forms: Tally, submissions: Tally, untold: int, exit_code: int) -> None:  # noqa: ARG002
        self._gaps.finish()
        if self._forms.begun or self._submissions.begun:
            echo("")
        for tally, one, none in (
            (forms, "form", "no form is at any of them"),
            (submissions, "submission", "nothing was filled in for these slides, as far as is told"),
        ):
            words = ", ".join(verdict_words(tally))
            echo(f"{count_of(tally.slides, one)}: {words}" if tally.slides else none)
            for line in agreement_lines(tally, self.labels):
                echo(printable(line))
