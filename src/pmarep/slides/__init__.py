"""What is a slide on disk: format rules and discovery."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import UsageError
from .discover import Walk, why_no_slide
from .formats import FORMATS, Format, format_of
from .globs import Selection
from .listing import Folder, Scandir, os_words
from .model import LeftOut, Slide, SlideFile, Why
from .names import printable

__all__ = ["FORMATS", "Format", "LeftOut", "Slide", "SlideFile", "Why", "find_slides"]


def find_slides(
    source: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = (), scandir: Scandir = os.scandir
) -> Iterator[Slide | LeftOut]:
    """The slides in a folder and below, or the one slide whose main file `source` is, and what is left out.

    Yields while it walks. The order depends on the names only, not on the disk's. Globs are explained in globs.py.
    Raises UsageError at once if `source` does not exist or is a file but no slide's main file, or a glob is none.
    """
    selection = Selection(include, exclude)
    path = os.fspath(source)
    try:
        source.stat()
    except OSError as error:
        raise UsageError(f"cannot use {printable(path)}: {os_words(error)}") from None
    if source.is_dir():
        return Walk(selection).all_below(path, scandir)
    return iter([_one_slide(source, selection, scandir)])


def _one_slide(source: Path, selection: Selection, scandir: Scandir) -> Slide | LeftOut:
    folder_path = os.fspath(source.parent)
    try:
        folder = Folder(folder_path, scandir)
    except OSError as error:
        raise UsageError(f"cannot read the folder {printable(folder_path)}: {os_words(error)}") from None
    # On a disk that ignores case `a.SVS` opens `a.svs`: take the name that the disk has.
    entry = folder.find(source.name)
    kind = format_of(source.name)
    if entry is None or kind is None:
        raise UsageError(why_no_slide(os.fspath(source)))
    owner, slide = Walk(selection).only(folder, entry.name, kind)
    if owner:
        raise UsageError(f"{printable(source.name)} belongs to {printable(owner)}; name that file")
    return slide
