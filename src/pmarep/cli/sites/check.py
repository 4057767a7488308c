"""`pmarep sites test`: log in at sites and look for their targets."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from ..config_files import load_book, warn_unverified_tls
from ..list_output import print_columns, print_json
from ..options import ConfigOption, JsonListOption
from .key_options import OptionalNamesArgument


def check_command(
    names: OptionalNamesArgument = None,
    write: Annotated[
        bool, typer.Option("--write", help="Also make the target's missing folders, as a push would.")
    ] = False,
    as_json: JsonListOption = False,
    config: ConfigOption = None,
) -> None:
    """Log in at every site and look for its target. Changes nothing there without --write. Exit code 1 if one fails."""
    import asyncio
    from dataclasses import asdict

    from ...sites import Credentials
    from ...sites.site_check import check_sites
    from .check_table import show

    book = load_book(config)
    # Not `resolve`: a site that is the same place as another one can be tested all the same.
    chosen = book.select(names or list(book.sites))
    warn_unverified_tls(chosen)
    checks = asyncio.run(check_sites(chosen, Credentials(os.environ), write))
    if as_json:
        print_json([{**asdict(check), "ok": check.ok} for check in checks])
    else:
        show(checks, print_columns)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)
