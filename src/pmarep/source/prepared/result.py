"""Look at what a command has left: it has to be one slide, of the name of the one it was made of; no more stays."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ...errors import PmarepError, UsageError
from ...slides import LeftOut, Slide, find_slides
from ...slides.folder import os_error_text
from ...slides.links import lies_below
from ...slides.model import SlideFile

_EARLIEST, _SECONDS = 10**9, 10**9
"""The range of the mtimes of results, in seconds since the epoch: from 2001 to 2033."""

_CHUNK = 1024 * 1024


class ResultError(PmarepError):
    """A command has failed, or has left something that cannot be sent."""


def examine(folder: Path, source: Slide) -> Slide:
    """Return the slide that a command has left in a folder, on disk and with the mtimes of results. Blocks.

    Its `path` is relative to the folder. What else is there is removed. Raises ResultError.
    """
    try:
        if folder.is_symlink() or not folder.is_dir():
            raise ResultError("prepare has put something else in the place of {out}")
        found = _the_slide(folder, source)
        for file in found.files:
            _check_own(folder, found, file)
        _remove_others(folder, {os.path.realpath(found.local(file)) for file in found.files})
        return replace(found, files=tuple(_stamped(found, file) for file in found.files))
    except OSError as error:
        raise ResultError(f"what prepare has made of it cannot be read: {os_error_text(error)}") from None


def _the_slide(folder: Path, source: Slide) -> Slide:
    name = source.main.path
    try:
        things = list(find_slides(folder))
    except UsageError as error:
        raise ResultError(f"prepare has left no slide {name}: {error}") from None
    slides = [thing for thing in things if isinstance(thing, Slide)]
    problems = [thing for thing in things if isinstance(thing, LeftOut) and thing.why.is_problem]
    if problems:
        first = problems[0]
        raise ResultError(f"prepare has left {first.path}, which cannot be sent: {first.detail}")
    if not slides:
        left = f"nothing that is a slide ({_first_names(things)})" if things else "nothing in {out}"
        raise ResultError(f"prepare has left {left}, where {name} was to be")
    if len(slides) > 1:
        raise ResultError(f"prepare has left {len(slides)} slides ({_first_names(slides)}), where {name} was to be")
    [slide] = slides
    if source.path != slide.path and not source.path.endswith(f"/{slide.path}"):
        raise ResultError(f"prepare has left {slide.path}, where {name} was to be")
    return slide


def _first_names(things: Iterable[Slide | LeftOut]) -> str:
    names = [thing.path for thing in things]
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _check_own(folder: Path, slide: Slide, file: SlideFile) -> None:
    """Raise ResultError for a file that lies elsewhere too: it may be the source's, which nobody changes."""
    path = slide.local(file)
    outside = not lies_below(os.path.realpath(path), os.path.realpath(folder))
    if outside or path.is_symlink() or path.lstat().st_nlink > 1:
        raise ResultError(f"prepare has left {file.path} as a link to another file; it has to copy")


def _remove_others(folder: Path, files: Collection[str]) -> None:
    """Remove what is no file of the slide: a copy for safety would be kept, and is in no size of the cache.

    What a link leads to is left alone, also where a walk follows it (Python 3.11 a junction on Windows).
    """
    root = os.path.realpath(folder)
    for at, _, names in os.walk(folder):
        for path in [Path(at, name) for name in names]:
            real = os.path.realpath(path)
            if real not in files and lies_below(real, root):
                if sys.platform == "win32":
                    path.chmod(0o600)  # nothing that is read-only can be removed there
                path.unlink()


def _stamped(slide: Slide, file: SlideFile) -> SlideFile:
    """Bring a file to the disk, and give it an mtime that is made of its content: see PreparedSlide.

    Even seconds, which every file system keeps.
    """
    path = slide.local(file)
    path.chmod(0o600)  # a copy may have the source's mode, and be one that nobody may write to
    with path.open("rb+") as handle:
        seconds = _mtime_of(handle)
        os.fsync(handle.fileno())
    os.utime(path, (seconds, seconds))
    info = path.stat()
    return replace(file, size=info.st_size, mtime_ns=info.st_mtime_ns)


def is_whole(folder: Path, files: Iterable[SlideFile], *, read: bool) -> bool:
    """Return whether files of a result are there as they were made. Blocks. `read`: look at their content too."""
    try:
        return all(_is_as_made(folder / file.source_name, file, read=read) for file in files)
    except OSError:
        return False


def _is_as_made(path: Path, file: SlideFile, *, read: bool) -> bool:
    info = path.stat()
    if (info.st_size, info.st_mtime_ns) != (file.size, file.mtime_ns):
        return False
    if not read:
        return True
    with path.open("rb") as handle:
        return _mtime_of(handle) * 10**9 == file.mtime_ns


def _mtime_of(file: BinaryIO) -> int:
    """Return the mtime that a file of a result has: made of its content."""
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return _EARLIEST + int.from_bytes(digest.digest()[:8]) % _SECONDS // 2 * 2
