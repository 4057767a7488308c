"""What every kind of source has to offer: list its slides, read a range of a file, tell whether a file has changed.

Slides are listed by scanners (scanner.py) and read through SourceFiles. Above this line are the chunks in memory and
what sites share (reader.py); below it is where the bytes lie.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, Self

from ..slides.model import Slide, SlideFile

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


class OpenFile(Protocol):
    """A file that is open for reading; used in threads."""

    def read(self, start: int, length: int) -> bytes:
        """Read exactly `length` bytes at `start`. Blocks. Raises SourceError."""

    def close(self) -> None:
        """Close it."""


class SourceFiles(Protocol):
    """The files of the slides of a source. What is not async may block, and runs in threads.

    Everything raises SourceError where a file is not what it was when its slide was found; SourceAway where it cannot
    be read just now, and may be later.
    """

    step: int | None
    """Bytes that may be at hand at once, of one file; None: all of it."""

    def close(self) -> None:
        """Let go of everything, without waiting for what hangs."""

    def at_hand(self, version: FileVersion, start: int, length: int, /) -> AbstractAsyncContextManager[None]:
        """Bring a range to where `open` reads it at once, and keep it there as long as the block runs."""

    def open(self, version: FileVersion) -> OpenFile:
        """Open a file, of which only what is at hand is read."""

    def check(self, version: FileVersion) -> None:
        """Raise SourceError if it is another file by now, as far as that is known here."""

    async def confirm(self, version: FileVersion, /) -> None:
        """Find out, where `check` does not know, that all that was read of a file is of this version."""

    async def check_slide(self, slide: Slide) -> str:
        """Return the identity of a slide's files as one text, which a later run can compare; "" where there is none.

        Raises SourceError if one of them is not what it was when it was found, or is being written.
        """

    async def check_content(self, slide: Slide) -> None:
        """Raise SourceError if a file of the slide is none that any server could read, as far as that is cheap."""
