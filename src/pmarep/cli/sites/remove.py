"""`pmarep sites remove`: take sites out of the book."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .. import completion
from ..config_files import book_path, naming_config
from ..options import ConfigOption, NoInputOption
from ..output_streams import echo
from .key_options import YesOption
from .prompter import TerminalPrompter, is_interactive

if TYPE_CHECKING:
    from ...sites import Credentials, Site, SiteBook
    from .prompter import Prompter


def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Sites, or patterns ('box-*').", autocompletion=completion.site),
    ],
    yes: YesOption = False,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove sites from the book and its groups. Slides at the sites stay where they are."""
    from ...sites import Credentials

    asker = TerminalPrompter() if is_interactive(no_input) else None
    with naming_config(config):
        remove_interactively(book_path(config), names, yes, asker, Credentials(os.environ))


def remove_interactively(
    path: Path, names: list[str], yes: bool, ask: Prompter | None, credentials: Credentials
) -> None:
    """Remove sites after asking. Without `ask` and `yes` it raises UsageError, before anything is changed."""
    from ...errors import UsageError
    from ...sites import SiteBook
    from ...sites.book_edit import own_book_text, remove_sites

    book = SiteBook.load(path)
    leaving = _only_sites(book, names)
    for site in leaving:
        own_book_text(book, ("sites", site.name))
    gone = {site.name for site in leaving}
    groups = [group for group, members in book.groups.items() if gone & set(members)]
    what = f"{', '.join(site.name for site in leaving)} from {path}"
    what += f" and from {', '.join(groups)}" if groups else ""
    if not yes and ask is None:
        raise UsageError(f"this would remove {what}; say --yes; nothing was changed")
    if not yes and ask is not None and not ask.yes(f"Remove {what}?", default=False):
        echo("nothing was changed")
        return
    after = remove_sites(path, [site.name for site in leaving])
    echo(f"removed {what}")
    _say_what_is_left(after, leaving, groups)
    _passwords(after, leaving, None if yes else ask, credentials)


def _say_what_is_left(after: SiteBook, gone: list[Site], groups: list[str]) -> None:
    used = {site.server for site in after.sites.values()}
    for server in dict.fromkeys(site.server for site in gone if site.server):
        if server not in used:
            echo(f"note: no site is at [servers.{server}] now; it is still in the book", err=True)
    for group in groups:
        if not after.groups[group]:
            echo(f"note: the group {group} is empty now (pmarep groups remove {group})", err=True)


def _passwords(after: SiteBook, gone: list[Site], ask: Prompter | None, credentials: Credentials) -> None:
    """Offer to remove passwords from the keyring that no remaining site needs; without `ask`, say how."""
    from ...errors import CredentialsError

    used = {(site.url, site.username) for site in after.sites.values()}
    accounts = {(site.url, site.username): site for site in gone if (site.url, site.username) not in used}
    for site in accounts.values():
        if credentials.source_before_keyring(site) or not credentials.has_keyring():
            continue
        whose = f"the password of {site.username} at {site.url}"
        if ask is None:
            entry = f"'{site.username}@{site.url}'"
            echo(f"note: if {whose} is in the keyring, it stays (keyring del pmarep {entry})", err=True)
        elif ask.yes(f"Remove {whose} from the keyring as well?", default=False):
            try:
                was_there = credentials.forget(site)
            except CredentialsError as error:
                ask.say(str(error))
                continue
            ask.say("Removed." if was_there else "It was not there.")


def _only_sites(book: SiteBook, names: list[str]) -> list[Site]:
    """Return the named sites; a group's name is refused, as it may be meant for the group. Raises ConfigError."""
    from ...errors import ConfigError

    for name in (part.strip() for item in names for part in item.split(",")):
        if name in book.groups:
            raise ConfigError(f"{name} is a group; remove it with `pmarep groups remove {name}`, or name its sites")
    return book.select(names)
