"""A version of a file, and reading it: never two versions as one. Everything here blocks, so it runs in threads."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from ..errors import SourceAway, SourceError
from ..slides.content import check_content
from ..slides.folder import os_error_text
from ..slides.in_use import find_file_in_use
from ..slides.model import BrokenFileError, Slide, SlideFile
from ..system.open_files import TOO_MANY_OPEN_FILES
from .identity import FileIdentities, Identity, combine_identities, identity_of
from .stall_detection import Heartbeat

CHUNK = 256 * 1024
"""Bytes of one read, which each of many streams holds in memory. 1 MiB was no quicker by more than a tenth, 64 KiB half
as quick."""


class FileVersion(NamedTuple):
    """A file as it was when its slide was found. `size` in bytes, `mtime_ns` in nanoseconds since the epoch."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, slide: Slide, file: SlideFile) -> Self:
        return cls(str(slide.local(file)), file.size, file.mtime_ns)


def read_range(
    version: FileVersion, start: int, length: int, known: FileIdentities | None = None
) -> Generator[bytes, None, None]:
    """Yield `length` bytes from `start` in chunks. Raises SourceError, also instead of the last chunk."""
    handle = open_version(version, known)
    try:
        while length > CHUNK:
            yield read_at(handle, version, start, CHUNK)
            start, length = start + CHUNK, length - CHUNK
        last = read_at(handle, version, start, length)
        check_version(version, known)
        if last:
            yield last
    finally:
        handle.close()


def open_version(version: FileVersion, known: FileIdentities | None = None) -> BinaryIO:
    """Open a file. Raises SourceError if it is another one by now than when it was found, or first seen by `known`."""
    path = Path(version.path)
    try:
        handle = path.open("rb", buffering=0)
    except OSError as error:
        raise _failed(version, error) from None
    try:
        _compare(os.fstat(handle.fileno()), version, known)
        if known is not None and known.path_outside_roots(handle.fileno(), version.path) is not None:
            raise SourceError(f"{version.path} has become a link out of SRC; --follow-links sends such files")
    except OSError as error:
        handle.close()
        raise _failed(version, error) from None
    except SourceError:
        handle.close()
        raise
    return handle


def read_at(handle: BinaryIO, version: FileVersion, start: int, length: int) -> bytes:
    """Read exactly `length` bytes at `start`, in as many reads as it takes. Raises SourceError."""
    try:
        handle.seek(start)
        found = handle.read(length)
        while len(found) < length:
            more = handle.read(length - len(found))
            if not more:
                raise SourceError(f"{version.path} became shorter while being sent; it is left for the next run")
            found += more
    except OSError as error:
        raise _failed(version, error) from None
    return found


def check_version(version: FileVersion, known: FileIdentities | None = None) -> Identity:
    """Return the identity of a file. Raises SourceError if there is another file by now, or none."""
    try:
        return _compare(Path(version.path).stat(), version, known)
    except OSError as error:
        raise _failed(version, error) from None


def check_slide(slide: Slide, heartbeat: Heartbeat, known: FileIdentities | None = None) -> str:
    """Return the identity of a slide's files as one text, which a later run can compare.

    Raises SourceError if one of them is not what it was when it was found, or is being written.
    """
    identities = []
    for file in slide.files:
        identities.append(check_version(FileVersion.of(slide, file), known))
        heartbeat.beat()
    held = find_file_in_use(slide)
    if held is not None:
        path, how = held
        raise SourceError(f"{path} is {how}; it is left for the next run")
    return combine_identities(identities)


def check_content_of(slide: Slide, heartbeat: Heartbeat) -> None:
    """Raise SourceError if a file of the slide is none that any server could read."""
    try:
        check_content(slide, heartbeat.beat)
    except BrokenFileError as error:
        text = f"no server could read it, so it is not sent: {error}; pmarep slides says what to do"
        raise SourceError(text) from None
    except OSError as error:
        raise _failed(FileVersion.of(slide, slide.main), error) from None


# Linux's and macOS's codes, by name since platforms lack some; and Windows' for network drives: the path or the device
# is gone, the name or the connection no longer there, the time-out of SMB.
_AWAY = {
    getattr(errno, name)
    for name in (
        "EIO",
        "ESTALE",
        "ETIMEDOUT",
        "ENOTCONN",
        "ECONNRESET",
        "EHOSTDOWN",
        "EHOSTUNREACH",
        "ENETDOWN",
        "ENODEV",
    )
    if hasattr(errno, name)
}
_AWAY_WINDOWS = {21, 51, 53, 55, 59, 64, 67, 121, 1167, 1231, 1232, 1236}


class TooManyOpenFiles(SourceAway):
    """Too many files are open, here or on the whole machine. Nothing has been read."""


def _failed(version: FileVersion, error: OSError) -> SourceError:
    """Return the SourceError for an OSError: SourceAway where a network drive may come back."""
    words = f"cannot read {version.path}: {os_error_text(error)}"
    if error.errno in TOO_MANY_OPEN_FILES:
        return TooManyOpenFiles(words)
    return SourceAway(words) if _is_away(version.path, error) else SourceError(words)


def _is_away(path: str, error: OSError) -> bool:
    """Return whether an error means that a disk or network drive is away, and may come back.

    On Windows, open() and read() tell what the C library makes of an error, mostly EINVAL; stat() knows the code.
    """
    said = getattr(error, "winerror", None)
    if error.errno in _AWAY or said in _AWAY_WINDOWS:
        return True
    if sys.platform != "win32" or said is not None:
        return False
    try:
        Path(path).stat()
    except OSError as now:
        return getattr(now, "winerror", None) in _AWAY_WINDOWS
    return error.errno == errno.EINVAL


def _compare(found: os.stat_result, version: FileVersion, known: FileIdentities | None) -> Identity:
    identity = identity_of(found)
    if (found.st_size, found.st_mtime_ns) != (version.size, version.mtime_ns):
        raise SourceError(f"{version.path} changed while being sent; it is left for the next run")
    if known is not None and not known.is_same(version, identity):
        raise SourceError(
            f"{version.path} was replaced while being sent, though its size and time are the same; it is left for the "
            "next run"
        )
    return identity
