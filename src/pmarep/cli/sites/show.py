"""`pmarep sites show`: every value of a site and where it comes from."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..config_files import load_book
from ..list_output import print_columns, print_json
from ..options import ConfigOption, JsonListOption
from ..output_streams import echo
from .key_options import NamesArgument

if TYPE_CHECKING:
    from ...sites import Credentials, Site, SiteBook


def show(
    names: NamesArgument,
    as_json: JsonListOption = False,
    config: ConfigOption = None,
) -> None:
    """Show every value of a site and where it comes from, also its password's source. Never the password."""
    from ...sites import Credentials

    book, credentials = load_book(config), Credentials(os.environ)
    found = [_described(book, site, _password_from(site, credentials)) for site in book.select(names)]
    if as_json:
        print_json(found)
        return
    for number, site in enumerate(found):
        if number:
            echo()
        _print_site(book.path, site)


def _described(book: SiteBook, site: Site, password_from: str) -> dict[str, Any]:
    from ...sites.models import COMMANDS

    values: dict[str, Any] = {}
    for key, value in site.model_dump(mode="json", exclude={"name"}).items():
        if value is None:
            continue
        if key in COMMANDS:
            value = _first_word(value)
        values[key] = {"value": value, **_origin(book, site, key)}
    return {
        "name": site.name,
        "values": values,
        "groups": book.groups_of(site.name),
        "password_from": password_from,
    }


def _password_from(site: Site, credentials: Credentials) -> str:
    """Name the source of the password. The keyring is not asked: that may open a window, or wait for a person."""
    if first := credentials.source_before_keyring(site):
        unchecked = site.password_file and sys.platform == "win32" and str(site.password_file) in first
        return f"{first}; who else may read it is not checked on Windows" if unchecked else first
    keyring = f"the keyring (service pmarep, user {site.username}@{site.url})"
    if credentials.has_keyring():
        return keyring
    return f"{keyring}, but this machine has none; {credentials.ways(site)}"


def _origin(book: SiteBook, site: Site, key: str) -> dict[str, Any]:
    from ...sites.book_text import table_header

    for table in book.tables_of(site):
        if place := book.stack.location((*table, key)):
            return {"from": table_header(table), "file": str(place[0]), "line": place[1]}
    return {"from": "built in", "file": None, "line": None}


def _first_word(command: str | list[str]) -> str:
    """Return the first word of a command: people put secrets into the others."""
    words = command.split() if isinstance(command, str) else command
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
    print_columns(rows)


def _in_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)
