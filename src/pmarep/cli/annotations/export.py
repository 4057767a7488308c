"""`pmarep annotations export`: annotations of slides at places, to side files."""

from __future__ import annotations

import json as json_module
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import UsageError
from ...text import printable
from .. import completion
from ..config_files import load_book
from ..options import ConfigOption
from ..output_streams import echo
from ..places.arguments import exit_code_of, places_in

if TYPE_CHECKING:
    from ...places.annotation_export import Exported
    from ...sites.place import Place


def export(
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PLACE... DIR",
            help="Folders or slides at sites, then the folder of this machine for the side files.",
            autocompletion=completion.place,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write a side file for each slide with annotations: DIR/case/x.svs.annotations.json for PLACE/case/x.svs.

    Files of before are replaced. Ends with 1 if the annotations of a slide could not be read or written, with 2 if
    there is no such place.
    """
    import asyncio

    book = load_book(config)
    *texts, last = places
    if not texts:
        raise UsageError(f"name a place and then a folder of this machine; {last!r} is only one of them")
    folder = Path(last)
    if ":" in last and not folder.exists() and last.partition(":")[0] in book.sites:
        raise UsageError(f"{last!r} is a place at a site; the last argument is the folder of this machine to write to")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{last!r} is no folder; name the folder of this machine to write to")
    raise typer.Exit(asyncio.run(_export(places_in(texts, book), folder, json=json)))


async def _export(places: list[Place], folder: Path, *, json: bool) -> int:
    """Export all places, say each slide, and return the exit code."""
    from ...places.annotation_export import export_annotations
    from ...sites import Credentials
    from ...units import count_of

    code = written = annotations = without = 0
    async for one in export_annotations(places, Credentials(os.environ), folder):
        if one.error is not None:
            code = max(code, exit_code_of(one.error) if not one.path else 1)
            echo(f"pmarep: {_name(one)}: {printable(str(one.error))}", err=True)
        elif one.file is None:
            without += 1
        else:
            written += 1
            annotations += one.annotations
        if json:
            _print_json(one)
        elif one.file is not None:
            echo(f"{_name(one)}: {count_of(one.annotations, 'annotation')}")
    if not json:
        where = f"{count_of(written, 'side file')} in {printable(str(folder))}"
        rest = f"; {count_of(without, 'slide')} without any" if without else ""
        echo(f"{count_of(annotations, 'annotation')}, {where}{rest}")
    return code


def _name(one: Exported) -> str:
    return printable(f"{one.place.site.name}:/{one.path}" if one.path else one.place.text)


def _print_json(one: Exported) -> None:
    line: dict[str, Any] = {
        "place": one.place.text,
        "site": one.place.site.name,
        "slide": one.path or None,
        "annotations": one.annotations,
        "file": None if one.file is None else str(one.file),
        "error": None if one.error is None else str(one.error),
    }
    echo(json_module.dumps(line))
