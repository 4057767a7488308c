"""Olympus/Evident cellSens: `n.vsi` (a preview and the metadata) and the folder `_n_/` with the pictures.

Bio-Formats' CellSensReader and PMA.UI's uploader look for `.ets` files in the folders of `_n_/`; the official Python
client sends everything in it, since it also holds parts that those readers do not use (`*.meicom`, annotations). So do
we. A `.vsi` without any `.ets` is only the preview.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from .listing import Folder, LoopError, os_words
from .model import Why
from .names import in_order
from .parts import Parts

EXTENSION = ".vsi"
_PIXELS = ".ets"


def collect(folder: Folder, main: str) -> Parts:
    name = f"_{main[: -len(EXTENSION)]}_"
    found = folder.find_folder(name)
    missing = f"its folder {name}/ with {_PIXELS} files is missing: the {EXTENSION} alone is a preview"
    if found is None:
        return Parts.wrong(missing)
    try:
        companion = folder.enter(found.name)
    except OSError as error:
        return Parts(blocked=found.name).unreadable(f"its folder {name}/", error)
    except LoopError as error:
        return Parts.wrong(f"its folder {name}/ is {error}")
    parts = Parts(companion=companion, whole=True)
    pixels = False
    for path, thing in _everything(companion):
        if isinstance(thing, os.DirEntry):
            parts.take(f"{name}/{path}", f"{found.name}/{path}", thing)
            pixels = pixels or path.lower().endswith(_PIXELS)
        elif thing[0].is_problem:
            parts.why = thing[0]
            parts.problems.append(f"cannot read {name}/{path}: {thing[1]}")
        else:
            parts.strangers.append((f"{found.name}/{path}", *thing))
    # An unreadable folder inside may hold the pictures: then that is what has to be said.
    return parts if pixels or parts.problems else Parts.wrong(missing)


def _everything(top: Folder) -> Iterator[tuple[str, os.DirEntry[str] | tuple[Why, str]]]:
    """All files below, and what is not to be taken with the reason; paths are relative to `top`, folder by folder."""
    waiting: list[tuple[str, Folder, str | None]] = [("", top, None)]
    while waiting:
        prefix, folder, name = waiting.pop()
        if name is not None:
            try:
                folder = folder.enter(name)
            except OSError as error:
                yield prefix[:-1], (Why.UNREADABLE, os_words(error))
                continue
            except LoopError as error:
                yield prefix[:-1], (Why.NOT_A_SLIDE, str(error))
                continue
        for file in in_order([*folder.files, *folder.odd]):
            yield prefix + file, folder.odd.get(file) or folder.files[file]
        waiting += [(f"{prefix}{below}/", folder, below) for below in reversed(in_order(folder.folders))]


def main_of(folder_name: str) -> str | None:
    """The main file that a companion folder of this name would belong to."""
    named_so = len(folder_name) > 2 and folder_name[0] == folder_name[-1] == "_"
    return folder_name[1:-1] + EXTENSION if named_so else None


def is_companion(folder: Folder) -> bool:
    return any(isinstance(thing, os.DirEntry) and path.lower().endswith(_PIXELS) for path, thing in _everything(folder))
