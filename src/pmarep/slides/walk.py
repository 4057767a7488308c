"""The walk: finds the slides in a folder and below, and reports what else is there.

Depth first, each folder read once, its files before its sub-folders; a slide's own sub-folders come right after the
slide. No recursion: a stack holds one generator per folder on the way, so memory is bounded by the folders on one path.

Which slide owns which file is resolved folder by folder (ownership.py), and handed down where a slide has files below.
PMA.core runs on Windows: of two slides whose paths it cannot tell apart the second would overwrite the first, so it
is left out.
"""

from __future__ import annotations

import errno
import logging
import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from itertools import chain

from ..errors import where
from ..system.windows_names import collision_key
from ..text import printable
from . import tiles, zarr
from .builder import SlideBuilder
from .companions import Companions
from .file_names import sort_names
from .folder import Folder, LoopError, Scandir, cause_of, error_text, os_error_text
from .formats import Format, companion_mains, format_of
from .ignore_file import NAME as IGNORE
from .ignore_file import REASON as IGNORED
from .ignore_file import IgnoreFileError, read_ignore
from .links import LinkPolicy
from .misplaced_companion import lies_inside, look_around
from .model import Cause, Kind, LeftOut, Slide, Why
from .ownership import FolderSlides, SlideLookup, resolve_claims
from .selection import Selection
from .walk_folder import WalkFolder

log = logging.getLogger(__name__)

_Steps = Generator["Slide | LeftOut | WalkFolder", None, None]


class Walk:
    """Finds slides below a folder (`walk`), or takes one by its main file (`find_one`).

    `links`: which ones are followed; None: all.
    """

    def __init__(
        self, selection: Selection, lookup: SlideLookup | None = None, links: LinkPolicy | None = None
    ) -> None:
        self._selection = selection
        self._links = links
        self._builder = SlideBuilder(selection)
        self._lookup = lookup

    def folder(self, path: str, scandir: Scandir) -> Folder:
        """Return the listing of a folder where a walk begins. Raises OSError."""
        return Folder(path, scandir, links=self._links)

    def walk(self, source: str, scandir: Scandir) -> Iterator[Slide | LeftOut]:
        """Yield the slides in a folder and below, and what is left out."""
        try:
            root = WalkFolder(self.folder(source, scandir))
        except OSError as error:
            yield LeftOut(".", Why.UNREADABLE, os_error_text(error), cause_of(error), files=0)
            return
        for entry, companion, main in companion_mains(root.folder.name):
            if companion.is_companion(root.folder) and not _has_main(root.folder, entry):
                words = f"this is the folder of {printable(main)}; name that file instead"
                yield LeftOut(".", Why.INCOMPLETE, words, Cause.INSIDE, files=0)
                root.reported = True
        if zarr.lacks_metadata(root.folder):
            yield LeftOut(".", Why.INCOMPLETE, zarr.NO_METADATA, files=0)
            root.reported = True
        stack = [(root, self._visit(root))]
        while stack:
            walk_folder, steps = stack[-1]
            try:
                for step in steps:
                    if isinstance(step, WalkFolder):
                        stack.append((step, self._visit(step)))
                        break
                    yield step
                else:
                    stack.pop()
            except Exception as error:  # whatever it is, it costs this folder and not the others
                log.debug("looking through a folder ended in %s: %s", where(error), type(error).__name__)
                yield LeftOut(printable(walk_folder.prefix.rstrip("/")) or ".", Why.UNREADABLE, error_text(error))

    def find_one(self, walk_folder: WalkFolder, name: str) -> tuple[str, Slide | LeftOut | None]:
        """Return the name of the slide that owns a file ("": none but itself), and the slide whose main file it is.

        None if it is no main file, for all that can be told from its folder.
        """
        claims = self._resolve_claims(walk_folder, asked_for=name)
        owner = walk_folder.owners.here.get(name, name)
        if owner != name:
            return owner, None
        if name in claims.not_slides:
            why, detail = claims.not_slides[name]
            cause = claims.causes.get(name, Cause.USUAL)
            return "", LeftOut(printable(walk_folder.prefix + name), why, printable(detail), cause, Kind.OTHER)
        if name not in claims.mains:
            return "", None
        return "", self._builder.slide(
            walk_folder, name, claims.mains[name], self._parts(walk_folder, name, claims), {}
        )

    def open_folder(self, source: str, below: str, scandir: Scandir) -> WalkFolder:
        """Return a folder below `source` ("" for that itself), with what slides further up own in it.

        Raises OSError and LoopError.
        """
        walk_folder = WalkFolder(self.folder(source, scandir))
        for name in below.split("/") if below else ():
            self._resolve_claims(walk_folder, only_deep=True)
            if name not in walk_folder.folder.folders:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            folder = walk_folder.folder.enter(name)
            path = f"{walk_folder.prefix}{name}/"
            if not walk_folder.owners.slide_of(name):
                for _ in self._without_main(walk_folder, folder, path):
                    pass
            walk_folder = WalkFolder(folder, path, walk_folder.owners.pop_subfolder(name), key=collision_key(path))
        return walk_folder

    def _visit(self, walk_folder: WalkFolder) -> _Steps:
        """Yield the slides and the rest of one folder, then its sub-folders: each of those as a WalkFolder to visit."""
        folder, prefix = walk_folder.folder, walk_folder.prefix
        if IGNORE in folder.unusable:
            del folder.unusable[IGNORE]
            try:
                walk_folder.ignore = read_ignore(folder.path, prefix, walk_folder.ignore)
            except (OSError, IgnoreFileError) as error:
                if isinstance(error, OSError):
                    why, words = Why.UNREADABLE, os_error_text(error)
                else:
                    why, words = Why.BAD_RULES, str(error)
                detail = f"{words}; nothing is sent from its folder, since nobody knows what it would keep back"
                yield LeftOut(printable(prefix + IGNORE), why, printable(detail), files=0)
                return
        tree = None
        if walk_folder.tiles is None and not walk_folder.slide:
            tree = walk_folder.tiles = tiles.find(folder, prefix)
        if walk_folder.tiles is not None and not walk_folder.slide:
            walk_folder.tiles.take(folder, walk_folder.owners.here)
        owned = set(walk_folder.owners.here)  # by slides further up
        if len(folder.folders) > 1:
            keys = Counter(map(collision_key, folder.folders))
            walk_folder.twins = frozenset(key for key, count in keys.items() if count > 1)
        claims = self._resolve_claims(walk_folder)
        for name, kind in claims.mains.items():
            if (
                kind.companion and not walk_folder.inherits and lies_inside(folder, name, kind)
            ):  # so files of it are here, and come before it
                claims.parts[name] = self._parts(walk_folder, name, claims)
        late: list[str] = []
        for name in sort_names(chain(folder.files, folder.unusable)):
            if name in owned:
                continue
            if walk_folder.owners.here.get(name, name) != name:
                continue
            if name in folder.unusable:
                yield self._builder.unusable(walk_folder, name, folder.unusable[name], claims)
            elif name in claims.not_slides:
                why, detail = claims.not_slides[name]
                cause = claims.causes.get(name, Cause.USUAL)
                yield self._builder.left(walk_folder, name, why, detail, cause, Kind.OTHER)
            elif (entry := claims.mains.get(name)) is None:
                if not tiles.is_index(folder, name):
                    yield self._builder.unknown_file(walk_folder, name)
            elif not entry.has_companions:
                yield self._builder.slide(walk_folder, name, entry)
            elif entry.companion and self._builder.refusal(walk_folder, name):
                late.append(name)  # a slide that is wanted gets the folder first
            else:
                yield from self._main(walk_folder, name, claims)
        for name in late:
            yield from self._main(walk_folder, name, claims)
        yield from self._sub_folders(walk_folder)
        if tree is not None:
            yield tree.left_out()

    def _resolve_claims(self, walk_folder: WalkFolder, asked_for: str = "", *, only_deep: bool = False) -> FolderSlides:
        def refused(name: str) -> bool:
            return self._builder.refusal(walk_folder, name) is not None

        lookup = None if only_deep else self._lookup
        return resolve_claims(
            walk_folder.folder, walk_folder.owners, refused, asked_for=asked_for, lookup=lookup, only_deep=only_deep
        )

    def _parts(self, walk_folder: WalkFolder, name: str, claims: FolderSlides) -> Companions:
        entry = claims.mains[name]
        parts = claims.parts.get(name)
        if parts is not None or entry.collect is None:
            return parts or Companions()
        parts = entry.collect(walk_folder.folder, name)
        if parts.problems and not parts.files and not walk_folder.inherits:
            parts = look_around(walk_folder.folder, name, entry) or parts
        walk_folder.owners.claim_all(name, parts)
        return parts

    def _main(self, walk_folder: WalkFolder, name: str, claims: FolderSlides) -> _Steps:
        """Yield the slide of a main file, or why it is none, then what else is in its folders."""
        parts = self._parts(walk_folder, name, claims)
        below: dict[str, str] = {}
        yield self._builder.slide(walk_folder, name, claims.mains[name], parts, below)
        own = {part.local.partition("/")[0] for part in parts.files if "/" in part.local}
        for folder in sort_names(own - walk_folder.entered):
            yield from self._sub_folder(walk_folder, folder, below)

    def _sub_folders(self, walk_folder: WalkFolder) -> _Steps:
        names = [name for name in sort_names(walk_folder.folder.folders) if name not in walk_folder.entered]
        walk_folder.folder.files.clear()  # not needed any more, and the walk may stay below for long
        for name in names:
            yield from self._sub_folder(walk_folder, name, {})

    def _sub_folder(self, above: WalkFolder, name: str, sent: Mapping[str, str]) -> _Steps:
        """Yield a folder to visit, if it is readable and wanted. `sent`: what a slide above sends from it, by key."""
        above.entered.add(name)
        path = above.prefix + name
        slide = above.owners.slide_of(name)
        if name in above.owners.here:
            return  # a slide's problems speak of it
        if above.ignore is not None and above.ignore.ignores(path + "/"):
            only = f": only what belongs to {slide} is taken from it" if slide else ""
            yield LeftOut(printable(path), Why.EXCLUDED, printable(IGNORED + only), files=0)
            return
        try:
            folder = above.folder.enter(name)
        except OSError as error:
            if self._selection.excludes_folder(path):
                yield LeftOut(printable(path), Why.EXCLUDED, "matches an --exclude", files=0)
            else:
                yield LeftOut(printable(path), Why.UNREADABLE, os_error_text(error), cause_of(error), files=0)
            return
        except LoopError as error:
            yield LeftOut(printable(path), Why.NOT_A_SLIDE, str(error), kind=Kind.OTHER, files=0)
            return
        reported = above.reported
        if not slide and not above.owners.speaks_of(name):
            for step in self._without_main(above, folder, path):
                reported = True
                yield step
        shared = above.shared or collision_key(name) in above.twins
        seen = above.seen if shared else dict(sent)
        owners, key = above.owners.pop_subfolder(name), collision_key(path + "/")
        tree = above.tiles if above.tiles is not None and above.tiles.goes_into(name) else None
        yield WalkFolder(folder, path + "/", owners, slide, reported, seen, shared, above.ignore, key, tiles=tree)

    def _without_main(self, above: WalkFolder, folder: Folder, path: str) -> Iterator[LeftOut]:
        """Report a folder that no main file has claimed, if it is the companion of one that is missing.

        Its files are claimed for that one. The same for a Zarr without its metadata.
        """
        if zarr.lacks_metadata(folder):
            yield self._builder.left(above, folder.name, Why.INCOMPLETE, zarr.NO_METADATA, files=0)
        for entry, companion, main in companion_mains(folder.name):
            if entry.collect and companion.is_companion(folder) and not _has_main(folder, entry):
                missing = f"the main file {printable(main)} is missing"
                refusal = self._builder.refusal(above, main)
                why, words = (Why.EXCLUDED, refusal) if refusal else (Why.INCOMPLETE, missing)
                parts = entry.collect(above.folder, main)
                parts.files = [part for part in parts.files if not above.owners.has(part.local)]
                above.owners.claim_all(main, parts)
                files = len(parts.files) + parts.kept_back
                if files:  # else all that is in there is told with others
                    yield LeftOut(printable(path), why, words, files=files)
                return


def _has_main(folder: Folder, entry: Format) -> bool:
    """Return whether a companion folder has a main file in it, whose problems then say what is wrong."""
    return any(format_of(name) is entry for name in folder.files)


def why_no_slide(source: str) -> str:
    """Explain why a file is not the main file of a slide."""
    folder, name = os.path.split(os.path.abspath(source))  # noqa: PTH100
    for _ in range(4):  # `_n_/stack1/frame_t.ets` is two below; deeper is not known
        above, folder_name = os.path.split(folder)
        for _, _, main in companion_mains(folder_name):
            if os.path.isfile(os.path.join(above, main)):  # noqa: PTH113, PTH118
                return f"{printable(name)} belongs to {printable(main)}; name that file"
        folder = above
    return f"{printable(name)} is no slide's main file; `pmarep slides` on its folder lists what is there"
