"""What becomes of a file: a slide, or something left out, and why."""

from __future__ import annotations

import os
from functools import lru_cache

from ..names import printable
from . import zarr
from .claims import NO_SLIDES, Claims
from .formats import Format, extension_of, format_of
from .globs import Selection
from .ignore import REASON as IGNORED
from .listing import DEAD_LINK, NEITHER, info_of, os_words
from .model import LeftOut, Slide, SlideFile, Why
from .names import unstorable
from .parts import Parts
from .place import Place


class Verdict:
    """Judges the files of a folder by what is wanted."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def refusal(self, place: Place, name: str) -> str | None:
        """Why a main file is not wanted, or None."""
        path = place.prefix + name
        refusal = self._selection.refusal(path)
        if name in zarr.NAMES and place.prefix:
            refusal = self._selection.refusal_of_folder(path, place.prefix[:-1])
        if refusal is None and place.ignore is not None and place.ignore.ignores(path):
            return IGNORED
        return refusal

    def slide(
        self, place: Place, name: str, entry: Format, parts: Parts | None = None, below: dict[str, str] | None = None
    ) -> Slide | LeftOut:
        """The slide of a main file, or why it is none. What it sends from sub-folders is put into `below`, by key."""
        prefix = place.prefix
        path = prefix + name
        refusal = self.refusal(place, name)
        if refusal is not None:
            return LeftOut(printable(path), Why.EXCLUDED, refusal)
        problem = unstorable(path) or (parts and _unstorable_part(parts))
        if problem:
            return LeftOut(printable(path), Why.BAD_NAME, problem)
        try:
            main_as = (parts and parts.main_as) or name
            files: tuple[SlideFile, ...] = (_slide_file(main_as, name, place.folder.files[name]),)
            main = files[0]
            if parts:
                files = (*[_slide_file(part.path, part.local, part.entry) for part in parts.files], main)
            refusal = self._selection.too_old(files)
            if refusal is not None:
                return LeftOut(path, Why.EXCLUDED, refusal)
            if main.size == 0:
                return LeftOut(path, Why.INCOMPLETE, "the file is empty")
            if entry.recognise is not None and not entry.has_parts:
                reason = entry.recognise(place.folder.files[name].path)
                if reason is not None:
                    return LeftOut(path, Why.NOT_A_SLIDE, reason)
        except OSError as error:
            return LeftOut(path, Why.UNREADABLE, os_words(error))
        keys = place.keys_of(files)
        twin = place.twin(files, keys)
        if twin is not None:
            return LeftOut(path, Why.BAD_NAME, twin)
        if parts and parts.problems:
            return LeftOut(path, parts.why, "; ".join(map(printable, parts.problems)))
        refusal = self._selection.too_small(files)
        if refusal is not None:
            return LeftOut(path, Why.EXCLUDED, refusal)
        place.remember(files, keys, {} if below is None else below)
        return Slide(path, entry.name, place.folder.local, files)

    def stranger(self, place: Place, name: str) -> LeftOut:
        if place.slide:
            detail = f"in the folder of a slide, but not part of it: {printable(place.slide)}"
        else:
            detail = _no_main_file(extension_of(name))
        return LeftOut(printable(place.prefix + name), Why.NOT_A_SLIDE, detail)

    def odd(self, place: Place, name: str, claims: Claims) -> LeftOut:
        """Something in a folder that cannot be used.

        A link that leads nowhere is a problem if a slide may be behind it: if it is called like one, or may be a file
        of one that is known by what is in its files.
        """
        why, detail = place.folder.odd[name]
        if detail is DEAD_LINK and format_of(name) is None and not claims.may_lack(name):
            why = Why.NOT_A_SLIDE
        return self.left(place, name, why, detail)

    def left(self, place: Place, name: str, why: Why, detail: str) -> LeftOut:
        """Something that is no slide for sure; if it might have been one, --exclude counts for it too."""
        path = place.prefix + name
        if why is Why.UNREADABLE and detail == NEITHER and format_of(name) is None:
            why = Why.NOT_A_SLIDE  # no slide's name
        if why is Why.LINK and extension_of(name) and extension_of(name) in NO_SLIDES:
            why = Why.NOT_A_SLIDE
        if why.is_problem:
            # A link may be one to a folder: then what is said of folders and of all in them counts.
            paths = [path] if why is not Why.LINK else [path, path + "/", path + "/\0"]
            if any(map(self._selection.excludes, paths)):
                return LeftOut(printable(path), Why.EXCLUDED, "matches an --exclude")
            if place.ignore is not None and any(map(place.ignore.ignores, paths)):
                return LeftOut(printable(path), Why.EXCLUDED, IGNORED)
        return LeftOut(printable(path), why, printable(detail))


@lru_cache(maxsize=256)
def _no_main_file(extension: str) -> str:
    return f"no slide's main file: .{printable(extension)}" if extension else "no slide's main file"


def _unstorable_part(parts: Parts) -> str | None:
    for part in parts.files:
        problem = unstorable(part.path)
        if problem is not None:
            return f"{problem}: {printable(part.path)}"
    return None


def _slide_file(path: str, local: str, entry: os.DirEntry[str]) -> SlideFile:
    info = info_of(entry)
    return SlideFile(path, info.st_size, info.st_mtime_ns, None if local == path else local)
