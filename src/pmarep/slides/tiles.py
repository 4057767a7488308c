"""Trees of tiles: one picture as thousands of small ones in folders, as web viewers have it. They are no slides.

PMA.core opens none of these (of the kind, only SZI: a Deep Zoom tree in one file), and each tile is a JPEG like others,
so a tree would go as that many slides. It is one thing, and told once.

- Deep Zoom: `n.dzi` and `n_files/<level>/<column>_<row>.jpeg` (OpenSeadragon, libvips, OpenSlide's deepzoom_tile.py).
- Zoomify: `ImageProperties.xml` and `TileGroup<number>/<level>-<column>-<row>.jpg`.
- XYZ and TMS: `<level>/<x>/<y>.png`, level z with at most 2 to the power of z tiles in a row (Leaflet, gdal2tiles,
  libvips' google layout); mostly with a page or an index beside the levels.
- IIIF of level 0: `info.json` and `<x>,<y>,<width>,<height>/<size>/0/default.jpg`.

Whatever else lies in such a tree, another slide say, is looked at as anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container
from dataclasses import dataclass

from ..text import printable
from ..units import count_of
from .folder import Folder, LoopError
from .model import Kind, LeftOut, Why

_DEEP_ZOOM, _ZOOMIFY, _XYZ, _IIIF = "Deep Zoom", "Zoomify", "XYZ tiles", "IIIF"
_FOLDER_OF_DZI = "_files"
_DEEPEST_LEVEL = 30  # a picture of 2 to the power of 30 tiles in a row; Deep Zoom: of pixels
# What gdal2tiles, libvips and others put beside the levels.
_BESIDE_LEVELS = frozenset(
    (
        *("tilemapresource.xml", "leaflet.html", "openlayers.html", "googlemaps.html", "tiles.json", "metadata.json"),
        *("blank.png", "vips-properties.xml", "doc.kml"),
    )
)
_INDEXES = frozenset((*_BESIDE_LEVELS, "imageproperties.xml", "info.json"))
_PICTURE = r"\.(?:jpe?g|png|webp|gif|avif|jxl|jp2|jxr|tiff?)"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_COLUMN_ROW = re.compile(rf"([0-9]+)_([0-9]+){_PICTURE}", re.IGNORECASE)
_Y = re.compile(rf"([0-9]+)(?:@2x)?{_PICTURE}", re.IGNORECASE)
_TILE_GROUP = re.compile(r"tilegroup[0-9]+", re.IGNORECASE)
_REGION = re.compile(r"[0-9]+,[0-9]+,[0-9]+,[0-9]+")
_TILES = {
    _DEEP_ZOOM: _COLUMN_ROW,
    _ZOOMIFY: re.compile(rf"[0-9]+-[0-9]+-[0-9]+{_PICTURE}", re.IGNORECASE),
    _XYZ: re.compile(rf"(?:[0-9]+(?:@2x)?|blank){_PICTURE}", re.IGNORECASE),
    _IIIF: re.compile(rf"(?:default|native|color|gray|bitonal){_PICTURE}", re.IGNORECASE),
}
_FOLDERS = {
    _DEEP_ZOOM: _NUMBER,
    _ZOOMIFY: _TILE_GROUP,
    _XYZ: _NUMBER,
    _IIIF: re.compile(r"full|max|square|[!^]?[0-9]*,?[0-9]*|!?[0-9.]+|(?:pct:)?[0-9.,]+"),
}


@dataclass(slots=True)
class TileTree:
    """A tree of tiles on the walk: its path from the source, and its files so far."""

    kind: str
    path: str
    files: int = 0

    def goes_into(self, name: str) -> bool:
        """Tell whether a sub-folder of one of its folders is part of it."""
        return _FOLDERS[self.kind].fullmatch(name) is not None

    def take(self, folder: Folder, others: Container[str]) -> None:
        """Count the tiles of a folder and take them out of its listing, but for `others`, which slides have."""
        is_tile = _TILES[self.kind].fullmatch
        own = [name for name in folder.files if is_tile(name) or name.lower() in _INDEXES]
        for name in own:
            if name not in others:
                self.files += 1
                del folder.files[name]

    def left_out(self) -> LeftOut:
        name = printable(self.path.rpartition("/")[2] or ".")
        number = count_of(self.files, "file")
        detail = f"a picture as a tree of tiles, which PMA.core does not open: {name} ({self.kind}, {number})"
        return LeftOut(printable(self.path), Why.NOT_A_SLIDE, detail, kind=Kind.OTHER, files=self.files)


def find(folder: Folder, path: str) -> TileTree | None:
    """Find the tree that begins in a folder, or None.

    `path` is the folder's from the source, with "/" at its end, or "". Looks at names only, and into three or four
    sub-folders where they are called like levels.
    """
    kind = _kind(folder)
    if not kind:
        return None
    if kind == _DEEP_ZOOM and folder.path.lower().endswith(_FOLDER_OF_DZI) and path:
        stem, own = folder.path[: -len(_FOLDER_OF_DZI)], path[: -len(_FOLDER_OF_DZI) - 1]
        for ending in (".dzi", ".DZI"):
            if os.path.isfile(stem + ending):  # noqa: PTH113  (str: names may be no text)
                return TileTree(kind, own + ending, 1)
    return TileTree(kind, path[:-1] or ".")


def is_index(folder: Folder, name: str) -> bool:
    """Tell whether a file is the `n.dzi` of a tree beside it, which speaks for it."""
    if not name.lower().endswith(".dzi"):
        return False
    entry = folder.find_folder(name[:-4] + _FOLDER_OF_DZI)
    below = entry and _look_into(folder, entry.name)
    return below is not None and _kind(below) == _DEEP_ZOOM


def _kind(folder: Folder) -> str:
    names = folder.folders
    if not names:
        return ""
    if folder.name.lower().endswith(_FOLDER_OF_DZI):
        return _DEEP_ZOOM if _has_levels_of_tiles(folder) else ""
    if any(map(_TILE_GROUP.fullmatch, names)):
        return _ZOOMIFY if _is_zoomify(folder) else ""
    if "info.json" in folder.files and any(map(_REGION.fullmatch, names)):
        return _IIIF
    return _kind_of_levels(folder) if all(map(_NUMBER.fullmatch, names)) else ""


def _has_levels_of_tiles(folder: Folder) -> bool:
    """Tell whether one of three levels has a tile: there may be other files, and levels that cannot be looked into."""
    levels = sorted((name for name in folder.folders if _NUMBER.fullmatch(name)), key=int)
    some = dict.fromkeys(levels[at] for at in (0, len(levels) // 2, -1)) if levels else ()
    return any(any(map(_COLUMN_ROW.fullmatch, below.files)) for level in some if (below := _look_into(folder, level)))


def _kind_of_levels(folder: Folder) -> str:
    """Tell which kind of tree a folder is that has folders with numbers only and no name that tells; "" if none."""
    levels = sorted(map(int, folder.folders))
    if levels[-1] > _DEEPEST_LEVEL or levels != list(range(levels[0], levels[-1] + 1)):
        return ""
    first, last = (_look_into(folder, str(level)) for level in (levels[0], levels[-1]))
    if first is None or last is None:
        return ""
    if levels[0] == 0 and len(levels) > 1 and len(first.files) == 1 and all(map(_has_columns_and_rows, (first, last))):
        return _DEEP_ZOOM
    is_told = not _BESIDE_LEVELS.isdisjoint(map(str.lower, folder.files))
    if not is_told and (len(levels) < 2 or "0" not in first.folders):
        return ""  # numbered from 1: cases and their photographs
    return _XYZ if _is_level(first, levels[0]) and _is_level(last, levels[-1]) else ""


def _is_zoomify(folder: Folder) -> bool:
    if folder.find("ImageProperties.xml"):
        return True
    group = _look_into(folder, next(name for name in folder.folders if _TILE_GROUP.fullmatch(name)))
    return group is not None and any(map(_TILES[_ZOOMIFY].fullmatch, group.files))


def _has_columns_and_rows(level: Folder) -> bool:
    return bool(level.files) and not level.folders and all(map(_COLUMN_ROW.fullmatch, level.files))


def _is_level(level: Folder, number: int) -> bool:
    """Tell whether a folder holds folders of tiles, and both are numbered as on that level."""
    across = 1 << number
    if not level.folders or not all(_NUMBER.fullmatch(x) and int(x) < across for x in level.folders):
        return False
    column = _look_into(level, min(level.folders, key=int))
    if column is None or column.folders or not column.files:
        return False
    found = [_Y.fullmatch(name) for name in column.files]
    return all(tile is not None and int(tile[1]) < across for tile in found)


def _look_into(folder: Folder, name: str) -> Folder | None:
    try:
        return folder.look_into(name)
    except (OSError, LoopError):
        return None
