"""`pmarep sites duplicate`: register the same PMA.core once more, with another target."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..config_files import book_path, naming_config
from ..options import ConfigOption, NoInputOption
from ..output_streams import echo
from .key_options import (
    SiteArgument,
    TargetOption,
    YesOption,
)
from .prompter import TerminalPrompter, is_interactive, prompt_until_valid

if TYPE_CHECKING:
    from ...sites import Site
    from ...sites.duplicate_site import ServerMove
    from .prompter import Prompter


def duplicate(
    name: SiteArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="What the second site will be called.")],
    target: TargetOption = None,
    yes: YesOption = False,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
) -> None:
    """Register the same PMA.core once more, with another target.

    What both need then (url, user name, and the like) moves to a server entry that both name, after asking, so that it
    is written once. A password in the keyring serves both.
    """

    asker = TerminalPrompter() if is_interactive(no_input) else None
    with naming_config(config):
        echo(duplicate_interactively(book_path(config), name, new, target, yes, asker))


def duplicate_interactively(
    path: Path, name: str, new: str, target: str | None, yes: bool, ask: Prompter | None
) -> str:
    """Duplicate a site and return what was done, in words. Without `ask` what would be asked raises UsageError."""
    from ...errors import UsageError
    from ...sites import SiteBook, validators
    from ...sites.book_edit import check_name_is_free, known_site
    from ...sites.duplicate_site import duplicate_site, plan_server_move

    book = SiteBook.load(path)
    site = known_site(book, name)
    check_name_is_free(book, new)
    if target is None:
        if ask is None:
            raise UsageError(f"{new} needs --target; at {site.target} it would be {name} again; nothing was changed")
        target = prompt_until_valid(ask, f"Target of {new} (that of {name} is {site.target})", validators.target)
    move = plan_server_move(book, name)
    if move and not yes:
        plan = _plan(move, name, new)
        if ask is None:
            raise UsageError(f"this would move {plan}; say --yes; nothing was changed")
        if not ask.yes(f"Move {plan}?", default=True):
            move = None
    duplicate_site(path, name, new, target, move)
    done = f"added {new} to {path}"
    if move:
        done += f"; {move.words} of both {'are' if len(move.keys) > 1 else 'is'} in [servers.{move.server}] now"
    return done + _about_variables(site, new, move)


def _plan(move: ServerMove, name: str, new: str) -> str:
    where = f"a new [servers.{move.server}]" if move.is_new else f"[servers.{move.server}], which has the same"
    return f"{move.words} of {name} to {where}, so that {name} and {new} share them"


def _about_variables(site: Site, new: str, move: ServerMove | None) -> str:
    """Return a note where a password's variable does not serve the second site; else nothing."""
    from ...sites.site_names import password_variable

    if site.password_command or site.password_file or not os.environ.get(password_variable(site.name)):
        return ""
    shared = move.server if move else site.server
    if shared and password_variable(shared) == password_variable(site.name):
        return ""
    other = f"; {password_variable(shared)} would serve both" if shared else ""
    return f"\nnote: {password_variable(site.name)} is for {site.name} only, not for {new}{other}"
