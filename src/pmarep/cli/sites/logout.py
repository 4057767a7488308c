"""`pmarep sites logout`: remove passwords from the keyring."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from ..config_files import load_book
from ..options import ConfigOption
from ..output_streams import echo
from .key_options import NamesArgument

if TYPE_CHECKING:
    from ...sites import Credentials, Site, SiteBook


def logout_command(names: NamesArgument, config: ConfigOption = None) -> None:
    """Remove passwords from the keyring, once for each server and user. Contacts nobody."""
    from ...errors import PmarepError
    from ...sites import Credentials

    book, credentials, failed = load_book(config), Credentials(os.environ), False
    chosen = {(site.url, site.username): site for site in reversed(book.select(names))}
    for site in reversed(chosen.values()):
        try:
            _logout(book, site, credentials)
        except PmarepError as error:
            if len(chosen) == 1:
                raise
            echo(f"pmarep: {site.name}: {error}", err=True)
            failed = True
    raise typer.Exit(1 if failed else 0)


def _logout(book: SiteBook, site: Site, credentials: Credentials) -> None:
    was_there = credentials.forget(site)
    words = "is no longer" if was_there else "was not"
    echo(f"{site.name}: the password of {site.username} at {site.url} {words} in the keyring")
    account = (site.url, site.username)
    others = [s.name for s in book.sites.values() if (s.url, s.username) == account and s.name != site.name]
    if was_there and others:
        echo(f"{site.name}: note that it was also the password of {', '.join(others)}", err=True)
    if first := credentials.source_before_keyring(site):
        echo(f"{site.name}: note that {first} still gives one", err=True)
