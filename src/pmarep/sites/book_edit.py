"""Change sites and groups in the site book, keeping every line a person wrote: comments, order, odd formatting."""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from ..errors import ConfigError
from ..system.private_file import written_beside
from . import toml_edit
from .book import SiteBook
from .book_text import BookText, KeyPath, table_header
from .models import Site, SiteTable
from .site_names import check_name, did_you_mean, quoted
from .toml_lines import Value

_HEADER = """\
# The site book of pmarep: where slides are sent. Every key: pmarep sites example.
# Passwords are never in here: see `pmarep sites login`.
"""


def check_values(name: str, values: Mapping[str, Value], folder: Path | None = None) -> None:
    """Check the name and the values of a site by themselves. Raises ConfigError that names no file."""
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
    return add_sites(path, {name: values})


def add_sites(path: Path, sites: Mapping[str, Mapping[str, Value]], update: bool = False) -> SiteBook:
    """Add many sites in one step, in their order. `update`: one that is there already gets these keys as well."""

    def add(book: SiteBook) -> str:
        text = book.stack.own
        for name, values in sites.items():
            check_values(name, values, path.parent)
            if update and name in book.sites:
                said = own_book_text(book, ("sites", name)).data["sites"][name]
                for key, value in values.items():
                    if said.get(key) != value:
                        text = toml_edit.set_key(text, ("sites", name), key, value)
                continue
            for kind in ("sites", "groups"):
                if book.stack.owner((kind, name)):
                    raise book.stack.error(
                        f'there is already a {kind[:-1]} "{name}"; choose another name', (kind, name)
                    )
        new = {name: toml_edit.table_body(values) for name, values in sites.items() if name not in book.sites}
        return toml_edit.add_tables(text, "sites", new).text

    return edit_book(path, add)


def change_site(path: Path, name: str, values: Mapping[str, Value], unset: Sequence[str] = ()) -> SiteBook:
    """Set keys of a site and take others away, which then are as in its server or the defaults. Raises ConfigError."""

    def change(book: SiteBook) -> str:
        text, table = own_book_text(book, ("sites", name)), ("sites", name)
        for key in unset:
            if not text.has((*table, key)):
                raise ConfigError(f"{name} has no {quoted(key)} of its own{_from_where(book, name, key)}")
            text = toml_edit.unset_key(text, table, key)
        said = {**text.data["sites"][name], **values}
        check_values(name, said, path.parent)
        for key, value in values.items():
            text = toml_edit.set_key(text, table, key, value)
        return text.text

    return edit_book(path, change)


def _from_where(book: SiteBook, name: str, key: str) -> str:
    for table in book.tables_of(book.sites[name])[1:]:
        if book.stack.owner((*table, key)):
            return f"; it comes from {table_header(table)}"
    known = [*book.stack.own.data["sites"][name]]
    return did_you_mean(key, known) or f"; it has {', '.join(known)}"


def rename_site(path: Path, old: str, new: str) -> SiteBook:
    """Give a site another name, also in the groups of the same book. Raises ConfigError."""

    def change(book: SiteBook) -> str:
        text = own_book_text(book, ("sites", old))
        check_name_is_free(book, new)
        return toml_edit.rename_member(toml_edit.rename_table(text, ("sites", old), new), old, new).text

    return edit_book(path, change)


def remove_sites(path: Path, names: Sequence[str]) -> SiteBook:
    """Take sites out of the book and its groups, which may be empty then. Raises ConfigError."""

    def change(book: SiteBook) -> str:
        text = book.stack.own
        for name in names:
            own_book_text(book, ("sites", name))
            text = toml_edit.remove_table(text, ("sites", name))
        for group, members in text.data.get("groups", {}).items():
            if left := [member for member in members if member not in names]:
                if left != members:
                    text = toml_edit.set_group(text, group, left)
            elif members:
                text = toml_edit.set_group(text, group, [])
        return text.text

    return edit_book(path, change)


def set_group(path: Path, name: str, members: Sequence[str]) -> SiteBook:
    """Make a group, or give one other members. Raises ConfigError."""

    def change(book: SiteBook) -> str:
        if name in book.groups:
            own_book_text(book, ("groups", name))
        else:
            check_name_is_free(book, name)
        return toml_edit.set_group(book.stack.own, name, list(dict.fromkeys(members))).text

    return edit_book(path, change)


def remove_group(path: Path, name: str) -> SiteBook:
    """Take a group out of the book and out of its other groups; its sites stay. Raises ConfigError."""

    def change(book: SiteBook) -> str:
        text = toml_edit.unset_key(own_book_text(book, ("groups", name)), ("groups",), name)
        for group, members in text.data.get("groups", {}).items():
            if name in members:
                text = toml_edit.set_group(text, group, [member for member in members if member != name])
        return text.text

    return edit_book(path, change)


def own_book_text(book: SiteBook, key: KeyPath) -> BookText:
    """Return the text of the person's own book, where that defines this site, server or group. Raises ConfigError."""
    owner = book.stack.owner(key)
    if owner is book.stack.own:
        return owner
    if owner is None:
        raise _not_there(book, key)
    raise owner.error(
        f"{table_header(key)} is in this included book, and pmarep changes only {book.path}; "
        f"change it here by hand, or write a {table_header(key)} of your own there, which then counts instead",
        key,
    )


def known_site(book: SiteBook, name: str) -> Site:
    """Return the site of this very name, from whichever book. Raises ConfigError with the nearest names."""
    if name in book.sites:
        return book.sites[name]
    raise _not_there(book, ("sites", name))


def _not_there(book: SiteBook, key: KeyPath) -> ConfigError:
    kind, other = ("site", "group") if key[0] == "sites" else ("group", "site")
    if book.stack.owner((f"{other}s", key[1])):
        return ConfigError(f"{quoted(key[1])} is a {other} in {book.path}, not a {kind}")
    known = book.sites if kind == "site" else book.groups
    hint = did_you_mean(key[1], known) or f"; known: {', '.join(list(known)[:12]) or 'none'}"
    return ConfigError(f"there is no {kind} {quoted(key[1])} in {book.path}{hint}")


def check_name_is_free(book: SiteBook, name: str) -> None:
    """Check that a name can be used and is no site or group yet. Raises ConfigError."""
    try:
        check_name(name)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    for kind in ("sites", "groups"):
        if book.stack.owner((kind, name)):
            raise book.stack.error(f'there is already a {kind[:-1]} "{name}"; choose another name', (kind, name))


def edit_book(path: Path, change: Callable[[SiteBook], str]) -> SiteBook:
    """Replace the book's text by what `change` makes of it, in one step, or leave it alone and raise ConfigError."""
    # A book among dotfiles is often a link: the link stays, the file behind it changes.
    file = path.resolve()
    content = _content(file)
    source = BookText.decode(path, _HEADER.encode() if content is None else content)
    text = change(SiteBook.parse(source))
    if content is not None and not _is_writable(file):
        raise ConfigError(f"{path} is read-only; nothing was changed: name a book of your own that includes it")
    # Its lines are not those of the file that a person would look at.
    book = SiteBook.parse(BookText(path, text, numbered=False))
    mark = codecs.BOM_UTF8 if content is not None and content.startswith(codecs.BOM_UTF8) else b""
    try:
        _replace(file, content, mark + text.encode())
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}); nothing was changed: look at the rights of its folder"
        ) from None
    return book


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}); look at its rights") from None


def _is_writable(file: Path) -> bool:
    """Return False for a file that nobody may write: that is on purpose, though its folder would let us replace it."""
    return os.access(file, os.W_OK) and bool(file.stat().st_mode & 0o222)


def _replace(file: Path, before: bytes | None, content: bytes) -> None:
    """Write a temporary file, then rename it over the book, if that is as `before`. Only its owner reads a new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(file, content) as beside:
        if before is not None:
            beside.chmod(stat.S_IMODE(file.stat().st_mode))
        if _content(file) != before:
            raise ConfigError(f"{file} was changed by somebody else meanwhile; try again")
        beside.replace(file)
    with suppress(OSError):  # Windows cannot open folders
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
