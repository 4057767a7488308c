"""Print the table of formats: `pmarep slides --formats`."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table

from pmarep.slides import FORMATS, Format

from ..output_streams import echo

_HEADER = ("Format", "Main file", "What belongs to it")


def print_formats() -> None:
    """Print a table on a terminal, lines with tabs between elsewhere."""
    rows = [(entry.name, _main_file(entry), entry.belongs or "-") for entry in FORMATS]
    if not sys.stdout.isatty():
        for row in rows:
            echo(*row)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, whole in zip(_HEADER, (True, False, False), strict=True):
        table.add_column(title, no_wrap=whole, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)


def _main_file(entry: Format) -> str:
    """Return the names of main files: `n.tif, n.tiff`; whole names as they are (any case on disk)."""
    return ", ".join(
        (
            *(f"n.{extension}" for extension in entry.extensions),
            *(name if "." in name else name.upper() for name in entry.names),
        )
    )
