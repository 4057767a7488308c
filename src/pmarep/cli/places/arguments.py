"""The argument and the options that the commands about places share, and the places that they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ...text import printable
from .. import completion
from ..config_files import warn_unverified_tls
from ..output_streams import echo

if TYPE_CHECKING:
    from ...errors import PmarepError
    from ...sites import SiteBook
    from ...sites.place import Place

PlacesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PLACE...",
        help="SITE:folder below the site's target, SITE:/Root/folder, or SITE:/ for the root-directories.",
        autocompletion=completion.place,
    ),
]


def places_in(texts: list[str] | None, book: SiteBook) -> list[Place]:
    """Return the places that are named, all of them checked before anybody is asked. Raises UsageError, ConfigError."""
    from ...errors import UsageError
    from ...sites.place import needed_place

    if not texts:
        site = next(iter(book.sites), "SITE")
        raise UsageError(
            f"no place is named; write {site}: for that site's target, {site}:folder, or {site}:/ for the top"
        )
    places = [needed_place(text, book) for text in texts]
    warn_unverified_tls(list({place.site.name: place.site for place in places}.values()))
    return places


def say_error(place: Place, error: PmarepError) -> None:
    """Say on stderr what went wrong at a place."""
    echo(f"pmarep: {printable(place.text.removesuffix(':'))}: {error}", err=True)


def exit_code_of(error: PmarepError) -> int:
    """Return the exit code of a command that goes on with other places: 2 where one is not there, else 1."""
    from ...pmacore import NotFound

    return 2 if isinstance(error, NotFound) else 1
