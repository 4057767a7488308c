"""What is to be done with a slide of a site, by what is in DIR already. All calls block."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..engine.options import Existing
from ..engine.slide.action import ABOUT_OTHER, Action
from ..pmacore import ProtocolError, RemoteFile
from ..remote.tree import RemoteSlide
from ..system.windows_names import path_below
from ..text import printable
from .local_folder import LocalFolder, UnusableName
from .partial_file import has_time


@dataclass(frozen=True, slots=True)
class FileToPull:
    """A file that is not here as it should be. `name`: its path from the slide's folder, `path`: where it goes."""

    file: RemoteFile
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """`files`: what has to come, in the order of their names, the main file last. `differs`: another slide is here.

    `reason` says why, for people. `main`: where the main file lies or goes.
    """

    action: Action
    reason: str
    files: tuple[FileToPull, ...]
    main: Path
    differs: bool = False

    @property
    def size(self) -> int:
        """Bytes that have to come."""
        return sum(one.file.size for one in self.files)


def local_name(base: str, path: str) -> str:
    """Return the path in DIR of what lies at a virtual path, `base` being the folder that was named.

    Servers do not spell folders the same each time. Raises UnusableName where it does not lie below that.
    """
    name = path_below(base, path.strip("/"))
    if not name:
        raise UnusableName(f"the server says that {printable(path[:200])} lies in {printable(base)}; it is left there")
    return name


def local_names(base: str, slide: RemoteSlide) -> list[tuple[RemoteFile, str, str]]:
    """Return each file of a slide with its path from the slide's folder, and its path in DIR. Raises UnusableName."""
    above = slide.path.strip("/").rpartition("/")[0]
    folder, slash, _ = local_name(base, slide.path).rpartition("/")
    names = [(file, local_name(above, file.path)) for file in slide.files]
    return [(file, name, folder + slash + name) for file, name in names]


def plan_slide(folder: LocalFolder, base: str, slide: RemoteSlide, existing: Existing) -> Plan:
    """Decide about a slide. Raises UnusableName, OSError."""
    names = local_names(base, slide)
    files = [FileToPull(file, name, folder.locate(local)) for file, name, local in names]
    _check_files(slide, [folder.collision_key(local) for _, _, local in names])
    main = files[-1].path
    found = {one.path: _size_and_time(one) for one in files}
    if all(size == one.file.size for one in files for size, _ in [found[one.path]]):
        return Plan(Action.SKIP, "here already, with the same files and sizes", (), main)
    to_come = tuple(one for one in files if found[one.path] != (one.file.size, True))
    different = [one for one in files if found[one.path][0] not in (None, one.file.size)]
    if different:
        action, why = ABOUT_OTHER[existing], f"{printable(different[0].name)} has another size"
        reason = {
            Action.SKIP: f"another is here and stays: {why}",
            Action.REPLACE: f"another is here: {why}",
            Action.CONFLICT: f"another slide of this name is here: {why}; --existing overwrite replaces it",
        }[action]
        replaced = action is Action.REPLACE
        return Plan(action, reason, to_come if replaced else (), main, differs=not replaced)
    if found[main][0] is not None:
        missing = tuple(one for one in files if found[one.path][0] is None)
        return Plan(Action.COMPLETE, f"{len(missing)} of its {len(files)} files are missing here", missing, main)
    return Plan(Action.PULL, "not here yet", to_come, main)


def _check_files(slide: RemoteSlide, keys: Sequence[str]) -> None:
    """Raise an error for files that cannot be those of one slide, or not on this disk, where they have these keys."""
    if any(file.size < 0 for file in slide.files):
        raise ProtocolError("the server lists a file with less than no bytes")
    if len(set(keys)) < len(keys):
        first = next(file for file, key in zip(slide.files, keys, strict=True) if keys.count(key) > 1)
        raise UnusableName(f"{printable(first.path)} has the same name on this disk as another file of the slide")


def _size_and_time(one: FileToPull) -> tuple[int | None, bool]:
    """Return the size of what lies where a file goes, None for nothing; and whether it has the file's time."""
    try:
        found = os.stat(one.path)  # noqa: PTH116  (often, and twice as fast)
    except FileNotFoundError:
        return None, False
    if not stat.S_ISREG(found.st_mode):
        raise UnusableName(f"something that is no file lies here as {printable(str(one.path))}; move it away")
    return found.st_size, has_time(found, one.file)
