"""The part of `sites add` that logs in, and lets a person correct what was wrong."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from ...errors import CredentialsError, PmarepError
from ...passwords import Password
from ...pmacore import Connection, CredentialsRefused
from ...sites import Credentials, SiteBook, validators
from ...sites.book_parser import effective_server, merge_keys
from ...sites.models import SiteTable
from ...sites.site_check import ServerInfo, probe_login
from ...sites.site_connection import connection_from_keys
from .prompter import Prompter, prompt_until_valid

TRIES = 3
"""Refused log-ins until a person is warned: many servers lock an account after some more."""
Values = dict[str, Any]


@dataclass(frozen=True)
class Draft:
    """A site without a target yet, which is enough to log in."""

    name: str
    server: str | None
    url: str
    username: str
    password_command: tuple[str, ...] | str | None
    password_file: Path | None
    connection: Connection


def inherited(book: SiteBook, values: Values) -> Values:
    """Return the keys of the site as it would be now, with those of its server and the defaults."""
    said = SiteTable.model_validate(values, context={"folder": book.path.parent})
    server = effective_server(said, book.defaults)
    return merge_keys(said, book.servers[server] if server else None, book.defaults)


def draft_of(book: SiteBook, name: str, values: Values) -> Draft:
    """Return the site as it would be now; url and username are known."""
    said = inherited(book, values)
    server = effective_server(SiteTable(server=values.get("server"), url=values.get("url")), book.defaults)
    sources = (said.get("password_command"), said.get("password_file"))
    return Draft(name, server, said["url"], said["username"], *sources, connection_from_keys(said))


def log_in(
    book: SiteBook, name: str, values: Values, ask: Prompter, credentials: Credentials
) -> tuple[ServerInfo | None, str | None]:
    """Log in; return what the server shows, and the password if a person typed it. None and None: not logged in.

    After a refusal only hidden questions follow unasked: who types the password at once is not to see it on the screen.

    `values` has another url or user name afterwards if a person has corrected it. Raises typer.Abort.
    """
    draft = draft_of(book, name, values)
    known = _known_password(draft, ask, credentials)
    password, refused = known, 0
    while True:
        if not password:
            empty = "other choices" if refused else "do not log in now"
            password = ask.hidden(f"Password of {draft.username} at {draft.url} (empty: {empty})")
        if password:
            try:
                seen = asyncio.run(probe_login(draft.connection, password if known else Password(password, "as typed")))
            except CredentialsRefused as error:
                ask.say(f"  {error}")
                password, known, refused = "", "", refused + 1
                if refused == TRIES:
                    ask.say("  Many servers lock an account after some more of these.")
                continue
            except PmarepError as error:
                ask.say(f"  {error}")
                better = getattr(error, "better_url", None)
                if better and "url" in values and ask.yes(f"Use {better}?", default=True):
                    values["url"] = better
                    draft = draft_of(book, name, values)
                    continue
                next_step = _next_step(values, ask)
            else:
                ask.say(f"Logged in: PMA.core {seen.version}.")
                return seen, None if known else password
        elif refused:
            next_step = _next_step(values, ask)
        else:
            return None, None
        if next_step == "a":
            return None, None
        if next_step == "n":
            values["username"] = prompt_until_valid(ask, "User name", validators.username, values["username"])
            refused = 0
        elif next_step == "u":
            values["url"] = prompt_until_valid(ask, "URL of the PMA.core", validators.url, values["url"])
            if values["url"] != draft.url:
                password = known = ""  # that of another machine
        draft = draft_of(book, name, values)


def _known_password(draft: Draft, ask: Prompter, credentials: Credentials) -> str:
    try:
        password = credentials.password_for(draft)
    except CredentialsError as error:
        if credentials.source_before_keyring(draft):
            ask.say(f"  {error}")
        return ""  # a person has it
    ask.say(f"The password of {draft.username} is known already.")
    return password


def _next_step(values: Values, ask: Prompter) -> str:
    """Ask how to go on after an error. Raises typer.Abort."""
    steps = {"t": "[t]ry again", "u": "another [u]rl", "n": "another user [n]ame"}
    steps = {letter: words for letter, words in steps.items() if letter == "t" or _KEYS[letter] in values}
    steps |= {"a": "[a]dd the site without logging in", "q": "[q]uit"}

    def check(answer: str) -> str:
        if answer.lower() in steps:
            return answer.lower()
        raise ValueError(f"write one letter: {', '.join(steps)}")

    step = prompt_until_valid(ask, f"What now? {', '.join(steps.values())}", check, "t")
    if step == "q":
        raise typer.Abort
    return step


_KEYS = {"u": "url", "n": "username"}
