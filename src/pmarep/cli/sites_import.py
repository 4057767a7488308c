"""`pmarep sites import` and `schema`: many sites at once, and help for those who write the book in an editor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import complete
from .options import ConfigOption, book_path
from .stdio import say
from .tables import print_json

if TYPE_CHECKING:
    from ..sites import SiteBook

SHOWN = 20


def import_sites(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Columns name, target and any other key of a site.")],
    server: Annotated[
        str | None,
        typer.Option(help="The server of all that name no server or url.", autocompletion=complete.server),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Change sites that are there already.")] = False,
    config: ConfigOption = None,
) -> None:
    """Add many sites from a CSV file. Says everything that is wrong with it, or adds all in one step.

    The first line names the columns. Commas, semicolons or tabs between; UTF-8, as "CSV UTF-8" of a spreadsheet.
    An empty cell is not said, so the server or the defaults say it.
    """
    from ..sites import SiteBook
    from ..sites.edit import add_sites
    from ..sites.source import BookText
    from ..sites.spreadsheet import SpreadsheetError, read_sites

    path = book_path(config)
    book = SiteBook.load(path) if path.exists() else SiteBook.parse(BookText(path, ""))
    try:
        found = read_sites(file, book, server, update)
    except SpreadsheetError as error:
        for problem in error.problems[:SHOWN]:
            say(problem, err=True)
        if len(error.problems) > SHOWN:
            say(f"... and {len(error.problems) - SHOWN} more", err=True)
        raise
    after = add_sites(path, found, update=update)
    changed = [name for name in found if name in book.sites]
    words = [f"added {len(found) - len(changed)}"] if len(found) > len(changed) else []
    words += [f"changed {len(changed)}"] if changed else []
    say(f"{', '.join(words)} in {path}; try them: pmarep sites test {' '.join(list(found)[:3])}"
               f"{' ...' if len(found) > 3 else ''}")  # fmt: skip
    _warn_of_same_places(after, list(found))


def _warn_of_same_places(book: SiteBook, names: list[str]) -> None:
    """A slip of copy and paste that only a push would find."""
    places: dict[str, str] = {}
    new = set(names)
    for site in book.sites.values():
        other = places.setdefault(site.place, site.name)
        if other != site.name and {site.name, other} & new:
            say(f"note: {other} and {site.name} are the same place ({site.url} {site.target})", err=True)


def schema() -> None:
    """Print the JSON schema of the site book, from which editors complete and check it.

    With taplo (Even Better TOML): write it to a file, and `#:schema ./sites.schema.json` into the book's first line.
    """
    from ..sites.schema import book_schema

    sys.stdout.flush()
    print_json(book_schema())
