"""`pmarep compare`: which slide is where, and what differs."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...errors import PmarepError, UsageError
from .. import completion
from ..config_files import book_path, load_book, naming_config, warn_unverified_tls
from ..log_output import start_logging
from ..option_values import parse_newer_than, parse_option
from ..options import (
    ConfigOption,
    ExcludeOption,
    FollowLinksOption,
    IncludeOption,
    MinSizeOption,
    NewerThanOption,
    VerboseOption,
)
from ..output_streams import echo

if TYPE_CHECKING:
    from ...compare.comparison import Comparison
    from ...compare.listing import Wanted
    from ...sites.place import Place
    from .output import CompareOutput


def compare(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PLACE...",
            help="Two or more: folders of this machine, and places at sites (tokyo:2026/autumn).",
            autocompletion=completion.place,
        ),
    ],
    fingerprint: Annotated[
        bool, typer.Option("--fingerprint", help="Also by the servers' own fingerprints; between servers only.")
    ] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Also by all bytes, which every side is read for.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show also the slides that are the same everywhere.")] = False,
    details: Annotated[bool, typer.Option("--details", help="Say which files differ, and how.")] = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    newer_than: NewerThanOption = None,
    min_size: MinSizeOption = "0",
    follow_links: FollowLinksOption = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the slides shown as a table for spreadsheets.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line, a summary last.")] = False,
    verbose: VerboseOption = 0,
    config: ConfigOption = None,
) -> None:
    """Compare the slides in folders and at places: which one is where, and what differs.

    By names and sizes of all files, or closer. Changes nothing. Ends with 1 if anything differs or could not be told.
    """
    from ...compare.comparison import Comparison, Options
    from ...compare.rows import ContentKind
    from ...compare.sides import make_sides
    from ...sites import Credentials
    from ...slides.selection import describe_unmatched
    from ...units import parse_size
    from ..interruptible import run_interruptible
    from .output import output_for
    from .progress import watched

    if fingerprint and deep:
        raise UsageError("--fingerprint and --deep at once; --deep alone is the closer look")
    start_logging(verbose)
    if csv is not None:
        from ...report.write import check_file

        if str(csv) == "-":
            raise UsageError("--csv writes a file that only you can read; name one, or take --json on stdout")
        check_file(csv, "the table")
    sides = make_sides(_places(places, config))
    warn_unverified_tls([side.at.site for side in sides if not isinstance(side.at, Path)])
    with ExitStack() as stack:
        wanted = _wanted(stack, include, exclude, config, follow_links=follow_links)
        kind = ContentKind.BYTES if deep else ContentKind.FINGERPRINT if fingerprint else None
        options = Options(wanted, kind, parse_newer_than(newer_than), parse_option("--min-size", parse_size, min_size))
        comparison = stack.enter_context(closing(Comparison(sides, options)))
        run_interruptible(watched(comparison, comparison.run(Credentials(os.environ))))
        repeated = [f"--include={text}" for text in include or ()] + [f"--exclude={text}" for text in exclude or ()]
        repeated += [f"--config={config}"] if config is not None else []
        output = output_for(comparison, json=json, details=details, repeated=repeated)
        code = _show(comparison, output, csv, every=every)
    for line in describe_unmatched(include or (), exclude or (), wanted.matched):
        echo(line, err=True)
    raise typer.Exit(code)


def _places(texts: list[str], config: Path | None) -> list[Place | Path]:
    """Return what is to be compared. Two folders can be compared without any site book."""
    from ...sites import NoBookError
    from ...sites.place import place_or_path

    try:
        book = load_book(config)
    except NoBookError:
        if config is not None or not all(os.path.lexists(text) for text in texts):
            raise
        return [Path(text) for text in texts]
    return [place_or_path(text, book) for text in texts]


def _wanted(
    stack: ExitStack, include: list[str] | None, exclude: list[str] | None, config: Path | None, *, follow_links: bool
) -> Wanted:
    from ...compare.listing import Wanted
    from ...sites import slides_settings
    from ...slides.pma_start import PmaStart

    with naming_config(config):
        settings = slides_settings(book_path(config), needed=config is not None)
    lookup = None
    if settings.enumerate != "never":
        lookup = stack.enter_context(PmaStart(trust_anybody=settings.enumerate == "always")).lookup
    return Wanted(include or (), exclude or (), follow_links, lookup)


def _show(comparison: Comparison, output: CompareOutput, csv: Path | None, *, every: bool) -> int:
    """Print what was found, and write the table; return the exit code."""
    from ...compare.tally import Tally

    tally = Tally(len(comparison.sides))
    for row in comparison.rows():
        tally.add(row)
        if every or not row.verdict.is_fine:
            output.measure(row)
    if csv is not None:
        _write_csv(comparison, csv, every=every)
    for row in comparison.rows():
        if every or not row.verdict.is_fine:
            output.row(row)
    for gap in comparison.gaps():
        tally.untold += 1
        output.gap(gap)
    code = 0 if tally.is_fine else 1
    output.finish(tally, code)
    return code


def _write_csv(comparison: Comparison, file: Path, *, every: bool) -> None:
    from ...compare.exports import CsvLines
    from ...system.private_file import replace_private_file

    lines = CsvLines(comparison.sides)
    rows = (lines.row(row) for row in comparison.rows() if every or not row.verdict.is_fine)
    try:
        replace_private_file(file, (line for part in ([lines.head()], rows) for line in part))
    except OSError as error:
        raise PmarepError(f"cannot write the table {file}: {error.strerror}; name another file") from None
