"""Print lists: aligned columns for pipes, columns cut to fit for terminals, JSON for programs."""

from __future__ import annotations

import shutil

from ..text import printable
from .output_streams import echo


def print_json(value: object) -> None:
    """Print JSON in ASCII with escapes, which is right in whatever encoding stdout has."""
    import json

    echo(json.dumps(value, indent=2))


def print_columns(rows: list[list[str]], indent: str = "") -> None:
    """Print rows in aligned columns, every cell in full."""
    from rich.cells import cell_len

    rows = [list(map(printable, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)]
        echo(indent + "  ".join(cells).rstrip())


def print_fitted_columns(rows: list[list[str]]) -> bool:
    """Print one line a row on this terminal, long cells cut but for the first column. Returns whether any was cut."""
    from rich.cells import cell_len, set_cell_size

    rows = [list(map(printable, row)) for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    fitting = fit(widths, shutil.get_terminal_size().columns)

    def cut(cell: str, width: int) -> str:
        return cell if cell_len(cell) <= width else set_cell_size(cell, width - 1) + "…"

    print_columns([[cut(cell, width) for cell, width in zip(row, fitting, strict=True)] for row in rows])
    return fitting != widths


def fit(widths: list[int], room: int, least: int = 6) -> list[int]:
    """Return column widths that fit into `room`, two blanks between; the widest gives first, the first never."""
    fitting = list(widths)
    while sum(fitting) + 2 * (len(fitting) - 1) > room:
        widest = max(range(1, len(fitting)), key=lambda i: fitting[i])
        if fitting[widest] <= least:
            break
        fitting[widest] -= 1
    return fitting
