"""Add a site from options alone, or by questions that end with a site known to work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ...errors import ConfigError, CredentialsError, PmarepError, UsageError
from ...pmacore import Connection, CredentialsRefused
from ...sites import Credentials, SiteBook, validators
from ...sites.book_edit import add_site, check_values
from ...sites.book_parser import effective_server, merge_keys
from ...sites.book_text import BookText
from ...sites.models import SiteTable
from ...sites.site_check import ServerInfo, probe_login
from ...sites.site_connection import connection_from_keys
from ...sites.site_names import did_you_mean
from ...system.windows_names import windows_key
from .prompter import Prompter, prompt_until_valid

TRIES = 3
_OPTIONS = {"url": "--url (or --server)", "username": "--username", "target": "--target"}
Values = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """A site without a target yet, which is enough to log in."""

    name: str
    server: str | None
    url: str
    username: str
    password_command: tuple[str, ...] | str | None
    connection: Connection


def add_from_options(path: Path, name: str, values: Values) -> None:
    """Add a site from options alone; contacts nobody. Raises UsageError that names the options which are missing."""
    book = _book(path, name, values)
    said = _inherited(book, values)
    missing = [option for key, option in _OPTIONS.items() if key not in said]
    if missing:
        raise UsageError(f"{name} needs {', '.join(missing)}; nothing was added")
    add_site(path, name, values)


def add_interactively(path: Path, name: str, values: Values, ask: Prompter, credentials: Credentials) -> None:
    """Ask for what is missing, log in, choose the target from what the server has, offer to keep the password."""
    book = _book(path, name, values)
    values = dict(values)
    if "url" not in _inherited(book, values):
        _ask_url(book, values, ask)
    if "username" not in _inherited(book, values):
        values["username"] = prompt_until_valid(ask, "User name", validators.username)
    said = _inherited(book, values)
    draft = Draft(
        name,
        effective_server(SiteTable(server=values.get("server"), url=values.get("url")), book.defaults),
        said["url"],
        said["username"],
        said.get("password_command"),
        connection_from_keys(said),
    )
    seen, typed = _log_in(draft, ask, credentials)
    if "target" not in said:
        values["target"] = _ask_target(seen, ask)
    elif seen:
        _warn_of_root(said["target"], seen, ask)
    add_site(path, name, values)
    ask.say(f"Added {name} to {path}.")
    if typed and ask.yes("Keep the password in the keyring?", default=True):
        try:
            credentials.store(draft, typed)
        except CredentialsError as error:
            ask.say(str(error))


def _book(path: Path, name: str, values: Values) -> SiteBook:
    """Load the book, and check that the name is free and the given values are right. Raises ConfigError."""
    check_values(name, values, path.parent)
    for key in ("ca_bundle", "client_cert"):
        files = values.get(key) or []
        for file in [files] if isinstance(files, str) else files:
            if not Path(file).is_file():
                raise ConfigError(f"the {key} {file} is not there; name a PEM file")
    book = SiteBook.load(path) if path.exists() else SiteBook.parse(BookText(path, ""))
    for kind, names in (("site", book.sites), ("group", book.groups)):
        if name in names:
            raise ConfigError(f'{path}: there is already a {kind} "{name}"; choose another name')
    server = values.get("server")
    if server and server not in book.servers:
        known = ", ".join(book.servers) or "none"
        hint = did_you_mean(server, book.servers) or f"; known: {known}"
        raise ConfigError(f'{path}: there is no server "{server}"{hint}')
    return book


def _inherited(book: SiteBook, values: Values) -> Values:
    """Return the keys of the site as it would be now, with those of its server and the defaults."""
    said = SiteTable.model_validate(values, context={"folder": book.path.parent})
    server = effective_server(said, book.defaults)
    return merge_keys(said, book.servers[server] if server else None, book.defaults)


def _ask_url(book: SiteBook, values: Values, ask: Prompter) -> None:
    servers = f" (or a server of the book: {', '.join(book.servers)})" if book.servers else ""

    def check(answer: str) -> str:
        return answer if answer in book.servers else validators.url(answer)

    answer = prompt_until_valid(ask, f"URL of the PMA.core{servers}", check)
    values["server" if answer in book.servers else "url"] = answer


def _log_in(draft: Draft, ask: Prompter, credentials: Credentials) -> tuple[ServerInfo | None, str | None]:
    """Log in; return what the server shows, and the password if a person typed it. None and None: not logged in."""
    password, typed = "", True
    try:
        password, typed = credentials.password_for(draft), False
        ask.say(f"The password of {draft.username} is known already.")
    except CredentialsError:
        pass  # a person has it
    for _ in range(TRIES):
        if typed:
            password = ask.hidden(f"Password of {draft.username} at {draft.url} (empty: do not log in now)")
            if not password:
                return None, None
        try:
            seen = asyncio.run(probe_login(draft.connection, password))
        except CredentialsRefused as error:
            ask.say(f"  {error}")
            typed = True
            continue
        except PmarepError as error:
            ask.say(f"  {error}")
            break
        ask.say(f"Logged in: PMA.core {seen.version}.")
        return seen, password if typed else None
    if not ask.yes("Add the site all the same?", default=False):
        raise typer.Abort
    return None, None


def _ask_target(seen: ServerInfo | None, ask: Prompter) -> str:
    if seen is None or not seen.root_directories:
        return prompt_until_valid(ask, "Target (Root-directory/folder)", validators.target)
    roots = seen.root_directories
    ask.say("Root-directories:")
    for number, root in enumerate(roots, 1):
        ask.say(f"  {number:>{len(str(len(roots)))}}  {root}")
    root = prompt_until_valid(
        ask, "Root-directory (number or name)", lambda answer: _choose(answer, roots), "1" if len(roots) == 1 else None
    )

    def below(folder: str) -> str:
        return validators.target(f"{root}/{folder}" if folder else root)

    return prompt_until_valid(ask, f"Folder in {root} (empty: none)", below, "")


def _choose(answer: str, roots: tuple[str, ...]) -> str:
    for root in roots:
        if windows_key(root) == windows_key(answer):
            return root
    if answer.isdecimal() and 1 <= int(answer) <= len(roots):
        return roots[int(answer) - 1]
    raise ValueError(f"there is no such root-directory{did_you_mean(answer, roots)}")


def _warn_of_root(target: str, seen: ServerInfo, ask: Prompter) -> None:
    try:
        _choose(target.split("/")[0], seen.root_directories)
    except ValueError as error:
        ask.say(f"Note: the target is {target}, but {error}")
