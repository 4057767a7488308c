"""`pmarep sites`: register PMA.cores once, use them everywhere. Contains no logic, only the list of sub-commands."""

from __future__ import annotations

from ..command_classes import CommandApp
from .add import add_command
from .check import check_command
from .duplicate import duplicate
from .edit import edit
from .import_csv import import_sites
from .list import list_sites
from .login import login_command
from .logout import logout_command
from .remove import remove
from .rename import rename
from .schema import schema
from .show import show

sites = CommandApp(no_args_is_help=True, help="Register PMA.cores and the places on them where slides go.")

sites.command("add")(add_command)
sites.command("list")(list_sites)
sites.command("show")(show)
sites.command("edit")(edit)
sites.command("duplicate")(duplicate)
sites.command("rename")(rename)
sites.command("remove")(remove)
sites.command("import")(import_sites)
sites.command("login")(login_command)
sites.command("logout")(logout_command)
sites.command("test")(check_command)
sites.command("schema")(schema)
