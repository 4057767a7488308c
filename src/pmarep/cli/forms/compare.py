"""`pmarep forms compare`: which forms, and which data of them, are missing where or differ."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from .. import completion
from ..config_files import load_book, warn_unverified_tls
from ..log_output import start_logging
from ..options import ConfigOption, ExcludeOption, IncludeOption, VerboseOption
from ..output_streams import echo

if TYPE_CHECKING:
    from ...compare.form_comparison import FormComparison
    from .output import FormOutput


def compare(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PLACE...", help="Two or more: SITE:folder, SITE:/Root/folder.", autocompletion=completion.place
        ),
    ],
    values: Annotated[
        bool, typer.Option("--values", help="Show what was filled in where it differs; it may be about patients.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Show also what is the same everywhere.")] = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, a summary last.")] = False,
    verbose: VerboseOption = 0,
    config: ConfigOption = None,
) -> None:
    """Compare the forms of places, and what users have filled into them for the slides there.

    Forms are matched by name, fields by label, values by text; data by slide, form and user. Changes nothing. Ends with
    1 if anything differs or could not be told.
    """
    from ...compare.form_comparison import FormComparison
    from ...compare.listing import Wanted
    from ...compare.sides import make_sides
    from ...sites import Credentials
    from ...sites.place import needed_place
    from ...slides.selection import describe_unmatched
    from ..compare.progress import watched
    from ..interruptible import run_interruptible
    from .output import JsonFormOutput, PlainFormOutput

    start_logging(verbose)
    book = load_book(config)
    chosen = [needed_place(text, book) for text in places]
    sides = make_sides(chosen)
    warn_unverified_tls([place.site for place in chosen])
    wanted = Wanted(include or (), exclude or ())
    with closing(FormComparison(sides, wanted, values=values)) as comparison:
        run_interruptible(watched(comparison, comparison.run(Credentials(os.environ))))
        code = _show(comparison, JsonFormOutput(sides) if json else PlainFormOutput(sides), every=every)
    for line in describe_unmatched(include or (), exclude or (), wanted.matched):
        echo(line, err=True)
    raise typer.Exit(code)


def _show(comparison: FormComparison, output: FormOutput, *, every: bool) -> int:
    """Print what was found; return the exit code."""
    from ...compare.tally import Tally

    sides = len(comparison.sides)
    forms, submissions = Tally(sides), Tally(sides)
    for row in comparison.form_rows():
        forms.add(row)
        if every or not row.verdict.is_fine:
            output.form(row)
    for one in comparison.submission_rows():
        submissions.add(one.row)
        if every or not one.row.verdict.is_fine:
            output.measure(one)
    for one in comparison.submission_rows():
        if every or not one.row.verdict.is_fine:
            output.submission(one)
    untold = 0
    for gap in comparison.gaps():
        untold += 1
        output.gap(gap)
    fine = not untold and all(verdict.is_fine for tally in (forms, submissions) for verdict in tally.verdicts)
    code = 0 if fine else 1
    output.finish(forms, submissions, untold, code)
    return code
