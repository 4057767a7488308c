"""`pmarep status`: what goes on, what is unfinished, how the last runs ended, and what to type next."""

from __future__ import annotations

from typing import Annotated

import typer

from ...errors import UsageError
from ..config_files import state_path, state_paths
from ..options import ConfigOption, StateDirsOption

MOST = 1_000_000  # runs


def status(
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    count: Annotated[int, typer.Option("--runs", "-n", metavar="N", help="How many of the last runs.", min=0)] = 5,
    config: ConfigOption = None,
    state_dir: StateDirsOption = None,
) -> None:
    """Show the runs that go on, the slides that are partly sent, how the last runs ended, and how to go on.

    Contacts nobody. The site book is only read for the names of sites; without one, those of the runs are shown.
    """
    import asyncio

    from .output import print_json, print_lines
    from .overview import look

    if count > MOST:
        raise UsageError(f"--runs takes numbers up to {MOST:,}")
    overview = asyncio.run(look(state_paths(state_dir), count, config))
    named = ", ".join(str(state_path(one)) for one in state_dir) if state_dir else str(state_path(None))
    if json:
        print_json(overview)
    else:
        print_lines(overview, f"no runs yet in {named}" if count else "")
