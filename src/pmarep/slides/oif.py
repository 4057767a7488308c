"""Olympus OIF: `n.oif` and the folder `n.oif.files/` with a TIFF per plane and channel (oiffile's README).

PMA.core is not known to read it, so it is not sent, and neither are its planes as slides of their own.
"""

from __future__ import annotations

from .companions import Companions, add_folder
from .folder import Folder, LoopError
from .model import Kind, Why

_WHY = "Olympus OIF, of several files, which PMA.core is not known to read"


def collect(folder: Folder, main: str) -> Companions:
    parts = Companions(problems=[_WHY], why=Why.NOT_A_SLIDE, kind=Kind.UNKNOWN)
    found = folder.find_folder(f"{main}.files")
    if found is None:
        return parts
    try:
        add_folder(parts, folder.look_into(found.name), f"{main}.files/", f"{found.name}/")
    except OSError as error:
        parts.reported_paths.append(found.name)
        return parts.add_unreadable(f"its folder {main}.files/", error)
    except LoopError:
        pass  # for the walk to report
    return parts
