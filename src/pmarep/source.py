"""Reads the files of slides: off the event loop, in constant memory, and never two versions of a file as one."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from . import hanging
from .errors import SourceAway, SourceError
from .hanging import Looks, Pulse, in_time
from .slides.busy import busy_file
from .slides.model import Slide, SlideFile

CHUNK = 1024 * 1024
"""Bytes of one read: the size at which one connection is fastest (64 KiB costs half the rate)."""

T = TypeVar("T")


class Source:
    """The reading hands of one site. Each site has threads of its own: a read that hangs stalls nobody else's."""

    def __init__(self, name: str, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=f"read-{name}")
        self._looks = Looks()

    def close(self) -> None:
        """Does not wait for a read that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _begin(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def check(self, slide: Slide) -> None:
        """Raises SourceError if a file of the slide is not what it was when it was found, or is being written."""
        await self._looks.look(slide.folder, lambda pulse: self._begin(lambda: _check_all(slide, pulse)))

    async def read(
        self, slide: Slide, file: SlideFile, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Chunks of `length` bytes from `start` (the rest of the file by default).

        The last chunk comes only after another look at the file: if that has changed, SourceError comes instead, so
        that the request which carries the bytes stays incomplete and the server throws it away.
        """
        path = slide.local(file)
        chunks = read_range(path, file, start, file.size - start if length is None else length)
        try:
            while True:
                chunk = await in_time(self._begin(lambda: next(chunks, None)), str(path), hanging.READ_SECONDS)
                if chunk is None:
                    return
                yield chunk
        finally:
            with suppress(ValueError):  # a read that hangs has it still; it closes the file when it comes back
                chunks.close()


def read_range(path: Path, file: SlideFile, start: int, length: int) -> Generator[bytes, None, None]:
    """Chunks of `length` bytes from `start`. Blocks; raises SourceError, also instead of the last chunk."""
    handle = _open(path, file, start)
    try:
        left = length
        while left > CHUNK:
            chunk = _read(handle, path, CHUNK)
            left -= len(chunk)
            yield chunk
        last = b""
        while len(last) < left:
            last += _read(handle, path, left - len(last))
        _check(path, file)
        if last:
            yield last
    finally:
        handle.close()


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


def _failed(path: Path, error: OSError) -> SourceError:
    """A NAS that restarts comes back; other errors stay."""
    words = f"cannot read {path}: {error.strerror or type(error).__name__}"
    away = error.errno in _AWAY or getattr(error, "winerror", None) in _AWAY_WINDOWS
    return SourceAway(words) if away else SourceError(words)


def _compare(found: os.stat_result, path: Path, file: SlideFile) -> None:
    if (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns):
        raise SourceError(f"{path} changed while being sent; it is left for the next run")


def _check(path: Path, file: SlideFile) -> None:
    try:
        _compare(path.stat(), path, file)
    except OSError as error:
        raise _failed(path, error) from None


def _check_all(slide: Slide, pulse: Pulse) -> None:
    for file in slide.files:
        _check(slide.local(file), file)
        pulse.beat()
    held = busy_file(slide)
    if held is not None:
        path, how = held
        raise SourceError(f"{path} is {how}; it is left for the next run")


def _open(path: Path, file: SlideFile, start: int) -> BinaryIO:
    try:
        handle = path.open("rb", buffering=0)
    except OSError as error:
        raise _failed(path, error) from None
    try:
        _compare(os.fstat(handle.fileno()), path, file)
        handle.seek(start)
    except OSError as error:
        handle.close()
        raise _failed(path, error) from None
    except SourceError:
        handle.close()
        raise
    return handle


def _read(handle: BinaryIO, path: Path, want: int) -> bytes:
    try:
        chunk = handle.read(want)
    except OSError as error:
        raise _failed(path, error) from None
    if not chunk:
        raise SourceError(f"{path} became shorter while being sent; it is left for the next run")
    return chunk
