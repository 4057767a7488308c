"""`pmarep sites login`: check a password with the server and keep it in the keyring."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

from ..config_files import load_book, warn_unverified_tls
from ..options import ConfigOption, NoInputOption
from ..output_streams import echo
from .key_options import NamesArgument

if TYPE_CHECKING:
    from ...sites import Credentials, Site


def login_command(
    names: NamesArgument,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
) -> None:
    """Check a password with the server, then keep it in the keyring. Off a terminal it is the first line of stdin."""
    from ...errors import PmarepError, UsageError
    from ...sites import Credentials

    # Sites on the same PMA.core as the same user have one password.
    accounts = {(site.url, site.username): site for site in reversed(load_book(config).select(names))}
    chosen = list(reversed(accounts.values()))
    warn_unverified_tls(chosen)
    credentials, failed = Credentials(os.environ), False
    credentials.check_keyring(chosen[0])
    piped = None
    if no_input and sys.stdin.isatty():
        raise UsageError(f"nobody may be asked for the password; pipe it: pass show x | pmarep sites login {names[0]}")
    if not sys.stdin.isatty():
        if len(chosen) > 1:
            raise UsageError(
                f"stdin has one password, but {', '.join(s.name for s in chosen)} need one each; name one site"
            )
        piped = _piped_password()
    for site in chosen:
        try:
            _login(site, piped, credentials)
        except PmarepError as error:
            if len(chosen) == 1:
                raise
            echo(f"pmarep: {site.name}: {error}", err=True)
            failed = True
    raise typer.Exit(1 if failed else 0)


def _piped_password() -> str:
    from ...errors import CredentialsError
    from ...passwords import NotTextError, read_line

    try:
        return read_line(sys.stdin.buffer)
    except NotTextError as error:
        raise CredentialsError(f"stdin has {error}; nothing was kept") from None


def _login(site: Site, piped: str | None, credentials: Credentials) -> None:
    import asyncio

    from ...errors import CredentialsError
    from ...sites.site_check import probe_login
    from ...sites.site_connection import connection_of

    password = piped
    if password is None:
        # Empty is an answer: no password, no log-in.
        question = f"Password of {site.username} at {site.url}"
        password = str(typer.prompt(question, default="", show_default=False, hide_input=True))
    if not password:
        raise CredentialsError(
            f"no password was given for {site.name}, so none is kept; type it when it is asked for, or pipe it"
        )
    asyncio.run(probe_login(connection_of(site), password))
    credentials.store(site, password)
    echo(f"{site.name}: {site.url} accepts the password of {site.username}; it is in the keyring now")
    if first := credentials.source_before_keyring(site):
        echo(f"{site.name}: note that {first} comes before the keyring", err=True)
