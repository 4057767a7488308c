"""`pmarep sites`: register PMA.cores once, use them everywhere. What is slow to import is imported where it is used."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from . import complete
from .options import ConfigOption, JsonListOption, NoInputOption, book_path, load_book, may_ask, warn_of_unverified
from .site_options import (
    AllowHttpUploadsOption,
    BwLimitOption,
    CaBundleOption,
    ClientCertOption,
    CongestionOption,
    ConnectionsOption,
    ConnectTimeoutOption,
    PasswordCommandOption,
    ProxyOption,
    ServerOption,
    TargetOption,
    TimeoutOption,
    UrlOption,
    UsernameOption,
    VerifyTlsOption,
    site_values,
)
from .sites_edit import duplicate, edit, remove, rename
from .sites_import import import_sites, schema
from .sites_show import list_sites, show
from .stdio import say
from .tables import print_json, print_lines
from .usage import Commands

if TYPE_CHECKING:
    from ..sites import Credentials, Site, SiteBook

sites = Commands(no_args_is_help=True, help="Register PMA.cores and the places on them where slides go.")

NamesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME...", help="Sites, patterns ('box-*') or groups.", autocompletion=complete.site_or_group
    ),
]


@sites.command("add")
def add_command(
    name: Annotated[str, typer.Argument(help="What you will call the site.")],
    url: UrlOption = None,
    server: ServerOption = None,
    username: UsernameOption = None,
    target: TargetOption = None,
    password_command: PasswordCommandOption = None,
    ca_bundle: CaBundleOption = None,
    client_cert: ClientCertOption = None,
    proxy: ProxyOption = None,
    verify_tls: VerifyTlsOption = None,
    connect_timeout: ConnectTimeoutOption = None,
    timeout: TimeoutOption = None,
    congestion: CongestionOption = None,
    allow_http_uploads: AllowHttpUploadsOption = None,
    bwlimit: BwLimitOption = None,
    connections: ConnectionsOption = None,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
) -> None:
    """Add a site. On a terminal: asks for what is missing, logs in, and shows the root-directories to choose from."""
    from .sites_add import TerminalAsker, add_as_told, add_by_asking

    values = site_values(
        server=server, url=url, username=username, target=target, connections=connections, bwlimit=bwlimit,
        ca_bundle=ca_bundle, client_cert=client_cert, proxy=proxy, verify_tls=verify_tls,
        connect_timeout=connect_timeout, timeout=timeout, congestion=congestion,
        allow_http_uploads=allow_http_uploads, password_command=password_command,
    )  # fmt: skip
    path = book_path(config)
    if may_ask(no_input):
        add_by_asking(path, name, values, TerminalAsker(), _credentials())
        return
    add_as_told(path, name, values)
    say(
        f"added {name} to {path}; now keep its password (pmarep sites login {name}) and try it "
        f"(pmarep sites test {name})"
    )


sites.command("list")(list_sites)
sites.command("show")(show)
sites.command("edit")(edit)
sites.command("duplicate")(duplicate)
sites.command("rename")(rename)
sites.command("remove")(remove)
sites.command("import")(import_sites)


@sites.command("login")
def login_command(
    names: NamesArgument,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
) -> None:
    """Check a password with the server, then keep it in the keyring. Not at a terminal: one line of stdin is it."""
    from ..errors import PmarepError, UsageError

    # Sites on the same PMA.core as the same user have one password.
    accounts = {(site.url, site.username): site for site in reversed(load_book(config).select(names))}
    chosen = list(reversed(accounts.values()))
    warn_of_unverified(chosen)
    piped = None
    if no_input and sys.stdin.isatty():
        raise UsageError(f"nobody may be asked for the password; pipe it: pass show x | pmarep sites login {names[0]}")
    if not sys.stdin.isatty():
        if len(chosen) > 1:
            raise UsageError(f"stdin has one password, but {', '.join(s.name for s in chosen)} need one each; name one")
        piped = _piped_password()
    credentials, failed = _credentials(), False
    for site in chosen:
        try:
            _login(site, piped, credentials)
        except PmarepError as error:
            if len(chosen) == 1:
                raise
            say(f"pmarep: {site.name}: {error}", err=True)
            failed = True
    raise typer.Exit(1 if failed else 0)


def _piped_password() -> str:
    from ..errors import CredentialsError
    from ..passwords import NotTextError, read_line

    try:
        return read_line(sys.stdin.buffer)
    except NotTextError as error:
        raise CredentialsError(f"stdin has {error}; nothing was kept") from None


def _login(site: Site, piped: str | None, credentials: Credentials) -> None:
    import asyncio

    from ..errors import CredentialsError
    from ..sites.check import visit
    from ..sites.network import connection_of

    password = piped
    if password is None:
        # Empty is an answer: no password, no log-in.
        question = f"Password of {site.username} at {site.url}"
        password = str(typer.prompt(question, default="", show_default=False, hide_input=True))
    if not password:
        raise CredentialsError(f"no password given for {site.name}; nothing was kept")
    asyncio.run(visit(connection_of(site), password))
    credentials.store(site, password)
    say(f"{site.name}: {site.url} accepts the password of {site.username}; it is in the keyring now")
    if first := credentials.comes_first(site):
        say(f"{site.name}: note that {first} comes before the keyring", err=True)


@sites.command("logout")
def logout_command(names: NamesArgument, config: ConfigOption = None) -> None:
    """Remove passwords from the keyring, of each server and user once. Contacts nobody."""
    from ..errors import PmarepError

    book, credentials, failed = load_book(config), _credentials(), False
    chosen = {(site.url, site.username): site for site in reversed(book.select(names))}
    for site in reversed(chosen.values()):
        try:
            _logout(book, site, credentials)
        except PmarepError as error:
            if len(chosen) == 1:
                raise
            say(f"pmarep: {site.name}: {error}", err=True)
            failed = True
    raise typer.Exit(1 if failed else 0)


def _logout(book: SiteBook, site: Site, credentials: Credentials) -> None:
    was_there = credentials.forget(site)
    words = "is no longer" if was_there else "was not"
    say(f"{site.name}: the password of {site.username} at {site.url} {words} in the keyring")
    account = (site.url, site.username)
    others = [s.name for s in book.sites.values() if (s.url, s.username) == account and s.name != site.name]
    if was_there and others:
        say(f"{site.name}: note that it was also the password of {', '.join(others)}", err=True)
    if first := credentials.comes_first(site):
        say(f"{site.name}: note that {first} still gives one", err=True)


@sites.command("test")
def check_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Sites, patterns or groups; else all.", autocompletion=complete.site_or_group
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Also make the target's missing folders, as a push would.")
    ] = False,
    as_json: JsonListOption = False,
    config: ConfigOption = None,
) -> None:
    """Log in at every site and look for its target. Changes nothing there without --write. Exit code 1 if one fails."""
    import asyncio
    from dataclasses import asdict

    from ..sites.check import check_sites
    from .sites_check import show

    book = load_book(config)
    # Not `resolve`: a site that is the same place as another one can be tested all the same.
    chosen = book.select(names or list(book.sites))
    warn_of_unverified(chosen)
    checks = asyncio.run(check_sites(chosen, _credentials(), write))
    if as_json:
        print_json([{**asdict(check), "ok": check.ok} for check in checks])
    else:
        show(checks, print_lines)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


def _credentials() -> Credentials:
    from ..sites import Credentials

    return Credentials(os.environ)


sites.command("schema")(schema)
