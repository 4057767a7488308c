"""Changes to the book that keep every line a person wrote: comments, order, odd formatting."""

from __future__ import annotations

import codecs
import os
import re
import stat
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import tomlkit
from pydantic import ValidationError

from ..errors import ConfigError
from .book import SiteBook
from .models import SiteTable
from .names import check_name
from .source import BookText, statements

_HEADER = """\
# The site book of pmarep: where slides are sent. Every key: sites.example.toml in pmarep's sources.
# Passwords are never in here: see `pmarep sites login`.
"""
Value = str | int | list[str]


def check_values(name: str, values: Mapping[str, Value], folder: Path | None = None) -> None:
    """The name and the values of a site by themselves. Raises ConfigError that needs no file to be understood."""
    try:
        check_name(name)
        SiteTable.model_validate(dict(values), context={"folder": folder})
    except ValidationError as errors:
        first = errors.errors(include_input=False, include_url=False)[0]
        words = first["ctx"]["error"] if first["type"] == "value_error" else f"{first['loc'][0]}: {first['msg']}"
        raise ConfigError(str(words)) from None
    except ValueError as error:
        raise ConfigError(str(error)) from None


def add_site(path: Path, name: str, values: Mapping[str, Value]) -> SiteBook:
    """Add `[sites.NAME]` with these keys to the book, which is made where there is none.

    The whole book is checked as it would be, before anything is written; returns the new one. Raises ConfigError.
    """
    check_values(name, values, path.parent)

    def add(source: BookText) -> str:
        for kind in ("sites", "groups"):
            if name in source.data.get(kind, {}):
                raise source.error(f'there is already a {kind[:-1]} "{name}"', (kind, name))
        return _with_table(source.text, _table_text(name, values))

    return edit_book(path, add)


def edit_book(path: Path, change: Callable[[BookText], str]) -> SiteBook:
    """Replace the book's text by what `change` makes of it, in one step, or leave it alone and raise ConfigError."""
    # A book among dotfiles is often a link: the link stays, the file behind it changes.
    file = path.resolve()
    content = _content(file)
    source = BookText.decode(path, _HEADER.encode() if content is None else content)
    SiteBook.parse(source)
    text = change(source)
    # Its lines are not those of the file that a person would look at.
    book = SiteBook.parse(BookText(path, text, numbered=False))
    mark = codecs.BOM_UTF8 if content is not None and content.startswith(codecs.BOM_UTF8) else b""
    try:
        _replace(file, content, mark + text.encode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); nothing was changed") from None
    return book


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror})") from None


def _replace(file: Path, before: bytes | None, content: bytes) -> None:
    """Write beside, then rename over: at no moment is there half a book. A new one is for its owner only."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if before is not None:
            beside.chmod(stat.S_IMODE(file.stat().st_mode))
        if _content(file) != before:
            raise ConfigError(f"{file} was changed by somebody else meanwhile; try again")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
    with suppress(OSError):  # Windows cannot open folders
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _table_text(name: str, values: Mapping[str, Value]) -> str:
    site = tomlkit.table()
    for key, value in values.items():
        site.add(key, value)
    sites = tomlkit.table(is_super_table=True)
    sites.add(name, site)
    return tomlkit.dumps({"sites": sites})


def _with_table(text: str, table: str) -> str:
    """The text with one more table: after the last site, so that groups stay where they are. Old lines stay as is."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    after = _end_of_sites(text, lines)
    head, tail = "".join(lines[:after]), "".join(lines[after:])
    if head and not head.endswith("\n"):
        head += newline
    if after and lines[after - 1].strip():
        head += newline
    if tail and lines[after].strip():
        tail = newline + tail
    return head + table.rstrip("\n").replace("\n", newline) + newline + tail


def _end_of_sites(text: str, lines: list[str]) -> int:
    """How many lines come before a new site: up to the end of the last one, with the comments that belong to it."""
    known = list(statements(text))
    mine = [i for i, statement in enumerate(known) if statement.table[:1] == ("sites",)]
    if not mine or mine[-1] == len(known) - 1:
        return len(lines)
    end, start = known[mine[-1]].last, known[mine[-1] + 1].first - 1
    # Comments right above the next header are about what it begins.
    while start > end and lines[start - 1].lstrip().startswith("#"):
        start -= 1
    return start
