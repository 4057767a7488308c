"""The `pmarep` command: one line per sub-command. Heavy packages are imported inside the commands that use them."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="pmarep",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Replicate whole-slide images to many PMA.core servers at once: chunked, resumable, verified.",
)


@app.callback()
def _pmarep() -> None:
    """Keeps sub-commands sub-commands while there is only one."""
