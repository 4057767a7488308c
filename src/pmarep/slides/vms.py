"""Hamamatsu VMS and VMU: `n.vms` or `n.vmu`, an INI file that names the pictures, all beside it.

OpenSlide's openslide-vendor-hamamatsu.c: `[Virtual Microscope Specimen]` has `NoJpegColumns` times `NoJpegRows` JPEG
files: `ImageFile` (column 0, row 0), `ImageFile(column,row)`, and `ImageFile(layer)` or `ImageFile(layer,column,row)`
for focal planes. `[Uncompressed Virtual Microscope Specimen]` has one `ImageFile` per layer. Both have a `MapFile`,
and where they name a `MacroImage` it has to be there. OpenSlide opens a slide without its `OptimisationFile`, only
slowly; it is a small file that the scanner writes with the others, so here a missing one means that the slide has not
been copied whole, as do missing focal planes, which OpenSlide does not read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .companions import Companions, add_named_files
from .folder import Folder
from .index_file import IndexFileError, parse_ini, read_index

_COMPRESSED = "virtual microscope specimen"
_UNCOMPRESSED = "uncompressed virtual microscope specimen"
_CELLS_AT_MOST = 1_000_000  # NoJpegColumns times NoJpegRows; real slides have some dozens


def collect(folder: Folder, main: str) -> Companions:
    try:
        sections = parse_ini(read_index(folder, main, lambda text: _names(_section(parse_ini(text)) or {})))
    except OSError as error:
        return Companions().add_unreadable("it", error)
    except IndexFileError as error:
        return Companions.with_problem(str(error))
    # as OpenSlide: what it is says the section, not the extension
    section = _section(sections)
    if section is None:
        return Companions.with_problem("not an index: it has no section [(Uncompressed) Virtual Microscope Specimen]")
    parts = Companions()
    images = {key.removeprefix("imagefile"): name for key, name in section.items() if key.startswith("imagefile")}
    parts.problems += _gaps(section, images, compressed=_COMPRESSED in sections)
    if not section.get("mapfile"):
        parts.problems.append("its index has no MapFile")
    add_named_files(parts, folder, _names(section))
    return parts


def _section(sections: Mapping[str, dict[str, str]]) -> dict[str, str] | None:
    return sections.get(_COMPRESSED) or sections.get(_UNCOMPRESSED)


def _names(section: Mapping[str, str]) -> list[str]:
    """Return the files that an index names: pictures, then others."""
    images = [name for key, name in section.items() if key.startswith("imagefile")]
    return images + [name for key in ("mapfile", "macroimage", "optimisationfile") if (name := section.get(key))]


def _gaps(section: Mapping[str, str], images: Mapping[str, str], *, compressed: bool) -> list[str]:
    """Return the problems of the grid of pictures of the first layer: a cell of it without an ImageFile."""
    columns, rows = (_count(section, key) if compressed else 1 for key in ("NoJpegColumns", "NoJpegRows"))
    if not columns or not rows:
        return [f"its index has no {'NoJpegRows' if columns else 'NoJpegColumns'}"]
    if columns * rows > _CELLS_AT_MOST:
        return [f"its index has {columns} columns and {rows} rows, which is no grid of pictures"]
    there = {cell for key in images if (cell := _cell(key)) is not None}
    gone = [(column, row) for row in range(rows) for column in range(columns) if (column, row) not in there]
    return [f"its index has no ImageFile({gone[0][0]},{gone[0][1]})"] if gone else []


def _count(section: Mapping[str, str], key: str) -> int:
    text = section.get(key.lower(), "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _cell(suffix: str) -> tuple[int, int] | None:
    """Return column and row of what follows `ImageFile` in a key; None if that is not of the first layer."""
    numbers = [int(number) for number in re.findall(r"[0-9]{1,9}", suffix)]
    layer, column, row = {0: [0, 0, 0], 1: [*numbers, 0, 0], 2: [0, *numbers]}.get(len(numbers), numbers[:3])
    return (column, row) if layer == 0 else None
