"""Companion files: the files of a slide besides its main file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .file_names import shorten_list, sort_names
from .folder import OFFLINE, Folder, LoopError, cause_of, os_error_text
from .index_file import is_plain
from .model import Cause, Kind, Why, value

LONGEST_PATH = 4096  # characters; an index may hold longer ones, a disk does not


@value
class CompanionFile:
    """A file of a slide. `path` is as its index names it, `local` as it lies on disk; both from the main's folder."""

    path: str
    local: str
    entry: os.DirEntry[str]


@dataclass(slots=True)
class Companions:
    """The files of a slide besides the main file, and what is wrong with them.

    With `problems` the slide is not sent, and yet it keeps its files: three of four channels are no slides themselves.
    `why` and `cause` say of what kind the problems are; `kind` where they are none, but why it is no slide.
    `reported_paths` are files and folders (paths on disk from the main's folder) that the problems speak of, so that
    the walk does not report them again. `main_as`: the name under which readers of the slide will look for the main
    file, where the disk has it in another case. `away` are files that would be the slide's and are in a cloud.
    `kept_back`: so many more files stay with this slide than it could send.
    """

    files: list[CompanionFile] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    why: Why = Why.INCOMPLETE
    reported_paths: list[str] = field(default_factory=list)
    main_as: str = ""
    cause: Cause = Cause.USUAL
    kind: Kind = Kind.OTHER
    away: list[str] = field(default_factory=list)
    kept_back: int = 0

    @classmethod
    def with_problem(cls, problem: str) -> Companions:
        return cls(problems=[problem])

    def add_problem(self, problem: str, cause: Cause) -> None:
        """Add a problem with a cause of its own; the first such cause counts."""
        self.problems.append(problem)
        if self.cause is Cause.USUAL:
            self.cause = cause

    def add_unreadable(self, what: str, error: OSError) -> Companions:
        self.add_problem(f"cannot read {what}: {os_error_text(error)}", cause_of(error))
        self.why = Why.UNREADABLE
        return self

    def take(self, path: str, local: str, entry: os.DirEntry[str]) -> None:
        self.files.append(CompanionFile(path, local, entry))

    def add_missing(self, names: list[str]) -> None:
        if names:
            self.problems.append(f"missing: {shorten_list(names)}")


@dataclass(slots=True)
class SlideGroups:
    """Slides among the main-looking files of one format in one folder, where several of them can be one slide.

    Each of the names asked about is a main file, that is a key of `slides`, or lies in the files of one, or is in
    `not_slides` with why it is no slide and a reason (Why.NOT_A_SLIDE, or Why.UNREADABLE). In `slides` are the files of
    each besides its main file.
    """

    slides: dict[str, Companions] = field(default_factory=dict)
    not_slides: dict[str, tuple[Why, str]] = field(default_factory=dict)


def add_named_files(
    parts: Companions, folder: Folder, names: Iterable[str], prefix: str = "", local_prefix: str = ""
) -> None:
    """Add the files that an index names in one folder, each once; those that are missing or elsewhere are problems."""
    taken = {part.local for part in parts.files}
    missing: list[str] = []
    away: list[str] = []
    refused: list[str] = []
    for name in dict.fromkeys(names):
        entry = folder.find(name) if is_plain(name) else None
        if entry is not None:
            if local_prefix + entry.name not in taken:
                taken.add(local_prefix + entry.name)
                parts.take(prefix + name, local_prefix + entry.name, entry)
        elif is_plain(name):
            unusable = folder.unusable.get(name)
            if unusable is not None and unusable.cause is Cause.OFFLINE:
                away.append(prefix + name)
                parts.away.append(local_prefix + name)
            else:
                missing.append(prefix + name)
        else:
            refused.append(repr(name[:100]))
    parts.add_missing(missing)
    if away:
        parts.add_problem(f"{OFFLINE}: {shorten_list(away)}", Cause.OFFLINE)
        parts.why = Why.UNREADABLE
    if refused:
        parts.add_problem(f"its index names files outside its own folder: {shorten_list(refused)}", Cause.OUTSIDE)


def add_folder(
    parts: Companions,
    folder: Folder,
    prefix: str = "",
    local_prefix: str = "",
    stays_out: Callable[[Folder], bool] = lambda _: False,
) -> None:
    """Add all files in a folder and below, folder by folder; what cannot be read becomes a problem of the slide.

    Announced below `prefix`, on disk below `local_prefix`. A sub-folder that `stays_out` is left alone, and so are the
    hidden, the system's own and loops: those are for the walk to report.
    """
    waiting: list[tuple[str, Folder, str | None]] = [("", folder, None)]
    while waiting:
        path, here, name = waiting.pop()
        if name is not None:
            try:
                here = here.look_into(name)
            except OSError as error:
                parts.add_unreadable(prefix + path, error).reported_paths.append(local_prefix + path[:-1])
                continue
            except LoopError:
                continue
            if stays_out(here):
                continue
        for file in sort_names([*here.files, *here.unusable]):
            if file in here.files:
                parts.take(prefix + path + file, local_prefix + path + file, here.files[file])
            elif (unusable := here.unusable[file]).why.is_problem:
                parts.why = unusable.why
                parts.add_problem(f"cannot read {prefix}{path}{file}: {unusable.detail}", unusable.cause)
                (parts.away if unusable.files else parts.reported_paths).append(local_prefix + path + file)
        waiting += [(f"{path}{below}/", here, below) for below in reversed(sort_names(here.folders))]


def add_files_by_path(parts: Companions, folder: Folder, paths: Iterable[str], endings: Sequence[str] = ("",)) -> None:
    """Add the files that an index names by paths with "/" from its own folder, at any depth; each once.

    Folders and files are found in any case of letters and announced as the index has them. What is not there, cannot be
    looked into or leads out of the folder (`..`, a drive, an absolute path) becomes a problem of the slide. `endings`:
    what the disk may have behind a name.
    """
    taken = {part.local for part in parts.files}
    missing: list[str] = []
    refused: list[str] = []
    finder = PathFinder(parts, folder)
    for path in dict.fromkeys(paths):
        if not all(map(is_plain, path.split("/"))):
            refused.append(repr(path[:100]))
            continue
        found = next(filter(None, (finder.find(path + ending) for ending in endings)), None)
        if found is None:
            missing.append(path)
        elif found[0] not in taken:
            taken.add(found[0])
            parts.take(path, *found)
    parts.add_missing(missing)
    if refused:
        parts.add_problem(f"its index names files outside its own folder: {shorten_list(refused)}", Cause.OUTSIDE)


class PathFinder:
    """Finds files below a folder by paths with "/", in any case of letters; looks at each folder on the way once.

    What cannot be looked into becomes a problem of the slide.
    """

    def __init__(self, parts: Companions, folder: Folder) -> None:
        self._parts = parts
        self._below: dict[str, tuple[Folder, str] | None] = {"": (folder, "")}

    def find(self, path: str) -> tuple[str, os.DirEntry[str]] | None:
        """Return the path as it is on disk, and the file; None if it is not there."""
        if len(path) > LONGEST_PATH:  # each level of it would be looked for
            return None
        above, _, name = path.rpartition("/")
        place = _descend(self._parts, self._below, above)
        entry = place[0].find(name) if place else None
        return None if place is None or entry is None else (place[1] + entry.name, entry)


def _descend(parts: Companions, below: dict[str, tuple[Folder, str] | None], path: str) -> tuple[Folder, str] | None:
    """Return the listing of a folder that an index names, and its path on disk with "/" at its end; None if missing."""
    for end in (*(found.start() for found in re.finditer("/", path)), len(path)):
        here = path[:end]
        if here in below:
            continue
        above, _, name = here.rpartition("/")
        place = below[above]
        entry = place[0].find_folder(name) if place else None
        below[here] = None
        if place is None or entry is None:
            continue
        try:
            below[here] = place[0].look_into(entry.name), f"{place[1]}{entry.name}/"
        except OSError as error:
            parts.add_unreadable(f"its folder {here}/", error)
            parts.reported_paths.append(place[1] + entry.name)
        except LoopError as error:
            parts.problems.append(f"its folder {here}/ is {error}")
    return below[path]
