"""`pmarep groups`: one name for several sites."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from . import completion
from .command_classes import CommandApp
from .config_files import config_hint, load_book
from .list_output import print_columns, print_json
from .options import ConfigOption, JsonListOption
from .output_streams import echo

if TYPE_CHECKING:
    from ..sites import SiteBook

groups = CommandApp(help="Give several sites one name.", example="pmarep groups set overseas tokyo saopaulo")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The group.", autocompletion=completion.group)]
MembersArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="MEMBER...",
        help="Sites, other groups, or patterns ('box-*'), replaced by the sites that match now.",
        autocompletion=completion.site_or_group,
    ),
]


@groups.command("list", example="pmarep groups list")
def list_groups(
    as_json: JsonListOption = False,
    config: ConfigOption = None,
) -> None:
    """Show the groups of the book."""
    book = load_book(config)
    sites = {group: [site for site in book.sites if group in book.groups_of(site)] for group in book.groups}
    if as_json:
        print_json([{"name": g, "members": list(m), "sites": sites[g]} for g, m in book.groups.items()])
    elif not book.groups:
        make = f"pmarep groups set NAME MEMBER...{config_hint(config)}"
        echo(f"no groups in {book.path}; make one with `{make}`", err=True)
    else:
        rows = [[g, str(len(sites[g])), ", ".join(members) or "-"] for g, members in book.groups.items()]
        print_columns([["NAME", "SITES", "MEMBERS"], *rows])


@groups.command("set", example="pmarep groups set overseas tokyo saopaulo")
def set_members(name: NameArgument, members: MembersArgument, config: ConfigOption = None) -> None:
    """Make a group of these members, or give it these instead of its own."""
    book = load_book(config)
    _set(book, name, _expanded(book, members))


@groups.command("add", example="pmarep groups add overseas perth")
def add_members(name: NameArgument, members: MembersArgument, config: ConfigOption = None) -> None:
    """Add members to a group."""
    book = load_book(config)
    _set(book, name, [*_members(book, name), *_expanded(book, members)])


@groups.command("remove", example="pmarep groups remove overseas perth")
def remove_members(
    name: NameArgument,
    members: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MEMBER]...",
            help="Members to take out; none: the group itself.",
            autocompletion=completion.site_or_group,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Take members out of a group, or remove the group. Sites stay in the book."""
    from ..errors import ConfigError
    from ..sites.book_edit import remove_group
    from ..sites.site_names import did_you_mean, quoted

    book = load_book(config)
    current = _members(book, name)
    if not members:
        remove_group(book.path, name)
        echo(f"removed the group {name} from {book.path}; its sites stay")
        return
    leaving = _expanded(book, members)
    for member in leaving:
        if member not in current:
            hint = did_you_mean(member, current) or f"; it has {', '.join(current) or 'no members'}"
            raise ConfigError(f"{quoted(member)} is not in the group {name} itself{hint}")
    _set(book, name, [member for member in current if member not in leaving])


def _set(book: SiteBook, name: str, members: list[str]) -> None:
    from ..sites.book_edit import set_group

    after = set_group(book.path, name, members)
    echo(f"{name}: {', '.join(after.groups[name]) or 'no members'}")


def _members(book: SiteBook, name: str) -> list[str]:
    from ..sites.book_edit import own_book_text

    own_book_text(book, ("groups", name))
    return list(book.groups[name])


def _expanded(book: SiteBook, members: list[str]) -> list[str]:
    """Return names of sites and groups, each pattern replaced by the sites that match now. Raises ConfigError."""
    from ..errors import ConfigError
    from ..sites.site_names import is_pattern

    names = [name.strip() for item in members for name in item.split(",") if name.strip()]
    found: list[str] = []
    for name in names:
        if is_pattern(name):
            found += [site.name for site in book.select([name])]
        elif name in book.sites or name in book.groups:
            found.append(name)
        else:
            raise ConfigError(book.unknown(name))
    return list(dict.fromkeys(found))
