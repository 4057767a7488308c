"""The `pmarep` command: one line per sub-command. Heavy packages are imported inside the commands that use them."""

from __future__ import annotations

import typer

from .push import push
from .sandbox import sandbox
from .sites import sites
from .slides import slides

app = typer.Typer(
    name="pmarep",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Replicate whole-slide images to many PMA.core servers at once: chunked, resumable, verified.",
)
app.add_typer(sites, name="sites")
app.command("push")(push)
app.command("slides")(slides)
app.command("sandbox")(sandbox)
