"""`pmarep sites`: register PMA.cores once, use them everywhere. What is slow to import is imported where it is used."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import ConfigOption, book_path

if TYPE_CHECKING:
    from ..sites import Credentials, Site, SiteBook
    from ..sites.check import SiteCheck

sites = typer.Typer(no_args_is_help=True, help="Register PMA.cores and the places on them where slides go.")

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON list on stdout.")]


@sites.command("add")
def add_command(
    name: Annotated[str, typer.Argument(help="What you will call the site.")],
    url: Annotated[str | None, typer.Option(help="The PMA.core: https://host/ or https://host/core/.")] = None,
    server: Annotated[str | None, typer.Option(help="A server of the book, instead of --url.")] = None,
    username: Annotated[str | None, typer.Option(help="Who logs in there.")] = None,
    target: Annotated[str | None, typer.Option(help="Where slides go: Root-directory/folder.")] = None,
    password_command: Annotated[
        str | None, typer.Option(help="Prints the password, such as 'pass show tokyo'.")
    ] = None,
    ca_bundle: Annotated[Path | None, typer.Option(help="PEM file with the CA of the server's certificate.")] = None,
    bwlimit: Annotated[str | None, typer.Option(help="20M, or '08:00,2M 19:00,off'.")] = None,
    connections: Annotated[str | None, typer.Option(help="auto, or parallel requests (1 to 64).")] = None,
    no_input: Annotated[bool, typer.Option("--no-input", help="Ask nothing, contact nobody.")] = False,
    config: ConfigOption = None,
) -> None:
    """Add a site. On a terminal: asks for what is missing, logs in, and shows the root-directories to choose from."""
    from .sites_add import TerminalAsker, add_as_told, add_by_asking

    values: dict[str, Any] = {
        "server": server,
        "url": url,
        "username": username,
        "target": target,
        "connections": int(connections) if connections and connections.isdecimal() else connections,
        "bwlimit": bwlimit,
        # Relative to here, while the book's own paths are relative to the book.
        "ca_bundle": str(ca_bundle.expanduser().absolute()) if ca_bundle else None,
        "password_command": password_command,
    }
    said = {key: value for key, value in values.items() if value is not None}
    path = book_path(config)
    if no_input or not (sys.stdin.isatty() and sys.stdout.isatty()):
        add_as_told(path, name, said)
        typer.echo(
            f"added {name} to {path}; now keep its password (pmarep sites login {name}) and try it "
            f"(pmarep sites test {name})"
        )
    else:
        add_by_asking(path, name, said, TerminalAsker(), _credentials())


@sites.command("list")
def list_command(as_json: JsonOption = False, config: ConfigOption = None) -> None:
    """Show the sites of the book. Contacts nobody."""
    book = _book(config)
    if as_json:
        _print_json([_as_json(book, site) for site in book.sites.values()])
    elif not book.sites:
        typer.echo(f"no sites in {book.path}; add one with `pmarep sites add NAME`", err=True)
    else:
        rows = [
            [site.name, site.url, site.username, site.target, ", ".join(book.groups_of(site.name))]
            for site in book.sites.values()
        ]
        _print_table(["name", "url", "user name", "target", "groups"], rows)


@sites.command("login")
def login_command(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Sites or groups.")],
    config: ConfigOption = None,
) -> None:
    """Check a password with the server, then keep it in the keyring. Not at a terminal: one line of stdin is it."""
    from ..errors import PmarepError, UsageError

    # Sites on the same PMA.core as the same user have one password.
    accounts = {(site.url, site.username): site for site in reversed(_book(config).select(names))}
    chosen = list(reversed(accounts.values()))
    piped = None
    if not sys.stdin.isatty():
        if len(chosen) > 1:
            raise UsageError(f"stdin has one password, but {', '.join(s.name for s in chosen)} need one each; name one")
        piped = sys.stdin.readline().rstrip("\r\n").removeprefix("\ufeff")
    credentials, failed = _credentials(), False
    for site in chosen:
        try:
            _login(site, piped, credentials)
        except PmarepError as error:
            if len(chosen) == 1:
                raise
            typer.echo(f"pmarep: {site.name}: {error}", err=True)
            failed = True
    raise typer.Exit(1 if failed else 0)


def _login(site: Site, piped: str | None, credentials: Credentials) -> None:
    import asyncio

    from ..errors import CredentialsError
    from ..pmacore import Connection
    from ..sites.check import visit

    password = piped
    if password is None:
        # Empty is an answer: no password, no log-in.
        question = f"Password of {site.username} at {site.url}"
        password = str(typer.prompt(question, default="", show_default=False, hide_input=True))
    if not password:
        raise CredentialsError(f"no password given for {site.name}; nothing was kept")
    asyncio.run(visit(Connection(site.url, site.username, site.ca_bundle), password))
    credentials.store(site, password)
    typer.echo(f"{site.name}: {site.url} accepts the password of {site.username}; it is in the keyring now")
    if first := credentials.comes_first(site):
        typer.echo(f"{site.name}: note that {first} comes before the keyring", err=True)


@sites.command("test")
def check_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Sites or groups; else all.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Log in at every site and look for its target. Changes nothing there. Exit code 1 if one fails."""
    import asyncio
    from dataclasses import asdict

    from ..sites.check import check_sites

    book = _book(config)
    # Not `resolve`: a site that is the same place as another one can be tested all the same.
    checks = asyncio.run(check_sites(book.select(names or list(book.sites)), _credentials()))
    if as_json:
        _print_json([{**asdict(check), "ok": check.ok} for check in checks])
    else:
        _print_lines([[check.site, "ok" if check.ok else "FAILED", _in_words(check)] for check in checks])
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


def _in_words(check: SiteCheck) -> str:
    if check.error is not None:
        return check.error
    folder = f"{check.target} {check.folder}"
    return f"PMA.core {check.version}, password accepted, {folder}, answered in {check.seconds:.2f} s"


def _book(config: Path | None) -> SiteBook:
    from ..sites import SiteBook

    return SiteBook.load(book_path(config))


def _credentials() -> Credentials:
    from ..sites import Credentials

    return Credentials(os.environ)


def _as_json(book: SiteBook, site: Site) -> dict[str, Any]:
    """Never `password_command`: people put more into it than they should."""
    said = site.model_dump(mode="json", exclude={"password_command"})
    return {"name": site.name, **said, "groups": book.groups_of(site.name)}


def _print_json(value: object) -> None:
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(header: list[str], rows: list[list[str]]) -> None:
    """On a terminal as wide as that is; elsewhere every cell in full, one site a line."""
    if not sys.stdout.isatty():
        _print_lines([[word.upper() for word in header], *([cell or "-" for cell in row] for row in rows)])
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for word in header:
        table.add_column(word, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _print_lines(rows: list[list[str]]) -> None:
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())
