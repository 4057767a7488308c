"""The walk: which slides are in a folder, and what else is there.

Depth first, each folder read once, its files before its sub-folders; a slide's companion folder comes right after the
slide. No recursion: a stack holds one generator per folder on the way, so memory is bounded by the folders on one path.

Rules that hold for all formats:
- No file belongs to two slides. Where two indexes name the same file, the slide that is wanted (--include, --exclude)
  and complete has it before the others, then the first in order; the other one is incomplete and says who has the file.
- A file that a slide claims is no slide of its own, also if that slide is incomplete or excluded.
- PMA.core runs on Windows: of two slides whose paths differ only in case the second would overwrite the first, so it
  is left out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import chain

from .formats import Format, companion_mains, extension_of, format_of
from .globs import Selection
from .listing import Folder, LoopError, Scandir, os_words
from .model import LeftOut, Slide, SlideFile, Why
from .names import in_order, printable, unstorable, windows_key
from .parts import Part, Parts


@dataclass(slots=True)
class Place:
    """A folder on the walk. `prefix` is its path from the source, "" or with a "/" at its end.

    `owners`: which slide has which of its files. `companion_of`: the slide whose folder this is. `reported`: the folder
    as a whole has been reported already. `seen`: the Windows keys of what is sent from here; shared between folders
    whose names differ only in case, since on Windows they become one.
    """

    folder: Folder
    prefix: str = ""
    owners: dict[str, str] = field(default_factory=dict)
    companion_of: str = ""
    reported: bool = False
    seen: dict[str, str] | None = None


_Steps = Generator["Slide | LeftOut | Place", None, None]


class Walk:
    """Finds slides below a folder (`all_below`), or takes one by its main file (`only`)."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def all_below(self, source: str, scandir: Scandir) -> Iterator[Slide | LeftOut]:
        try:
            root = Place(Folder(source, scandir))
        except OSError as error:
            yield LeftOut(".", Why.UNREADABLE, os_words(error))
            return
        for _, companion, main in companion_mains(root.folder.name):
            if companion.is_companion(root.folder):
                yield LeftOut(".", Why.INCOMPLETE, f"this is the folder of {printable(main)}; name that file instead")
                root.reported = True
        stack = [self._visit(root)]
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
            elif isinstance(step, Place):
                stack.append(self._visit(step))
            else:
                yield step

    def only(self, folder: Folder, name: str, entry: Format) -> tuple[str, Slide | LeftOut]:
        """The slide of one main file, and the name of the slide that claims that file ("" for none)."""
        place = Place(folder)
        mains = {main: kind for main in in_order(folder.files) if (kind := format_of(main))}
        claims = self._claims_beside(place, mains, asked_for=name)
        parts = claims.get(name) or (entry.collect(folder, name) if entry.collect else Parts())
        return place.owners.get(name, ""), self._slide(place, name, entry, parts, {})

    def _visit(self, place: Place) -> _Steps:
        """The files of one folder, then its sub-folders: each of those that is not done yet as a Place to visit."""
        folder, prefix = place.folder, place.prefix
        mains = {
            name: entry for name in in_order(folder.files) if name not in place.owners and (entry := format_of(name))
        }
        claims = self._claims_beside(place, mains)
        seen = {} if place.seen is None else place.seen
        done: dict[str, tuple[str, str]] = {}  # sub-folders that belong to a slide: Windows key, name, that slide
        late: list[str] = []
        for name in in_order(chain(folder.files, folder.odd)):
            if name in folder.odd:
                yield self._left(prefix + name, *folder.odd[name])
            elif name in place.owners:
                continue
            elif name not in mains:
                if not place.reported:
                    yield self._stranger(place, name)
            elif mains[name].companion and self._selection.refusal(prefix + name):
                late.append(name)  # a slide that is wanted gets the folder first
            else:
                yield from self._main(place, name, mains[name], claims.get(name), seen, done)
        for name in late:
            yield from self._main(place, name, mains[name], None, seen, done)
        yield from self._sub_folders(place, done)

    def _main(
        self,
        place: Place,
        name: str,
        entry: Format,
        parts: Parts | None,
        seen: dict[str, str],
        done: dict[str, tuple[str, str]],
    ) -> _Steps:
        """One main file: the slide or why not, then what else is in its companion folder."""
        if parts is None:
            parts = entry.collect(place.folder, name) if entry.collect else Parts()
        companion = parts.companion
        if companion is not None:
            _, owner = done.setdefault(windows_key(companion.name), (companion.name, name))
            if owner != name:
                parts = Parts.wrong(f"its folder {printable(companion.name)}/ belongs to {printable(owner)}")
        elif parts.blocked is not None:
            done.setdefault(windows_key(parts.blocked), (parts.blocked, name))
        yield self._slide(place, name, entry, parts, seen)
        for path, why, detail in parts.strangers:
            yield self._left(place.prefix + path, why, detail)
        if parts.companion is not None and not parts.whole:
            yield self._inside(place, parts, name)

    def _inside(self, place: Place, parts: Parts, main: str, *, reported: bool = False) -> Place:
        """The companion folder of a slide, with the files taken that the slide has there."""
        assert parts.companion is not None  # noqa: S101  (for mypy)
        own = parts.companion.name + "/"
        owners = {part.local.removeprefix(own): main for part in parts.files if part.local.startswith(own)}
        return Place(parts.companion, f"{place.prefix}{own}", owners, main, reported, place.seen)

    def _sub_folders(self, place: Place, done: dict[str, tuple[str, str]]) -> _Steps:
        finished = {name for name, _ in done.values()}
        names = [name for name in in_order(place.folder.folders) if name not in finished]
        keys = [windows_key(name) for name in names]
        twins: dict[str, dict[str, str]] = {key: {} for key, count in Counter(keys).items() if count > 1}
        place.folder.files.clear()  # not needed any more, and the walk may stay below for long
        for name, key in zip(names, keys, strict=True):
            path = place.prefix + name
            try:
                folder = place.folder.enter(name)
            except OSError as error:
                if self._selection.excludes(path) or self._selection.excludes(path + "/\0"):
                    yield LeftOut(printable(path), Why.EXCLUDED, "matches an --exclude")
                else:
                    yield LeftOut(printable(path), Why.UNREADABLE, os_words(error))
                continue
            except LoopError as error:
                yield LeftOut(printable(path), Why.NOT_A_SLIDE, str(error))
                continue
            seen = place.seen if place.seen is not None else twins.get(key)
            yield from self._sub_folder(place, Place(folder, path + "/", seen=seen))

    def _sub_folder(self, above: Place, place: Place) -> _Steps:
        """A folder that no main file has claimed; it may be the companion of one that is missing."""
        folder = place.folder
        for entry, companion, main in companion_mains(folder.name):
            if companion.is_companion(folder) and entry.collect:
                missing = f"the main file {printable(main)} is missing"
                refusal = self._selection.refusal(above.prefix + main)
                why = (Why.EXCLUDED, refusal) if refusal else (Why.INCOMPLETE, missing)
                yield LeftOut(printable(place.prefix[:-1]), *why)
                parts = entry.collect(above.folder, main)
                if parts.whole:
                    return
                if parts.companion is not None:
                    place = self._inside(above, parts, main, reported=True)
                break
        yield place

    def _claims_beside(self, place: Place, mains: dict[str, Format], asked_for: str = "") -> dict[str, Parts]:
        """Reads the indexes of those main files that name files beside them, and settles who has which file."""
        claims = {
            name: entry.collect(place.folder, name)
            for name, entry in mains.items()
            if entry.collect and not entry.companion
        }

        def rank(name: str) -> tuple[bool, bool, bool]:
            excluded = self._selection.refusal(place.prefix + name) is not None
            return name != asked_for, excluded, bool(claims[name].problems)

        for name in sorted(claims, key=rank):  # stable: the first in order among equals
            parts = claims[name]
            kept: list[Part] = []
            for part in parts.files:
                inner = format_of(part.local)
                if inner is not None and inner.collect is not None:
                    parts.problems.append(f"its index names {printable(part.path)}, which has files of its own")
                elif (owner := place.owners.setdefault(part.local, name)) != name:
                    parts.problems.append(f"{printable(part.path)} belongs to {printable(owner)} already")
                else:
                    kept.append(part)
            parts.files = kept
        return claims

    def _slide(self, place: Place, name: str, entry: Format, parts: Parts, seen: dict[str, str]) -> Slide | LeftOut:
        path = place.prefix + name
        refusal = self._selection.refusal(path)
        if refusal is not None:
            return LeftOut(printable(path), Why.EXCLUDED, refusal)
        for announced in (path, *(part.path for part in parts.files)):
            problem = unstorable(announced)
            if problem is not None:
                particular = "" if announced is path else f": {printable(announced)}"
                return LeftOut(printable(path), Why.BAD_NAME, problem + particular)
        beside = [path, *(place.prefix + part.path for part in parts.files if "/" not in part.path)]
        keys = [windows_key(one) for one in beside]
        twin = _twin(beside, keys, parts, seen)
        if twin is not None:
            return LeftOut(path, Why.BAD_NAME, twin)
        try:
            main = _slide_file(name, name, place.folder.files[name])
            if main.size == 0:
                return LeftOut(path, Why.INCOMPLETE, "the file is empty")
            if parts.problems:
                return LeftOut(path, parts.why, "; ".join(map(printable, parts.problems)))
            files = (*(_slide_file(part.path, part.local, part.entry) for part in parts.files), main)
        except OSError as error:
            return LeftOut(path, Why.UNREADABLE, os_words(error))
        seen.update(zip(keys, beside, strict=True))
        return Slide(path, entry.name, place.folder.local, files)

    def _stranger(self, place: Place, name: str) -> LeftOut:
        if place.companion_of:
            detail = f"in the folder of a slide, but not part of it: {printable(place.companion_of)}"
        else:
            extension = extension_of(name)
            detail = f"no slide's main file: .{printable(extension)}" if extension else "no slide's main file"
        return LeftOut(printable(place.prefix + name), Why.NOT_A_SLIDE, detail)

    def _left(self, path: str, why: Why, detail: str) -> LeftOut:
        """Something that is no slide for sure; if it might have been one, --exclude counts for it too."""
        if why.is_problem and self._selection.excludes(path):
            return LeftOut(printable(path), Why.EXCLUDED, "matches an --exclude")
        return LeftOut(printable(path), why, printable(detail))


def _twin(beside: list[str], keys: list[str], parts: Parts, seen: dict[str, str]) -> str | None:
    """What on a Windows server would be the same file as one of this slide, or None."""
    for path, key in zip(beside, keys, strict=True):
        if key in seen:
            own = "" if path is beside[0] else f"{path} "
            return f"{own}differs only in case from {seen[key]}, and is the same name on PMA.core's Windows"
    if parts.files and len({windows_key(part.path) for part in parts.files}) < len(parts.files):
        return "two of its files have names that differ only in case, and are the same on PMA.core's Windows"
    return None


def _slide_file(path: str, local: str, entry: os.DirEntry[str]) -> SlideFile:
    info = entry.stat()
    return SlideFile(path, info.st_size, info.st_mtime_ns, None if local == path else local)


def why_no_slide(source: str) -> str:
    """What a file is that is not the main file of a slide."""
    folder, name = os.path.split(os.path.abspath(source))  # noqa: PTH100
    for _ in range(4):  # `_n_/stack1/frame_t.ets` is two below; deeper is not known
        above, folder_name = os.path.split(folder)
        for _, _, main in companion_mains(folder_name):
            if os.path.isfile(os.path.join(above, main)):  # noqa: PTH113, PTH118
                return f"{printable(name)} belongs to {printable(main)}; name that file"
        folder = above
    return f"{printable(name)} is no slide's main file; `pmarep slides` on its folder lists what is there"
