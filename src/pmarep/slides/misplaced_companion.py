"""Companion folders that were renamed, and main files that lie in theirs: what to move where.

Nothing of such a slide is lost, and its readers find nothing. It is not sent by guess: what is called differently may
be another slide's.
"""

from __future__ import annotations

from .companions import Companions
from .file_names import normalized_key
from .folder import Folder, LoopError
from .formats import CompanionFolder, Format, format_of
from .model import Cause

_MOST = 1000  # sub-folders that are looked into


def lies_inside(folder: Folder, main: str, entry: Format) -> bool:
    """Return whether a folder has a main file and what belongs into the companion folder of one."""
    companion = entry.companion
    if companion is None or companion.take is None:
        return False
    return (companion.is_flat or companion.main_of(folder.name) == main) and companion.is_companion(folder)


def look_around(folder: Folder, main: str, entry: Format) -> Companions | None:
    """Find the files of a main file whose companion folder is missing, and say what to move; None if not found."""
    companion = entry.companion
    if companion is None or companion.take is None:
        return None
    wanted = companion.folder_of(main.rpartition(".")[0])
    parts = Companions()
    if lies_inside(folder, main, entry):
        companion.take(parts, folder, wanted, "")
        parts.files = [part for part in parts.files if part.local != main]
        if companion.main_of(folder.name) == main:
            words = f"it lies among the files of its own folder: move {main} one folder up, beside {folder.name}/"
        else:
            words = f"its files lie beside it: make a folder {wanted}/ here, and move them into it, all but {main}"
    elif (name := _renamed(folder, main, entry, companion)) is not None:
        companion.take(parts, folder.look_into(name), wanted, f"{name}/")
        words = f"its folder {wanted}/ is missing, and {name}/ looks like it: rename {name}/ to {wanted}/"
    else:
        return None
    parts.problems.insert(0, words)
    parts.cause = Cause.MISPLACED
    return parts


def _renamed(folder: Folder, main: str, entry: Format, companion: CompanionFolder) -> str | None:
    """Return the only companion folder without a main file, if this is the only main file without such a folder."""
    mains = {normalized_key(name) for name in folder.files if format_of(name) is entry}
    having = {name: normalized_key(companion.main_of(name) or "") for name in folder.folders}
    if len(folder.folders) > _MOST or mains - set(having.values()) != {normalized_key(main)}:
        return None
    found = []
    for name, owner in having.items():
        if not owner or owner in mains:
            continue
        try:
            below = folder.look_into(name)
        except (OSError, LoopError):
            continue
        if companion.is_companion(below) and not any(format_of(one) is entry for one in below.files):
            found.append(name)
    return found[0] if len(found) == 1 else None
