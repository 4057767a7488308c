"""The `pmarep` command: one line per sub-command. Heavy packages are imported inside the commands that use them."""

from __future__ import annotations

from typing import Annotated

import typer

from ..version import __version__
from .annotations.group import annotation_commands
from .command_classes import CommandApp, JsonEventsCommand
from .compare.command import compare
from .config import config
from .copy import copy
from .demo import demo
from .forget import forget
from .forms.group import forms
from .groups import groups
from .output_streams import echo
from .places.ls import ls
from .places.mkdir import mkdir
from .places.rm import rm
from .pull import pull
from .push import push
from .report import report
from .sandbox import sandbox
from .sites.group import sites
from .slides.command import slides
from .status.command import status
from .verify import verify


def _print_version(wanted: bool) -> None:
    if wanted:
        echo(f"pmarep {__version__}")
        raise typer.Exit


app = CommandApp(
    name="pmarep",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Replicate whole-slide images to many PMA.core servers at once: chunked, resumable, verified.",
    example="pmarep push cases/ --sites tokyo,saopaulo",
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
app.add_typer(annotation_commands, name="annotations")
app.add_typer(forms, name="forms")
app.add_typer(config, name="config")
app.command("push", cls=JsonEventsCommand, example="pmarep push cases/ --sites tokyo,saopaulo")(push)
app.command("copy", cls=JsonEventsCommand, example="pmarep copy tokyo:2026 --sites saopaulo,ghent")(copy)
app.command("verify", cls=JsonEventsCommand, example="pmarep verify cases/ --sites tokyo --level deep")(verify)
app.command("compare", example="pmarep compare cases/ tokyo:cases saopaulo:cases")(compare)
app.command("pull", cls=JsonEventsCommand, example="pmarep pull tokyo:2026/autumn cases/")(pull)
app.command("slides", example="pmarep slides cases/ --problems")(slides)
app.command("ls", example="pmarep ls tokyo: --recursive")(ls)
app.command("mkdir", example="pmarep mkdir tokyo:2026/autumn")(mkdir)
app.command("rm", example="pmarep rm tokyo:old --recursive --dry-run")(rm)
app.command("status", example="pmarep status --runs 10")(status)
app.command("report", example="pmarep report --output monday.html")(report)
app.command("forget", example="pmarep forget --site old-server --dry-run")(forget)
app.command("sandbox", example="pmarep sandbox --data demo --password seeder")(sandbox)
app.command("demo", example="pmarep demo --kind s3")(demo)
