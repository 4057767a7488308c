"""`pmarep sites`: register PMA.cores once, use them everywhere. Contains no logic, only the list of sub-commands."""

from __future__ import annotations

from ..command_classes import CommandApp
from .add import add_command
from .check import check_command
from .duplicate import duplicate
from .edit import edit
from .example import example
from .import_csv import import_sites
from .list import list_sites
from .login import login_command
from .logout import logout_command
from .remove import remove
from .rename import rename
from .schema import schema
from .show import show

sites = CommandApp(
    help="Register PMA.cores and the places on them where slides go.",
    example="pmarep sites add tokyo",
)

sites.command("add", example="pmarep sites add tokyo")(add_command)
sites.command("list", example="pmarep sites list")(list_sites)
sites.command("show", example="pmarep sites show tokyo")(show)
sites.command("edit", example="pmarep sites edit tokyo --bwlimit 20M")(edit)
sites.command("duplicate", example="pmarep sites duplicate box-anna box-ben")(duplicate)
sites.command("rename", example="pmarep sites rename tokyo kyoto")(rename)
sites.command("remove", example="pmarep sites remove 'box-*'")(remove)
sites.command("import", example="pmarep sites import boxes.csv --server campus")(import_sites)
sites.command("login", example="pass show tokyo | pmarep sites login tokyo")(login_command)
sites.command("logout", example="pmarep sites logout tokyo")(logout_command)
sites.command("test", example="pmarep sites test --write")(check_command)
sites.command("example", example="pmarep sites example > sites.toml")(example)
sites.command("schema", example="pmarep sites schema > sites.schema.json")(schema)
