"""Zarr and OME-Zarr: a folder, mostly called `n.zarr`, with a file per chunk and its metadata in hidden files.

Zarr v2 has `.zgroup` or `.zarray` in each folder, and `.zattrs`; v3 has `zarr.json`. All that is in the outermost such
folder is one slide, unless it has another name and holds other things too: who writes arrays into a folder of slides
leaves a `.zgroup` beside them. Chunks that are not there are empty by definition, so that a missing one cannot be
noticed; the levels and wells that OME-Zarr's metadata name can (ngff.openmicroscopy.org: `multiscales`, `plate`).

A slide needs a main file: it is the one that Bio-Formats' OMEZarrReader and QuPath are given: `.zattrs`, or what is
there in its place; of v3 `zarr.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from .companions import Companions, SlideGroups, add_folder
from .folder import Folder, LoopError
from .index_file import is_plain
from .model import Why

NAMES = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
"""Names of main files, the first that is there being it."""
_ARRAY_OR_GROUP = ("zarr.json", ".zarray", ".zgroup")
_METADATA = frozenset((*NAMES, ".zmetadata"))
_CHUNK = re.compile(r"[0-9]+([._][0-9]+)*")
_DEEPEST = 20  # groups within groups; a plate has five
_LIMIT = 4 * 1024 * 1024  # bytes; more than that is taken as it is (the consolidated metadata of a large plate)
_ENDING = ".zarr"

NO_METADATA = "it has neither .zgroup nor .zarray nor zarr.json: hidden files have not been copied with it"


def group(folder: Folder, names: Sequence[str]) -> SlideGroups:
    """Take a folder with metadata of Zarr for the one slide that it is."""
    if not is_slide(folder):
        return SlideGroups(
            not_slides=dict.fromkeys(names, (Why.NOT_A_SLIDE, "of a Zarr, in a folder with other things"))
        )
    main = min(names, key=lambda name: NAMES.index(name.lower()))
    parts = Companions()
    add_folder(parts, folder)
    parts.files = [part for part in parts.files if part.local != main]
    try:
        metadata = _read(folder, main)
        parts.add_missing(_missing(folder, metadata))
    except OSError as error:
        parts.add_unreadable("it", error)
    except (ValueError, RecursionError):  # JSON that is none, text that is no UTF-8
        parts.problems.append(f"{main} is not written to its end")
    return SlideGroups({main: parts})


def lacks_metadata(folder: Folder) -> bool:
    """Tell whether a folder has the name of a Zarr, and something in it, but nothing that tells what it is."""
    return _is_named_so(folder) and bool(folder.files or folder.folders) and not _has_metadata(folder)


def is_slide(folder: Folder, deepest: int = _DEEPEST) -> bool:
    """Tell whether all that is in a folder is one Zarr: its name says so, or each file and sub-folder."""
    if not _has_metadata(folder):
        return False
    is_pure = all(name in _METADATA or _CHUNK.fullmatch(name) for name in folder.files)
    return _is_named_so(folder) or (is_pure and all(_belongs(folder, name, deepest) for name in folder.folders))


def _is_named_so(folder: Folder) -> bool:
    return folder.name.lower().endswith(_ENDING)


def _has_metadata(folder: Folder) -> bool:
    return any(name in folder.files for name in NAMES)


def _belongs(folder: Folder, name: str, deepest: int) -> bool:
    """Tell whether a sub-folder is part of a Zarr: chunks, an array, a group, or what OME has beside them."""
    if name in ("OME", "c") or (_CHUNK.fullmatch(name) and ".zarray" in folder.files):
        return True
    try:
        return deepest > 0 and is_slide(folder.look_into(name), deepest - 1)
    except (OSError, LoopError):
        return True


def _read(folder: Folder, name: str) -> object:
    """Read the metadata; None if there are too many of them. Raises OSError, ValueError and RecursionError."""
    with Path(folder.files[name].path).open("rb") as file:
        data = file.read(_LIMIT + 1)
    parsed: object = json.loads(data) if len(data) <= _LIMIT else None
    return parsed


def _missing(folder: Folder, metadata: object) -> list[str]:
    """List the levels and wells that the metadata name and that are not there."""
    attributes = _value(metadata, "attributes", metadata)
    ome = _value(attributes, "ome", attributes)
    images = _items(ome, "multiscales")
    levels = [level for image in images for level in _items(image, "datasets")]
    wells = list(_items(_value(ome, "plate", None), "wells"))
    paths = [path for one in [*levels, *wells] if isinstance(path := _value(one, "path", None), str)]
    return [f"{path}/" for path in dict.fromkeys(paths) if not _is_there(folder, path)]


def _value(thing: object, key: str, default: object) -> object:
    return thing.get(key, default) if isinstance(thing, dict) else default


def _items(thing: object, key: str) -> Iterator[object]:
    found = _value(thing, key, None)
    return iter(found if isinstance(found, list) else ())


def _is_there(folder: Folder, path: str) -> bool:
    """Tell whether a path from the folder is an array or a group. One that leads out of it is for readers to judge."""
    here = folder
    for name in path.strip("/").split("/"):
        if not is_plain(name):
            return True
        if name not in here.folders:
            return False
        try:
            here = here.look_into(name)
        except (OSError, LoopError):
            return True  # told already
    return any(name in here.files for name in _ARRAY_OR_GROUP)
