"""`pmarep sites list`: the sites of the book, one a line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from ...text import printable
from ...units import count_of
from ..config_files import config_hint, load_book
from ..list_output import print_columns, print_fitted_columns, print_json
from ..options import ConfigOption, JsonListOption
from ..output_streams import echo
from .key_options import OptionalNamesArgument

if TYPE_CHECKING:
    from ...sites import Site, SiteBook


def list_sites(
    names: OptionalNamesArgument = None,
    as_json: JsonListOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the sites of the book, one a line. Contacts nobody."""
    book = load_book(config)
    chosen = book.select(names) if names else list(book.sites.values())
    if as_json:
        print_json([_as_json(book, site) for site in chosen])
    elif not chosen:
        echo(f"no sites in {book.path}; add one with `pmarep sites add NAME{config_hint(config)}`", err=True)
    else:
        _print_sites(book, chosen)


def _print_sites(book: SiteBook, chosen: list[Site]) -> None:
    header = ["NAME", "URL", "USER NAME", "TARGET", "GROUPS"]
    rows = [[s.name, s.url, s.username, s.target, ", ".join(book.groups_of(s.name))] for s in chosen]
    if not sys.stdout.isatty():
        print_columns([header, *([cell or "-" for cell in row] for row in rows)])
        return
    cut = print_fitted_columns([header, *rows])
    count = count_of(len(chosen), "site")
    hint = "; in full: pmarep sites list | less -S" if cut else ""
    typer.secho(printable(f"{count} in {book.path}{hint}"), dim=True)


def _as_json(book: SiteBook, site: Site) -> dict[str, Any]:
    """Return a site's keys, without its commands: people put secrets into them."""
    from ...sites.models import COMMANDS

    said = site.model_dump(mode="json", exclude=set(COMMANDS))
    return {"name": site.name, **said, "groups": book.groups_of(site.name)}
