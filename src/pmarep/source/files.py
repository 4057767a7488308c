"""Files on this disk: never two versions as one. What is not async blocks, so it runs in threads."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import BinaryIO

from ..errors import SourceAway, SourceError
from ..slides.content import check_content
from ..slides.folder import os_error_text
from ..slides.in_use import find_file_in_use
from ..slides.labels import LabelImages, label_images
from ..slides.model import BrokenFileError, Slide
from ..system.open_files import TOO_MANY_OPEN_FILES
from .identity import FileIdentities, Identity, combine_identities, identity_of
from .interface import CHUNK, FileVersion, ReadAhead
from .stall_detection import FolderProbe, Heartbeat

_MANY = 512  # threads; so many come to be only if nearly all of them hang


class LocalFiles:
    """The files of slides on this disk, or on a network drive: the SourceFiles of local folders.

    `roots`: what is read has to lie in one of these folders, or be one of these files; None: anywhere. `strict`: no
    byte of a file that was written to since it was found is given out, not even where it is written while it is read:
    somebody has looked into it, and let it pass.
    """

    step: int | None = None
    reads_now = False
    ahead: ReadAhead | None = None

    def __init__(self, roots: Sequence[str] | None = None, *, strict: bool = False) -> None:
        self._known = FileIdentities(roots)
        self._strict = strict
        self._probe = FolderProbe()
        self._threads = ThreadPoolExecutor(_MANY, thread_name_prefix="probe")  # in no read slot: few of them hang

    async def stop(self) -> None:
        """Do nothing: a thread that reads cannot be ended."""

    def close(self) -> None:
        """End the threads, without waiting for one that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def at_hand(self, _version: FileVersion, _start: int, _length: int, /) -> AbstractAsyncContextManager[None]:
        """Do nothing: what is on this disk is at hand."""
        return _NOTHING

    def open(self, version: FileVersion) -> LocalFile:
        """Open a file. Raises SourceError if it is another one by now than when it was found, or was first read."""
        return LocalFile(open_version(version, self._known), version, self._known if self._strict else None)

    def read_now(self, _version: FileVersion, _start: int, _length: int, /) -> bytes | None:
        """Read nothing: a network drive may hang."""
        return None

    def check(self, version: FileVersion) -> None:
        """Raise SourceError if there is another file by now, or none."""
        check_version(version, self._known)

    async def confirm(self, _version: FileVersion, /) -> None:
        """Do nothing: `check` knows."""

    async def check_slide(self, slide: Slide) -> str:
        """Return the identity of a slide's files as one text, which a later run can compare.

        Raises SourceError if one of them is not what it was when it was found, or is being written.
        """

        def begin(heartbeat: Heartbeat) -> asyncio.Future[str]:
            return asyncio.get_running_loop().run_in_executor(self._threads, check_slide, slide, heartbeat, self._known)

        return await self._probe.run(Path(slide.folder), begin)

    async def check_content(self, slide: Slide) -> None:
        """Raise SourceError if a file of the slide is none that any server could read."""

        def begin(heartbeat: Heartbeat) -> asyncio.Future[None]:
            return asyncio.get_running_loop().run_in_executor(self._threads, check_content_of, slide, heartbeat)

        await self._probe.run(Path(slide.folder), begin)

    async def label_images(self, slide: Slide) -> LabelImages:
        """Look for label and macro images. Raises SourceError."""

        def begin(heartbeat: Heartbeat) -> asyncio.Future[LabelImages]:
            return asyncio.get_running_loop().run_in_executor(self._threads, label_images_of, slide, heartbeat)

        return await self._probe.run(Path(slide.folder), begin)


_NOTHING = nullcontext()


class LocalFile:
    """An open file on this disk. `known`: each read is followed by a look whether the file is still the same."""

    def __init__(self, handle: BinaryIO, version: FileVersion, known: FileIdentities | None = None) -> None:
        self._handle = handle
        self._version = version
        self._known = known

    def read(self, start: int, length: int) -> bytes:
        """Read exactly `length` bytes at `start`. Raises SourceError."""
        found = read_at(self._handle, self._version, start, length)
        if self._known is not None:
            try:
                _compare(os.fstat(self._handle.fileno()), self._version, self._known)
            except OSError as error:
                raise _failed(self._version, error) from None
        return found

    def close(self) -> None:
        """Close it."""
        self._handle.close()

    @property
    def closed(self) -> bool:
        """Return whether it is closed."""
        return self._handle.closed


def read_range(version: FileVersion, start: int, length: int) -> Generator[bytes, None, None]:
    """Yield `length` bytes from `start` in chunks. Raises SourceError, also instead of the last chunk."""
    handle = open_version(version)
    try:
        while length > CHUNK:
            yield read_at(handle, version, start, CHUNK)
            start, length = start + CHUNK, length - CHUNK
        last = read_at(handle, version, start, length)
        check_version(version)
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


def label_images_of(slide: Slide, heartbeat: Heartbeat) -> LabelImages:
    """Look for label and macro images. Raises SourceError."""
    try:
        return label_images(slide, heartbeat.beat)
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
