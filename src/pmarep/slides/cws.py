"""Aperio's composite web slide (CWS), a folder: `SlideScan.ini`, up to three more indexes, and a JPEG file per tile.

Bacus Laboratories' and Olympus' format, which Aperio's programs know as CWS: a section `[Header]`, then one section per
tile with its `x` and `y`; the tile of `[Da12]` is `Da12.jpg` beside it. `SlideScan.ini` and `SlideCond.ini` are the
overview, `FinalScan.ini` and `FinalCond.ini` the slide at full size; readers open what they find of these (Paul
Richards' slide converter and Bio-Formats reader for it). So a tile that is named has to be there, and an index not.

All in the folder belongs to it (thumbnail, label, annotations, whatever their names), except slides of other formats
that merely lie there, and sub-folders with such slides or of such slides.
"""

from __future__ import annotations

from collections.abc import Callable

from .companions import Companions, add_folder
from .folder import Folder
from .index_file import IndexFileError, parse_ini, read_text

MAIN = "slidescan.ini"
_INDEXES = ("finalscan.ini", "finalcond.ini", MAIN, "slidecond.ini")


def collect(
    folder: Folder, main: str, is_other_slide: Callable[[str], bool], is_others_folder: Callable[[Folder], bool]
) -> Companions:
    parts = Companions()
    add_folder(parts, folder, stays_out=is_others_folder)
    parts.files = [part for part in parts.files if part.local != main and not is_other_slide(part.local)]
    tiles: list[str] = []
    for name in _INDEXES:
        entry = folder.files[main] if name == MAIN else folder.find(name)
        if entry is None:
            continue
        try:
            named = _tiles(read_text(entry.path))
        except OSError as error:
            return parts.add_unreadable("it" if name == MAIN else entry.name, error)
        except IndexFileError as error:
            parts.problems.append(str(error) if name == MAIN else f"{entry.name} is {error}")
            continue
        if named is not None:
            tiles += named
        elif name == MAIN:
            parts.problems.append("not an index: it has no section [Header]")
    if not tiles and not parts.problems:
        parts.problems.append("its indexes name no tiles")
    parts.add_missing([tile for tile in tiles if folder.find(tile) is None])
    return parts


def _tiles(text: str) -> list[str] | None:
    """Return the files of the tiles that an index names; None if it is no such index."""
    sections = parse_ini(text)
    if "header" not in sections:
        return None
    return [f"{name}.jpg" for name, section in sections.items() if "x" in section and "y" in section]
