"""`pmarep slides`: what would be taken for a slide, and why not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def slides(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC...", help="Folders, or main files of slides.")],
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only slides whose path from SRC matches; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="No slides whose path from SRC matches; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name also every file that is no slide or excluded.")
    ] = False,
) -> None:
    """List the slides in SRC, and what is left out and why.

    Globs: '*.svs' is for a name in any folder, '2024/**' for paths from SRC; case does not matter.
    Ends with 1 if something that should be a slide cannot be sent, with 2 if SRC cannot be used.
    """
    import sys

    from pmarep.slides import find_slides

    from .slide_list import JsonLines, PlainList, SlideList, TerminalList

    several = len(sources) > 1
    # All sources are looked at before the first line: a mistyped one is a usage error and not half a list.
    found = [(source, find_slides(source, include=include or (), exclude=exclude or ())) for source in sources]
    output: SlideList
    if json:
        output = JsonLines(several)
    elif sys.stdout.isatty():
        output = TerminalList(verbose)
    else:
        output = PlainList(verbose)
    for source, things in found:
        output.source = source
        for thing in things:
            output.add(thing)
    output.finish()
    if output.problems:
        raise typer.Exit(1)
