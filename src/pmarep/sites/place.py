"""Places at sites as people type them: `SITE:path` below the site's target, `SITE:/Root/folder` from the top."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from .book import SiteBook
from .models import Site
from .site_names import quoted


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or slide at a site. `path`: its full virtual path, "" for the list of root-directories.

    `text` is how it was typed. Whether anything is there is for the site to say.
    """

    site: Site
    path: str
    text: str


def parse_place(text: str, book: SiteBook) -> Place | None:
    """Return the place that a text stands for, or None where it is a path of this machine.

    Before the first colon stands the name of one site; a file here whose name looks like that is written `./SITE:x`.
    On Windows, one letter before a colon is always a drive. Raises UsageError, ConfigError for an unknown site.
    """
    name, colon, path = text.partition(":")
    if not colon or not name or "/" in name or "\\" in name or (sys.platform == "win32" and len(name) == 1):
        return None
    if name in book.sites:
        site = book.sites[name]
        return Place(site, _virtual_path(site, path, text), text)
    if os.path.lexists(text):
        return None
    if name in book.groups:
        raise UsageError(f"{quoted(text)}: {name} is a group, and a place is at one site; name one of its sites")
    raise UsageError(f"{quoted(text)}: {book.unknown(name)}; a file of this machine is written {quoted('./' + text)}")


def needed_place(text: str, book: SiteBook) -> Place:
    """Return the place that a text stands for, where nothing else will do. Raises UsageError, ConfigError."""
    place = parse_place(text, book)
    if place is None:
        known = next(iter(book.sites), "SITE")
        raise UsageError(f"{quoted(text)} is no place at a site; write it as {known}:folder or {known}:/Root/folder")
    return place


def place_or_path(text: str, book: SiteBook) -> Place | Path:
    """Return what a source on the command line is: a place at a site, or a path of this machine."""
    return parse_place(text, book) or Path(text)


def _virtual_path(site: Site, path: str, text: str) -> str:
    if "\\" in path:
        raise UsageError(f'{quoted(text)} holds a "\\"; folders of a PMA.core are written with /')
    below = path.removesuffix("/")
    from_top = path.startswith("/")
    parts = below.removeprefix("/").split("/") if below.removeprefix("/") else []
    if wrong := next((part for part in parts if part in ("", ".", "..")), None):
        raise UsageError(f"{quoted(text)} holds the part {quoted(wrong)}; write the whole path of the folder or slide")
    if "" in parts:
        raise UsageError(f'{quoted(text)} holds "//"; write the whole path of the folder or slide')
    return "/".join(parts if from_top else [site.target, *parts])
