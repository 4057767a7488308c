"""`pmarep sites rename`: give a site another name."""

from __future__ import annotations

from typing import Annotated

import typer

from ..config_files import book_path
from ..options import ConfigOption
from ..output_streams import echo
from .key_options import SiteArgument


def rename(
    name: SiteArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="What it will be called.")],
    config: ConfigOption = None,
) -> None:
    """Give a site another name, also in the groups. A password in the keyring stays right."""
    from ...sites.book_edit import rename_site
    from ...sites.site_names import password_variable

    book = rename_site(book_path(config), name, new)
    groups = [group for group, members in book.groups.items() if new in members]
    also_in = f", also in {', '.join(groups)}" if groups else ""
    echo(f"renamed {name} to {new} in {book.path}{also_in}")
    old_variable, variable = password_variable(name), password_variable(new)
    if old_variable != variable and not (book.sites[new].password_command or book.sites[new].password_file):
        echo(f"note: a password in the variable {old_variable} has to be in {variable} now", err=True)
