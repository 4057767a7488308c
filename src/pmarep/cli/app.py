"""The `pmarep` command: one line per sub-command. Heavy packages are imported inside the commands that use them."""

from __future__ import annotations

from typing import Annotated

import typer

from ..version import __version__
from .demo import demo
from .groups import groups
from .push import push
from .sandbox import sandbox
from .sites import sites
from .slides import slides
from .status import status
from .stdio import say
from .usage import Commands, EventsCommand, PlainGroup
from .verify import verify


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"pmarep {__version__}")
        raise typer.Exit


app = Commands(
    name="pmarep",
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Replicate whole-slide images to many PMA.core servers at once: chunked, resumable, verified.",
)


@app.callback()
def pmarep(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.add_typer(sites, name="sites")
app.add_typer(groups, name="groups")
app.command("push", cls=EventsCommand)(push)
app.command("verify", cls=EventsCommand)(verify)
app.command("slides")(slides)
app.command("status")(status)
app.command("sandbox")(sandbox)
app.command("demo")(demo)
