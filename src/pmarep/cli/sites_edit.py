"""`pmarep sites edit`, `duplicate`, `rename` and `remove`: changes to the person's own book, each in one step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import complete
from .options import ConfigOption, NoInputOption, about_the_same_book, book_path, load_book, may_ask
from .site_options import (
    AllowHttpUploadsOption,
    BwLimitOption,
    CaBundleOption,
    ClientCertOption,
    CongestionOption,
    ConnectionsOption,
    ConnectTimeoutOption,
    PasswordCommandOption,
    ProxyOption,
    ServerOption,
    TargetOption,
    TimeoutOption,
    UrlOption,
    UsernameOption,
    VerifyTlsOption,
    site_values,
)
from .stdio import say

if TYPE_CHECKING:
    from ..sites import Credentials, Site, SiteBook
    from ..sites.duplicate import Sharing
    from .sites_add import Asker

SiteArgument = Annotated[str, typer.Argument(help="A site of the book.", autocompletion=complete.site)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]


def edit(
    name: SiteArgument,
    url: UrlOption = None,
    server: ServerOption = None,
    username: UsernameOption = None,
    target: TargetOption = None,
    password_command: PasswordCommandOption = None,
    ca_bundle: CaBundleOption = None,
    client_cert: ClientCertOption = None,
    proxy: ProxyOption = None,
    verify_tls: VerifyTlsOption = None,
    connect_timeout: ConnectTimeoutOption = None,
    timeout: TimeoutOption = None,
    congestion: CongestionOption = None,
    allow_http_uploads: AllowHttpUploadsOption = None,
    bwlimit: BwLimitOption = None,
    connections: ConnectionsOption = None,
    unset: Annotated[
        list[str] | None, typer.Option(metavar="KEY", help="Leave it to the server or the defaults; repeatable.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Change keys of a site. Everything else in the book stays as it is written. Contacts nobody."""
    from ..errors import UsageError
    from ..sites.edit import change_site

    values = site_values(
        server=server, url=url, username=username, target=target, connections=connections, bwlimit=bwlimit,
        ca_bundle=ca_bundle, client_cert=client_cert, proxy=proxy, verify_tls=verify_tls,
        connect_timeout=connect_timeout, timeout=timeout, congestion=congestion,
        allow_http_uploads=allow_http_uploads, password_command=password_command,
    )  # fmt: skip
    if not values and not unset:
        raise UsageError("nothing to change; name an option such as --target, or --unset KEY")
    before = load_book(config).sites.get(name)
    book = change_site(book_path(config), name, values, unset or ())
    after = book.sites[name]
    if before == after:
        say(f"{name} is as it was")
        return
    say(f"changed {name} in {book.path}")
    if before and (before.url, before.username) != (after.url, after.username):
        say(f"its password is now that of {after.username} at {after.url}: pmarep sites login {name}", err=True)


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
    from .sites_add import TerminalAsker

    asker = TerminalAsker() if may_ask(no_input) else None
    with about_the_same_book(config):
        say(duplicate_by_asking(book_path(config), name, new, target, yes, asker))


def duplicate_by_asking(path: Path, name: str, new: str, target: str | None, yes: bool, ask: Asker | None) -> str:
    """What was done, in words. Without `ask` nobody can be asked. Raises UsageError, before anything is changed."""
    from ..errors import UsageError
    from ..sites import SiteBook, fields
    from ..sites.duplicate import duplicate_site, sharing
    from ..sites.edit import check_free, known_site
    from .sites_add import ask_until

    book = SiteBook.load(path)
    site = known_site(book, name)
    check_free(book, new)
    if target is None:
        if ask is None:
            raise UsageError(f"{new} needs --target; at {site.target} it would be {name} again; nothing was changed")
        target = ask_until(ask, f"Target of {new} (that of {name} is {site.target})", fields.target)
    share = sharing(book, name)
    if share and not yes:
        plan = _plan(share, name, new)
        if ask is None:
            raise UsageError(f"this would move {plan}; say --yes; nothing was changed")
        if not ask.yes(f"Move {plan}?", default=True):
            share = None
    duplicate_site(path, name, new, target, share)
    done = f"added {new} to {path}"
    if share:
        done += f"; {share.words} of both {'are' if len(share.keys) > 1 else 'is'} in [servers.{share.server}] now"
    return done + _about_variables(site, new, share)


def _plan(share: Sharing, name: str, new: str) -> str:
    where = f"a new [servers.{share.server}]" if share.is_new else f"[servers.{share.server}], which has the same"
    return f"{share.words} of {name} to {where}, so that {name} and {new} share them"


def _about_variables(site: Site, new: str, share: Sharing | None) -> str:
    """A variable is for one name, so it does not serve the second site."""
    from ..sites.names import password_variable

    if site.password_command or not os.environ.get(password_variable(site.name)):
        return ""
    shared = share.server if share else site.server
    if shared and password_variable(shared) == password_variable(site.name):
        return ""
    other = f"; {password_variable(shared)} would serve both" if shared else ""
    return f"\nnote: {password_variable(site.name)} is for {site.name} only, not for {new}{other}"


def rename(
    name: SiteArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="What it will be called.")],
    config: ConfigOption = None,
) -> None:
    """Give a site another name, also in the groups. A password in the keyring stays right."""
    from ..sites.edit import rename_site
    from ..sites.names import password_variable

    book = rename_site(book_path(config), name, new)
    groups = [group for group, members in book.groups.items() if new in members]
    also_in = f", also in {', '.join(groups)}" if groups else ""
    say(f"renamed {name} to {new} in {book.path}{also_in}")
    old_variable, variable = password_variable(name), password_variable(new)
    if old_variable != variable and not book.sites[new].password_command:
        say(f"note: a password in the variable {old_variable} has to be in {variable} now", err=True)


def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Sites, or patterns ('box-*').", autocompletion=complete.site),
    ],
    yes: YesOption = False,
    no_input: NoInputOption = False,
    config: ConfigOption = None,
) -> None:
    """Remove sites from the book and its groups. Slides at the sites stay where they are."""
    from ..sites import Credentials
    from .sites_add import TerminalAsker

    asker = TerminalAsker() if may_ask(no_input) else None
    with about_the_same_book(config):
        remove_by_asking(book_path(config), names, yes, asker, Credentials(os.environ))


def remove_by_asking(path: Path, names: list[str], yes: bool, ask: Asker | None, credentials: Credentials) -> None:
    """Without `ask` nobody can be asked. Raises UsageError, before anything is changed."""
    from ..errors import UsageError
    from ..sites import SiteBook
    from ..sites.edit import own_text, remove_sites

    book = SiteBook.load(path)
    leaving = _only_sites(book, names)
    for site in leaving:
        own_text(book, ("sites", site.name))
    gone = {site.name for site in leaving}
    groups = [group for group, members in book.groups.items() if gone & set(members)]
    what = f"{', '.join(site.name for site in leaving)} from {path}"
    what += f" and from {', '.join(groups)}" if groups else ""
    if not yes and ask is None:
        raise UsageError(f"this would remove {what}; say --yes; nothing was changed")
    if not yes and ask is not None and not ask.yes(f"Remove {what}?", default=False):
        say("nothing was changed")
        return
    after = remove_sites(path, [site.name for site in leaving])
    say(f"removed {what}")
    _say_what_is_left(after, leaving, groups)
    _passwords(after, leaving, None if yes else ask, credentials)


def _say_what_is_left(after: SiteBook, gone: list[Site], groups: list[str]) -> None:
    used = {site.server for site in after.sites.values()}
    for server in dict.fromkeys(site.server for site in gone if site.server):
        if server not in used:
            say(f"note: no site is at [servers.{server}] now; it is still in the book", err=True)
    for group in groups:
        if not after.groups[group]:
            say(f"note: the group {group} is empty now (pmarep groups remove {group})", err=True)


def _passwords(after: SiteBook, gone: list[Site], ask: Asker | None, credentials: Credentials) -> None:
    """What the keyring may have for them, unless a site that stays needs it. Never removed without asking."""
    from ..errors import CredentialsError

    used = {(site.url, site.username) for site in after.sites.values()}
    accounts = {(site.url, site.username): site for site in gone if (site.url, site.username) not in used}
    for site in accounts.values():
        if credentials.comes_first(site):
            continue
        whose = f"the password of {site.username} at {site.url}"
        if ask is None:
            entry = f"'{site.username}@{site.url}'"
            say(f"note: if {whose} is in the keyring, it stays (keyring del pmarep {entry})", err=True)
        elif ask.yes(f"Remove {whose} from the keyring as well?", default=False):
            try:
                was_there = credentials.forget(site)
            except CredentialsError as error:
                ask.say(str(error))
                continue
            ask.say("Removed." if was_there else "It was not there.")


def _only_sites(book: SiteBook, names: list[str]) -> list[Site]:
    """A group's name may be meant for the group: its sites are not removed by it. Raises ConfigError."""
    from ..errors import ConfigError

    for name in (part.strip() for item in names for part in item.split(",")):
        if name in book.groups:
            raise ConfigError(f"{name} is a group; remove it with `pmarep groups remove {name}`, or name its sites")
    return book.select(names)
