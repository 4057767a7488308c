"""Add the same PMA.core under a second name; keys that both need move to a `[servers.*]` table."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from . import toml_edit
from .book import SiteBook
from .book_edit import check_name_is_free, edit_book
from .models import Site
from .site_names import password_variable

# What each site keeps for itself. Everything else is about the machine, and who logs in there.
_OF_THE_SITE = ("server", "target", "connections", "bwlimit", "include", "exclude", "newer_than", "min_size")
_NO_NAMES = ("www", "pma", "core", "pmacore", "slides")


@dataclass(frozen=True)
class ServerMove:
    """Keys that would move from a site to `[servers.<server>]`, which is there already unless `is_new`."""

    server: str
    is_new: bool
    keys: tuple[str, ...]

    @property
    def words(self) -> str:
        """The keys as a phrase: `url and username`."""
        *first, last = self.keys
        return f"{', '.join(first)} and {last}" if first else last


def plan_server_move(book: SiteBook, name: str) -> ServerMove | None:
    """Plan which keys of a site move to a server that a second site shares; None where it has one or has no url."""
    text = book.stack.own
    said = text.data.get("sites", {}).get(name)
    if said is None or "url" not in said:
        return None
    keys = tuple(key for key in said if key not in _OF_THE_SITE)
    own = text.data.get("servers", {})
    for server, table in own.items():
        if table == {key: said[key] for key in keys}:
            return ServerMove(server, is_new=False, keys=keys)
    return ServerMove(_server_name(book, book.sites[name]), is_new=True, keys=keys)


def duplicate_site(path: Path, name: str, new: str, target: str, move: ServerMove | None) -> SiteBook:
    """Add a site like another one, with a target of its own. Without `move` it gets copies of all keys.

    Raises ConfigError; then nothing was changed.
    """

    def change(book: SiteBook) -> str:
        check_name_is_free(book, new)
        text, table = book.stack.own, ("sites", name)
        values = _values(book, book.sites[name])
        if move:
            body = "".join(toml_edit.key_lines(text, table, key) for key in move.keys)
            text = toml_edit.swap_key(text, table, "url", "server", move.server)
            for key in move.keys:
                if key != "url":
                    text = toml_edit.unset_key(text, table, key)
            if move.is_new:
                text = toml_edit.add_tables(text, "servers", {move.server: body})
            values = {"server": move.server} | {key: value for key, value in values.items() if key not in move.keys}
        text = toml_edit.add_tables(text, "sites", {new: toml_edit.table_body({**values, "target": target})})
        _check_same(book, SiteBook.parse(text), name)
        return text.text

    return edit_book(path, change)


def _check_same(before: SiteBook, after: SiteBook, name: str) -> None:
    """Check that the first site means the same as before, which defaults could change. Raises ConfigError."""
    old, new = (book.sites[name].model_dump(exclude={"server"}) for book in (before, after))
    if changed := [key for key in old if old[key] != new[key]]:
        words = f"{name} would be another site afterwards ({', '.join(changed)}); nothing was changed"
        raise ConfigError(f"{words}: add the second with pmarep sites add")


def _values(book: SiteBook, site: Site) -> dict[str, Any]:
    """Return the keys of the site's own table; files by their full paths if it is in another folder's book."""
    owner = book.stack.owner(("sites", site.name))
    said = dict(owner.data["sites"][site.name]) if owner else {}
    if owner is not book.stack.own:
        said |= {key: str(getattr(site, key)) for key in ("ca_bundle", "password_file") if key in said}
        if "client_cert" in said:
            said["client_cert"] = [str(file) for file in site.client_cert or ()]
    return said


def _server_name(book: SiteBook, site: Site) -> str:
    """Return a free server name after the machine: `campus` for https://pma.campus.example/.

    The site's own name is fine: then its variable PMAREP_PASSWORD_* serves both.
    """
    host = urlsplit(site.url).hostname or ""
    try:
        ipaddress.ip_address(host)
        word = host
    except ValueError:
        words = [word for word in host.split(".") if word not in _NO_NAMES]
        word = words[0] if words else host
    base = re.sub(r"[^A-Za-z0-9]+", "-", word).strip("-") or "server"
    taken = {password_variable(name) for name in (*book.servers, *book.sites, *book.groups) if name != site.name}
    number, name = 1, base
    while password_variable(name) in taken:
        number += 1
        name = f"{base}-{number}"
    return name
