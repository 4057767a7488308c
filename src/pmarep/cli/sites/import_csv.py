"""`pmarep sites import`: add many sites from a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import completion
from ..config_files import book_path
from ..options import ConfigOption
from ..output_streams import echo

if TYPE_CHECKING:
    from ...sites import SiteBook


def import_sites(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Columns name, target and any other key of a site.")],
    server: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The server of the rows that name neither server nor url.",
            autocompletion=completion.server,
        ),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Change sites that are there already.")] = False,
    config: ConfigOption = None,
) -> None:
    """Add many sites from a CSV file. Says everything that is wrong with it, or adds all in one step.

    The first line names the columns. Commas, semicolons or tabs between; UTF-8, as "CSV UTF-8" of a spreadsheet.
    An empty cell leaves the key to the server or the defaults.
    """
    from ...sites import SiteBook
    from ...sites.book_edit import add_sites
    from ...sites.book_text import BookText
    from ...sites.csv_import import read_csv_sites

    path = book_path(config)
    book = SiteBook.load(path) if path.exists() else SiteBook.parse(BookText(path, ""))
    found = read_csv_sites(file, book, server, update)
    after = add_sites(path, found, update=update)
    changed = [name for name in found if name in book.sites]
    words = [f"added {len(found) - len(changed)}"] if len(found) > len(changed) else []
    words += [f"changed {len(changed)}"] if changed else []
    echo(f"{', '.join(words)} in {path}; try them: pmarep sites test {' '.join(list(found)[:3])}"
               f"{' ...' if len(found) > 3 else ''}")  # fmt: skip
    _warn_of_same_destinations(after, list(found))


def _warn_of_same_destinations(book: SiteBook, names: list[str]) -> None:
    """Warn of sites with one destination, a slip of copy and paste that only a push would find."""
    places: dict[str, str] = {}
    new = set(names)
    for site in book.sites.values():
        other = places.setdefault(site.destination_key, site.name)
        if other != site.name and {site.name, other} & new:
            echo(f"note: {other} and {site.name} are the same place ({site.url} {site.target})", err=True)
