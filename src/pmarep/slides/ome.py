"""OME-TIFF: an image in one or several `.ome.tif` files, each with a text that names them all (ome_xml.py).

As Bio-Formats' OMETiffReader opens a set: by the names in the text, beside the file or in folders there; what has no
UUID is the file itself; so is what is not there under its name, if it has the UUID of the file itself or is the only
one named: a single file can be renamed. All others have to be there: Bio-Formats would show black planes in their
place.

The main file is the one that holds the first plane, by its own text, so it does not depend on which file is looked at
first. Where the text is in a file `n.companion.ome`, and the `.ome.tif` only point there (`BinaryOnly`), that file is
the main file: it is what Bio-Formats opens.

Not looked at: whether each file of a set has as many planes as the text says, and OME-XML in files called just `.tif`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..text import printable
from . import tiff
from .companions import Companions, PathFinder, SlideGroups
from .file_names import normalized_key, shorten_list, sort_names
from .folder import Folder, info_of, os_error_text
from .index_file import is_plain
from .model import Cause, Why
from .ome_xml import LIMIT, Index, Named, NoIndexError, parse, relative_path


@dataclass(slots=True)
class _Members:
    """The files that one OME text names and that are here: path on disk -> as the text has it, in its order.

    `parts` has what is wrong with sub-folders.
    """

    here: dict[str, str] = field(default_factory=dict)
    entries: dict[str, os.DirEntry[str]] = field(default_factory=dict)
    missing: list[Named] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    parts: Companions = field(default_factory=Companions)

    def as_companions(self) -> Companions:
        """Return the problems of the set, as those of a slide without files."""
        parts = replace(self.parts, problems=[*self.parts.problems])
        parts.add_missing([relative_path(named.file) or named.uuid for named in self.missing])
        if self.refused:
            parts.add_problem(
                f"its index names files outside its own folder: {shorten_list(self.refused)}", Cause.OUTSIDE
            )
        return parts


def _members(folder: Folder, index: Index, own: str) -> _Members:
    """Find the files that an OME text names. `own`: the file that it stands in, "" for a companion."""
    members = _Members(entries={own: folder.files[own]} if own else {})
    finder = PathFinder(members.parts, folder)
    alone = len({(named.uuid, named.file) for named in index.named}) <= 1
    for named in index.named:
        path = relative_path(named.file)
        itself = bool(own) and (not named.uuid or named.uuid == index.uuid or alone)
        is_inside = all(map(is_plain, path.split("/")))
        found = finder.find(path) if is_inside else None
        if own and (not named.uuid or (alone and named.uuid == index.uuid)):
            members.here.setdefault(own, own)
        elif found is not None:
            members.here.setdefault(found[0], path)
            members.entries[found[0]] = found[1]
        elif itself:
            members.here.setdefault(own, own)
        elif is_inside or not path:
            members.missing.append(named)
        else:
            members.refused.append(repr(path[:100]))
    return members


def group(folder: Folder, names: Sequence[str]) -> SlideGroups:
    """Find the slides among the `.ome.tif` files of a folder."""
    return _Grouping(folder, names).run()


def companion_collect(folder: Folder, main: str) -> Companions:
    """Find the TIFF files that `n.companion.ome` names, beside it or in sub-folders."""
    try:
        index = _read_companion(folder, main)
    except OSError as error:
        return Companions().add_unreadable("it", error)
    except NoIndexError as error:
        return Companions.with_problem(f"not an index: {error}")
    members = _members(folder, index, "")
    parts = members.as_companions()
    if not index.named:
        parts.problems.append("its index names no files")
    _take(parts, members, members.here, main)
    return parts


def _read_companion(folder: Folder, name: str) -> Index:
    with Path(folder.files[name].path).open("rb") as file:
        data = file.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise NoIndexError(f"larger than {LIMIT // 1024 // 1024} MiB")
    return parse(data)


def _take(parts: Companions, members: _Members, here: Mapping[str, str], main: str) -> None:
    """Take the files besides the main one; those that are no TIFF files become problems."""
    broken: list[str] = []
    for local, name in here.items():
        if local == main:
            if normalized_key(local) == normalized_key(name):  # in another case, and not renamed
                parts.main_as = name
            continue
        entry = members.entries[local]
        parts.take(name, local, entry)
        try:
            tiff.check(entry.path)
        except OSError as error:
            parts.add_unreadable(name, error)
        except (tiff.TiffError, tiff.NoTiffError):
            broken.append(name)
    if broken:
        parts.problems.append(f"no whole TIFF file: {shorten_list(broken)}")


class _Grouping:
    """Groups files to slides by few texts: that of the first file in order, and that of the file with the first plane.

    Each file of a set has the text of the whole set in it, so that reading all would take the square of their number.
    """

    def __init__(self, folder: Folder, names: Sequence[str]) -> None:
        self._folder = folder
        self._names = dict.fromkeys(sort_names(names))
        self._groups = SlideGroups()
        self._done: dict[str, str] = {}  # name on disk -> the main file that it belongs to, itself, or ""
        self._missing: dict[str, list[Named]] = {}  # main file -> what it misses
        self._orphans: dict[str, str] = {}  # name of a file with the text, missing -> the first that points there

    def run(self) -> SlideGroups:
        while waiting := [name for name in self._names if name not in self._done]:
            for name in waiting:
                if name not in self._done:
                    self._sort_in(name)
        return self._groups

    def _sort_in(self, name: str) -> None:
        self._done[name] = ""
        index = self._index(name)
        if index is None:
            return
        if index.metadata_file:
            self._sort_in_binary_only(name, relative_path(index.metadata_file))
            return
        members = _members(self._folder, index, name)
        main = next((one for one in members.here if one in self._names), name)
        if main not in self._done:
            self._sort_in(main)
        if main != name and self._done[name]:
            return
        owner = self._find_set_without(index.uuid, [main, *members.here])
        if owner and main == name and not members.missing:
            self._dissolve(owner)  # the file with the first plane has been renamed, and knows all the others
        elif owner:
            self._groups.slides[owner].problems.append(f"a part of it has been renamed: {name}")
            self._claim(owner, self._alone(name))
            return
        if main == name or (name in members.here and self._is_alone(self._done[main] or main)):
            self._make_slide(main, members)  # else the text of `main` is not to be read, or of that file only
        else:
            self._refuse(
                name, f"its index is that of a set in which it is not itself: {shorten_list(list(members.here))}"
            )

    def _find_set_without(self, uuid: str, names: Sequence[str]) -> str:
        """Find the set of one of these files that lacks just the file of this UUID, under the name that it once had."""
        for name in names:
            owner = self._done.get(name, "")
            if uuid and any(one.uuid == uuid for one in self._missing.get(owner, ())):
                return owner
        return ""

    def _dissolve(self, main: str) -> None:
        """Take an incomplete set apart; its files are looked at again, unless another set takes them."""
        parts = self._groups.slides.pop(main)
        del self._missing[main]
        for name in (main, *(part.local for part in parts.files)):
            del self._done[name]

    def _is_alone(self, name: str) -> bool:
        """Return whether a file is a slide without other files, or none, and may so become a part of another."""
        slide = self._groups.slides.get(name)
        return slide is None or not slide.files

    def _index(self, name: str) -> Index | None:
        """Return what the OME text of a file says; None if the file has been sorted already."""
        try:
            text = tiff.description(self._folder.files[name].path, LIMIT)
        except OSError as error:
            self._groups.not_slides[name] = Why.UNREADABLE, os_error_text(error)
            return None
        except tiff.NoTiffError as error:
            self._no_tiff(name, str(error))
            return None
        except tiff.TiffError as error:
            self._refuse(name, str(error))
            return None
        try:
            return parse(text)
        except NoIndexError:
            return Index()  # a TIFF file as any other: Bio-Formats takes it for that, too

    def _no_tiff(self, name: str, reason: str) -> None:
        try:
            empty = info_of(self._folder.files[name]).st_size == 0
        except OSError as error:
            self._groups.not_slides[name] = Why.UNREADABLE, os_error_text(error)
            return
        if empty:
            self._refuse(name, "the file is empty")
        else:
            self._groups.not_slides[name] = Why.NOT_A_SLIDE, reason

    def _refuse(self, name: str, problem: str) -> None:
        self._done[name] = name
        self._groups.slides[name] = Companions.with_problem(problem)

    def _make_slide(self, main: str, members: _Members) -> None:
        parts = self._groups.slides.setdefault(main, Companions())
        if main in self._groups.not_slides:
            why, reason = self._groups.not_slides.pop(main)
            parts.problems.append(reason)
            parts.why = why if why.is_problem else parts.why
        found = members.as_companions()
        parts.problems += found.problems
        parts.reported_paths += found.reported_paths
        parts.why = found.why if found.why.is_problem and found.why is not Why.INCOMPLETE else parts.why
        self._missing[main] = members.missing
        self._done[main] = main
        self._claim(main, members)

    def _claim(self, main: str, members: _Members) -> None:
        """Give a slide its files, also those that would be slides on their own. Of two sets the first has a file."""
        parts = self._groups.slides[main]
        lost: list[str] = []
        for name in members.here:
            owner = self._done.get(name, "")
            if owner in ("", main) or (owner == name and self._is_alone(name)):
                self._done[name] = main
                self._groups.not_slides.pop(name, None)
                if name != main:
                    self._groups.slides.pop(name, None)
            else:
                lost.append(name)
        _take(parts, members, {local: name for local, name in members.here.items() if local not in lost}, main)
        if lost:
            parts.problems.append(f"belongs to another set already: {shorten_list(lost)}")

    def _alone(self, name: str) -> _Members:
        return _Members({name: name}, {name: self._folder.files[name]})

    def _sort_in_binary_only(self, name: str, wanted: str) -> None:
        """Sort in a file with pictures only (`BinaryOnly`), which no companion here has named."""
        found = self._folder.find(wanted) if is_plain(wanted) else None
        if found is None:
            first = self._orphans.get(wanted, "")
            if first and self._done[first] == first:
                self._claim(first, self._alone(name))
                return
            self._orphans[wanted] = name
            self._refuse(name, f"missing: {printable(wanted[:200])}, which says what belongs together")
            return
        if found.name in self._names and found.name not in self._done:
            self._sort_in(found.name)
        if not self._done[name]:
            self._refuse(name, f"it refers to {found.name}, which does not name it")
