"""`pmarep sites list` and `show`: what is in the book. They contact nobody."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..text import printable
from . import complete
from .options import ConfigOption, JsonListOption, also, load_book
from .stdio import say
from .tables import print_fitting, print_json, print_lines

if TYPE_CHECKING:
    from ..sites import Credentials, Site, SiteBook


def list_sites(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...", help="Sites, patterns or groups; else all.", autocompletion=complete.site_or_group
        ),
    ] = None,
    as_json: JsonListOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the sites of the book, one a line. Contacts nobody."""
    book = load_book(config)
    chosen = book.select(names) if names else list(book.sites.values())
    if as_json:
        print_json([_as_json(book, site) for site in chosen])
    elif not chosen:
        say(f"no sites in {book.path}; add one with `pmarep sites add NAME{also(config)}`", err=True)
    else:
        _print_sites(book, chosen)


def _print_sites(book: SiteBook, chosen: list[Site]) -> None:
    header = ["NAME", "URL", "USER NAME", "TARGET", "GROUPS"]
    rows = [[s.name, s.url, s.username, s.target, ", ".join(book.groups_of(s.name))] for s in chosen]
    if not sys.stdout.isatty():
        print_lines([header, *([cell or "-" for cell in row] for row in rows)])
        return
    cut = print_fitting([header, *rows])
    count = "1 site" if len(chosen) == 1 else f"{len(chosen)} sites"
    hint = "; in full: pmarep sites list | less -S" if cut else ""
    typer.secho(printable(f"{count} in {book.path}{hint}"), dim=True)


def show(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Sites, patterns ('box-*') or groups.", autocompletion=complete.site_or_group
        ),
    ],
    as_json: JsonListOption = False,
    config: ConfigOption = None,
) -> None:
    """Show every value of a site and where it comes from, also its password's source. Never the password."""
    from ..sites import Credentials

    book, credentials = load_book(config), Credentials(os.environ)
    found = [_described(book, site, _password_from(site, credentials)) for site in book.select(names)]
    if as_json:
        print_json(found)
        return
    for number, site in enumerate(found):
        if number:
            say()
        _print_site(book.path, site)


def _described(book: SiteBook, site: Site, password_from: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in site.model_dump(mode="json", exclude={"name"}).items():
        if value is None:
            continue
        if key == "password_command":
            value = _first_word(site)
        values[key] = {"value": value, **_origin(book, site, key)}
    return {
        "name": site.name,
        "values": values,
        "groups": book.groups_of(site.name),
        "password_from": password_from,
    }


def _password_from(site: Site, credentials: Credentials) -> str:
    """Not whether the keyring has it: asking may open a window, or wait for a person."""
    from ..sites.credentials import variables

    if first := credentials.comes_first(site):
        return first
    keyring = f"the keyring (service pmarep, user {site.username}@{site.url})"
    if credentials.has_keyring():
        return keyring
    return f"{keyring}, but this machine has none; set {variables(site)[0]}, or give it a password_command"


def _origin(book: SiteBook, site: Site, key: str) -> dict[str, Any]:
    from ..sites.source import described

    for table in book.tables_of(site):
        if place := book.source.place((*table, key)):
            return {"from": described(table), "file": str(place[0]), "line": place[1]}
    return {"from": "built in", "file": None, "line": None}


def _first_word(site: Site) -> str:
    """People put more into commands than they should."""
    command = site.password_command or ""
    words = command.split() if isinstance(command, str) else list(command)
    return f"{words[0]} ..." if len(words) > 1 else "".join(words)


def _print_site(path: Path, site: dict[str, Any]) -> None:
    typer.secho(site["name"], bold=True)
    rows = []
    for key, said in site["values"].items():
        file = f"{said['file']}, " if said["file"] not in (None, str(path)) else ""
        where = f"{said['from']}, {file}line {said['line']}" if said["line"] else said["from"]
        rows.append([f"  {key}", _in_toml(said["value"]), where])
    rows.append(["  groups", ", ".join(site["groups"]) or "-", ""])
    rows.append(["  password", "", f"from {site['password_from']}"])
    # The password's long source must not widen the column of the values.
    print_lines(rows)


def _in_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def _as_json(book: SiteBook, site: Site) -> dict[str, Any]:
    """Never `password_command`: people put more into it than they should."""
    said = site.model_dump(mode="json", exclude={"password_command"})
    return {"name": site.name, **said, "groups": book.groups_of(site.name)}
