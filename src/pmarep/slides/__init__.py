"""Slides on disk: the format rules (formats.py, which says how to add a format) and discovery (walk.py)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import UsageError
from ..text import printable
from . import zarr
from .folder import NOT_FILE_OR_FOLDER, Folder, LoopError, Scandir, UnusableEntry, os_error_text
from .formats import FORMATS, Format
from .links import LinkPolicy
from .model import Cause, ClaimedFile, Kind, LeftOut, Slide, SlideFile, Why
from .ownership import SlideLookup
from .selection import OptionValue, Selection
from .walk import Walk, why_no_slide
from .walk_folder import WalkFolder

__all__ = [
    "FORMATS",
    "Cause",
    "ClaimedFile",
    "Format",
    "Kind",
    "LeftOut",
    "Slide",
    "SlideFile",
    "SlideLookup",
    "Why",
    "find_again",
    "find_slides",
]


def find_slides(
    source: Path,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    newer_than: float | None = None,
    min_size: int = 0,
    lookup: SlideLookup | None = None,
    follow_links: bool = False,
    matched: set[OptionValue] | None = None,
    scandir: Scandir = os.scandir,
) -> Iterator[Slide | LeftOut]:
    """Find the slides in a folder and below, or the one slide whose main file `source` is, and what is left out.

    Yields while it walks. The order depends on the names only, not on the disk's. Patterns are those of .gitignore
    (patterns.py), as in `.pmarepignore` files (ignore_file.py); the latter do not count for a `source` that is a file.
    `newer_than` is a time in seconds since the epoch that the newest file of a slide has to be after, `min_size` what a
    slide has at least, in bytes. Links that lead out of `source` are followed only with `follow_links`. `lookup` is
    called once per folder that has files which no format knows; see ownership.SlideLookup. Patterns that match are
    added to `matched`; see selection.describe_unmatched().

    Raises UsageError at once if `source` does not exist or is a file but no slide's main file, or a pattern is none.
    """
    selection = Selection(include, exclude, newer_than, min_size, matched)
    path = os.fspath(source)
    try:
        source.stat()
    except OSError as error:
        away = "; is its drive mounted?" if isinstance(error, FileNotFoundError) else "; look at its rights"
        raise UsageError(f"cannot use {printable(path)}: {os_error_text(error)}{away}") from None
    walk = Walk(selection, lookup, None if follow_links else LinkPolicy.for_source(source))
    if source.is_dir():
        _refuse_zarr(source, scandir)
        return walk.walk(path, scandir)
    if not source.is_file():
        raise UsageError(f"cannot use {printable(path)}: it is {NOT_FILE_OR_FOLDER}; name a folder of slides")
    return iter([_one_slide(source, walk, scandir)])


def _refuse_zarr(source: Path, scandir: Scandir) -> None:
    """Refuse a source that is one slide by itself: without its folder's name nothing would tell it from others."""
    if not any((source / name).is_file() for name in zarr.NAMES):
        return
    with suppress(OSError):
        if zarr.is_slide(folder := Folder(os.fspath(source), scandir)):
            above = f"name the folder above it, and --include '{folder.name}/' for it alone"
            raise UsageError(printable(f"cannot use {source}: this folder is one slide (Zarr); {above}"))


def find_again(
    source: Path,
    slide_path: str,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    newer_than: float | None = None,
    min_size: int = 0,
    lookup: SlideLookup | None = None,
    follow_links: bool = False,
    scandir: Scandir = os.scandir,
) -> Slide | LeftOut | ClaimedFile:
    """Return a slide that find_slides() found in `source`, as it is now. `slide_path` is its `Slide.path`.

    Reads the slide's own folder anew and the folders in it that are the slide's; of those above only the listing, since
    a DICOMDIR there may have files here. A LeftOut of the same path if the slide is not complete any more, not wanted
    any more, or has gone; a ClaimedFile if it is a part of another slide by now. Takes the arguments of find_slides();
    `.pmarepignore` files are not read again.
    """
    above, slash, name = slide_path.rpartition("/")
    selection = Selection(include, exclude, newer_than, min_size)
    walk = Walk(selection, lookup, None if follow_links else LinkPolicy.for_source(source))
    try:
        walk_folder = walk.open_folder(os.fspath(source if source.is_dir() else source.parent), above, scandir)
    except (OSError, LoopError) as error:
        where = f"its folder {above}/" if slash else "its folder"
        words = os_error_text(error) if isinstance(error, OSError) else str(error)
        return LeftOut(slide_path, Why.UNREADABLE, printable(f"cannot read {where}: {words}"))
    if name in walk_folder.folder.folders:  # it could not be looked into
        try:
            walk_folder.folder.enter(name)
        except OSError as error:
            return LeftOut(slide_path, Why.UNREADABLE, os_error_text(error))
        except LoopError as error:
            return LeftOut(slide_path, Why.NOT_A_SLIDE, str(error))
        return LeftOut(slide_path, Why.UNREADABLE, "this folder could not be read, and can be by now; push again")
    if name not in walk_folder.folder.files:
        unusable = walk_folder.folder.unusable.get(name, UnusableEntry(Why.INCOMPLETE, "the file has gone"))
        return LeftOut(
            slide_path, unusable.why if unusable.why.is_problem else Why.INCOMPLETE, unusable.detail, unusable.cause
        )
    owner, found = walk.find_one(walk_folder, name)
    if owner:
        return ClaimedFile(slide_path, owner)
    return found or LeftOut(slide_path, Why.INCOMPLETE, "is no slide any more")


def _one_slide(source: Path, walk: Walk, scandir: Scandir) -> Slide | LeftOut:
    folder_path = os.fspath(source.parent)
    try:
        folder = walk.folder(folder_path, scandir)
    except OSError as error:
        words = f"cannot read the folder {printable(folder_path)}: {os_error_text(error)}"
        raise UsageError(f"{words}; look at its rights") from None
    # On a disk that ignores case `a.SVS` opens `a.svs`: take the name that the disk has.
    entry = folder.find(source.name)
    if entry is None:
        raise UsageError(why_no_slide(os.fspath(source)))
    _refuse_zarr(source.parent, scandir)
    owner, slide = walk.find_one(WalkFolder(folder), entry.name)
    if owner:
        raise UsageError(f"{printable(source.name)} belongs to {printable(owner)}; name that file")
    if slide is None:
        raise UsageError(why_no_slide(os.fspath(source)))
    return slide
