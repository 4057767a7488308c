"""`pmarep ls`: what lies at places of sites."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from ..config_files import load_book
from ..options import ConfigOption
from .arguments import PlacesArgument, places_in

if TYPE_CHECKING:
    from ...places.listing import Wanted
    from ...remote.session_pool import Passwords
    from ...sites.place import Place
    from .ls_output import ListingOutput


def ls(
    places: PlacesArgument = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-R", help="Also what is in folders, each level.")] = False,
    files: Annotated[bool, typer.Option("--files", help="Also the files of each slide.")] = False,
    names: Annotated[bool, typer.Option("--names", help="Only names: no request for each slide.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Ask whether the server can read each slide: one request more for each.")
    ] = False,
    fingerprint: Annotated[
        bool, typer.Option("--fingerprint", help="Ask for the server's fingerprint of each slide: one request more.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the folders and slides at places, slides with their size, number of files, and time of change.

    The time is that of the newest file, as the server says it. Several places are asked at once. Ends with 1 if a
    server did not tell all or cannot read a slide (--check), with 2 if there is no such place.
    """
    from ...errors import UsageError
    from ...places.listing import Wanted
    from ...sites import Credentials
    from ..interruptible import run_interruptible
    from .ls_output import JsonListing, PlainListing

    if names and files:
        raise UsageError("--names asks for no files; leave it or --files out")
    chosen = places_in(places, load_book(config))
    wanted = Wanted(recursive=recursive, files=not names, check=check, fingerprint=fingerprint)
    output = JsonListing(wanted, files=files) if json else PlainListing(wanted, files=files, several=len(chosen) > 1)
    raise typer.Exit(run_interruptible(_list(chosen, Credentials(os.environ), wanted, output)))


async def _list(places: list[Place], passwords: Passwords, wanted: Wanted, output: ListingOutput) -> int:
    """Print all places in the order named; return the exit code."""
    from ...places.listing import listed

    async with listed(places, passwords, wanted) as listings:
        for listing in listings:
            output.begin(listing)
            async for row in listing.rows():
                output.row(row)
            output.end()
    return output.exit_code()
