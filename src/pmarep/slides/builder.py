"""Builds the result for a main file or any other entry of a folder: a Slide, or a LeftOut with the reason."""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from ..text import printable
from .companions import Companions
from .file_names import guess_kind, name_problem, shorten_list
from .folder import NOT_FILE_OR_FOLDER, OFFLINE, UnusableEntry, cause_of, info_of, is_offline, os_error_text
from .formats import Format, extension_of, format_of
from .ignore_file import REASON as IGNORED
from .model import BrokenFileError, Cause, Kind, LeftOut, Slide, SlideFile, Why
from .ownership import FolderSlides
from .selection import Selection
from .walk_folder import WalkFolder


class SlideBuilder:
    """Builds slides, and what is left out, by a selection."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection

    def refusal(self, walk_folder: WalkFolder, name: str) -> str | None:
        """Return why a main file is not wanted, or None."""
        path = walk_folder.prefix + name
        refusal = self._selection.refusal(path)
        if refusal is None and walk_folder.ignore is not None and walk_folder.ignore.ignores(path):
            return IGNORED
        return refusal

    def slide(
        self,
        walk_folder: WalkFolder,
        name: str,
        entry: Format,
        parts: Companions | None = None,
        below: dict[str, str] | None = None,
    ) -> Slide | LeftOut:
        """Return the slide of a main file, or why it is none; add what it sends from sub-folders to `below`, by key."""
        prefix = walk_folder.prefix
        path = prefix + name
        count = 1 if parts is None else 1 + len(parts.files) + parts.kept_back

        def left(why: Why, detail: str, cause: Cause = Cause.USUAL, kind: Kind = Kind.UNKNOWN) -> LeftOut:
            return LeftOut(path, why, detail, cause, kind, count)

        refusal = self.refusal(walk_folder, name)
        if refusal is not None:
            return LeftOut(printable(path), Why.EXCLUDED, refusal, files=count)
        problem = name_problem(path) or (parts and _unstorable_part(parts))
        if problem:
            return LeftOut(printable(path), Why.BAD_NAME, problem, files=count)
        try:
            main_as = (parts and parts.main_as) or name
            files: tuple[SlideFile, ...] = (_slide_file(main_as, name, walk_folder.folder.files[name]),)
            main = files[0]
            if parts:
                files = (*[_slide_file(part.path, part.local, part.entry) for part in parts.files], main)
            refusal = self._selection.too_old(files)
            if refusal is not None:
                return left(Why.EXCLUDED, refusal)
            if main.size == 0:
                return left(Why.INCOMPLETE, "the file is empty", Cause.EMPTY)
            if entry.recognise is not None and not entry.has_companions:
                reason = entry.recognise(walk_folder.folder.files[name].path)
                if reason is not None:
                    return left(Why.NOT_A_SLIDE, reason)
        except _AwayError as error:
            return left(
                Why.UNREADABLE, OFFLINE if error.path == name else f"{OFFLINE}: {printable(error.path)}", Cause.OFFLINE
            )
        except OSError as error:
            return left(Why.UNREADABLE, os_error_text(error), cause_of(error))
        except BrokenFileError as error:
            return left(Why.INCOMPLETE, printable(str(error)), error.cause)
        keys = walk_folder.keys_of(files)
        twin = walk_folder.twin(files, keys)
        if twin is not None:
            return left(Why.BAD_NAME, twin, Cause.TWIN)
        if parts and parts.problems:
            kind = Kind.UNKNOWN if parts.why.is_problem else parts.kind
            return left(parts.why, "; ".join(map(printable, parts.problems)), parts.cause, kind)
        empty = [file.path for file in files if not file.size and file.path.lower().endswith(entry.never_empty)]
        if empty:
            return left(Why.INCOMPLETE, f"empty: {shorten_list(empty)}", Cause.EMPTY)
        refusal = self._selection.too_small(files)
        if refusal is not None:
            return left(Why.EXCLUDED, refusal)
        walk_folder.remember(files, keys, {} if below is None else below)
        return Slide(path, entry.name, walk_folder.folder.local, files)

    def unknown_file(self, walk_folder: WalkFolder, name: str) -> LeftOut:
        """Return the LeftOut for a file that no format knows; if it might be a slide, it can be excluded like one."""
        path = printable(walk_folder.prefix + name)
        if walk_folder.reported:
            return LeftOut(path, Why.NOT_A_SLIDE, "in a folder that is reported as a whole", kind=Kind.REPORTED)
        kind = guess_kind(name)
        if kind is Kind.UNKNOWN and (refusal := self.refusal(walk_folder, name)):
            return LeftOut(path, Why.EXCLUDED, refusal)
        if walk_folder.slide:
            detail = f"in the folder of a slide, but not part of it: {printable(walk_folder.slide)}"
        elif kind is Kind.ANNOTATIONS:
            detail = "annotations of a slide, for pmarep push --annotations"
        else:
            detail = _no_main_file(extension_of(name))
        return LeftOut(path, Why.NOT_A_SLIDE, detail, kind=kind)

    def unusable(self, walk_folder: WalkFolder, name: str, unusable: UnusableEntry, claims: FolderSlides) -> LeftOut:
        """Return the LeftOut for an entry of the folder that cannot be used.

        What is in a cloud, and a link that leads nowhere, is a problem if a slide may be behind it: if it is called
        like one, or may be a file of one that is known by what is in its files.
        """
        why, kind = unusable.why, unusable.kind
        is_known = format_of(name) is not None or claims.may_lack(name)
        if unusable.cause in (Cause.OFFLINE, Cause.DEAD_LINK) and not is_known:
            why, kind = Why.NOT_A_SLIDE, guess_kind(name)
        return self.left(walk_folder, name, why, unusable.detail, unusable.cause, kind, unusable.files)

    def left(
        self,
        walk_folder: WalkFolder,
        name: str,
        why: Why,
        detail: str,
        cause: Cause = Cause.USUAL,
        kind: Kind = Kind.UNKNOWN,
        files: int = 1,
    ) -> LeftOut:
        """Return the LeftOut for something that is no slide; if it might have been one, --exclude counts for it too."""
        path = walk_folder.prefix + name
        if why is Why.UNREADABLE and detail == NOT_FILE_OR_FOLDER and format_of(name) is None:
            why = Why.NOT_A_SLIDE  # no slide's name
        if why is Why.LINK and guess_kind(name) is not Kind.UNKNOWN:
            why = Why.NOT_A_SLIDE
        if why.is_problem:
            # A link may be one to a folder: then what is said of folders and of all in them counts.
            paths = [path] if why is not Why.LINK else [path, path + "/", path + "/\0"]
            if any(map(self._selection.excludes, paths)):
                why, detail = Why.EXCLUDED, "matches an --exclude"
            elif walk_folder.ignore is not None and any(map(walk_folder.ignore.ignores, paths)):
                why, detail = Why.EXCLUDED, IGNORED
        elif walk_folder.reported and kind is not Kind.SYSTEM:
            kind = Kind.REPORTED
        return LeftOut(printable(path), why, printable(detail), cause, kind, files)


@lru_cache(maxsize=256)
def _no_main_file(extension: str) -> str:
    return f"no slide's main file: .{printable(extension)}" if extension else "no slide's main file"


def _unstorable_part(parts: Companions) -> str | None:
    for part in parts.files:
        problem = name_problem(part.path)
        if problem is not None:
            return f"{problem}: {printable(part.path)}"
    return None


_CAN_BE_AWAY = sys.platform in ("win32", "darwin")


class _AwayError(Exception):
    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


def _slide_file(path: str, local: str, entry: os.DirEntry[str]) -> SlideFile:
    info = info_of(entry)
    if _CAN_BE_AWAY and is_offline(info):
        raise _AwayError(path)
    return SlideFile(path, info.st_size, info.st_mtime_ns, None if local == path else local)
