"""`pmarep config`: where pmarep looks for what it is told."""

from __future__ import annotations

from typing import Annotated

import typer

from .command_classes import CommandApp
from .config_files import book_path, state_path
from .options import ConfigOption, StateDirOption
from .output_streams import echo

config = CommandApp(help="Show where pmarep looks for what it is told.", example="pmarep config path")


@config.command("path", example="pmarep config path --json")
def path_command(
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout, with more of it.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Print the path of the site book that is used, whether there is one yet or not.

    With --json also the state folder, and whether each is there.
    """
    book = book_path(config).absolute()
    if not json:
        echo(str(book))
        return
    from .list_output import print_json

    state = state_path(state_dir).absolute()
    print_json({"book": str(book), "book_exists": book.is_file(), "state": str(state), "state_exists": state.is_dir()})
