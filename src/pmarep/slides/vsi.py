"""Olympus/Evident cellSens: `n.vsi` (a preview and the metadata) and the folder `_n_/` with the pictures.

Bio-Formats' CellSensReader and PMA.UI's uploader look for `.ets` files in the folders of `_n_/`; the official Python
client sends everything in it, since it also holds parts that those readers do not use (`*.meicom`, annotations). So do
we. A `.vsi` without any `.ets` is only the preview, unless its metadata say that it is all there is (vsi_tags.py).
"""

from __future__ import annotations

from .companions import Companions, add_folder
from .folder import Folder, LoopError
from .vsi_tags import needs_ets

EXTENSION = ".vsi"
_PIXELS = ".ets"


def collect(folder: Folder, main: str) -> Companions:
    name = f"_{main[: -len(EXTENSION)]}_"
    found = folder.find_folder(name)
    missing = f"its folder {name}/ with {_PIXELS} files is missing: the {EXTENSION} alone is a preview"
    parts = Companions()
    if found is None:
        return parts if _is_all(folder, main, parts) else Companions.with_problem(missing)
    try:
        companion = folder.look_into(found.name)
    except OSError as error:
        parts.reported_paths.append(found.name)
        return parts.add_unreadable(f"its folder {name}/", error)
    except LoopError as error:
        return Companions.with_problem(f"its folder {name}/ is {error}")
    add_folder(parts, companion, f"{name}/", f"{found.name}/")
    # An unreadable folder inside may hold the pictures: then that is what has to be said.
    if parts.problems or _has_pixels(parts) or _is_all(folder, main, parts):
        return parts
    return Companions.with_problem(missing)


def _is_all(folder: Folder, main: str, parts: Companions) -> bool:
    """Return whether a `.vsi` has no pixels elsewhere, or cannot be read, which becomes a problem."""
    try:
        return not needs_ets(folder.files[main].path)
    except OSError as error:
        parts.add_unreadable("it", error)
        return True


def _has_pixels(parts: Companions) -> bool:
    return any(part.path.lower().endswith(_PIXELS) for part in parts.files)


def main_of(folder_name: str) -> str | None:
    """Return the name of the main file that a companion folder of this name would belong to."""
    named_so = len(folder_name) > 2 and folder_name[0] == folder_name[-1] == "_"
    return folder_name[1:-1] + EXTENSION if named_so else None


def is_companion(folder: Folder) -> bool:
    parts = Companions()
    add_folder(parts, folder)
    return _has_pixels(parts)
