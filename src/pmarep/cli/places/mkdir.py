"""`pmarep mkdir`: make folders at sites."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from ...text import printable
from ..config_files import load_book
from ..options import ConfigOption
from ..output_streams import echo
from .arguments import PlacesArgument, exit_code_of, places_in, say_error

if TYPE_CHECKING:
    from ...remote.session_pool import Passwords
    from ...sites.place import Place


def mkdir(places: PlacesArgument = None, config: ConfigOption = None) -> None:
    """Make folders at sites, with those above them. One that is there already is fine.

    PMA.core has no call that removes a folder. A root-directory is made by the administrator of the PMA.core.
    """
    from ...places.folders import check_is_below_root
    from ...sites import Credentials
    from ..interruptible import run_interruptible

    chosen = places_in(places, load_book(config))
    for place in chosen:
        check_is_below_root(place, "does not make")
    raise typer.Exit(run_interruptible(_make(chosen, Credentials(os.environ))))


async def _make(places: list[Place], passwords: Passwords) -> int:
    """Make the folders in the order named; return the exit code. One that cannot be made does not stop the others."""
    from ...clock import Clock
    from ...errors import PmarepError
    from ...places.folders import make_folder
    from ...places.listing import sessions_of

    code = 0
    async with sessions_of(places, passwords) as sessions:
        for place in places:
            try:
                path, made = await make_folder(sessions.core(place.site), place, Clock())
            except PmarepError as error:
                say_error(place, error)
                code = max(code, exit_code_of(error))
            else:
                echo(f"{'made' if made else 'is there already:'} {place.site.name}:/{printable(path)}")
    return code
