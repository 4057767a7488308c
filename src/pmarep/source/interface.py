"""What every kind of source has to offer: list its slides, read a range of a file, tell whether a file has changed.

Slides are listed by scanners (scanner.py) and read through SourceFiles. Above this line are the chunks in memory and
what sites share (reader.py); below it is where the bytes lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import NamedTuple, Protocol, Self

from ..slides.labels import LabelImages
from ..slides.model import Slide, SlideFile

CHUNK = 256 * 1024
"""Bytes of one read, which each of many streams holds in memory. 1 MiB was no quicker by more than a tenth, 64 KiB half
as quick."""


class FileVersion(NamedTuple):
    """A file as it was when its slide was found. `size` in bytes, `mtime_ns` in nanoseconds since the epoch.

    `path`: on this disk, or at a PMA.core, as a place (`SITE:/Root/folder/file`); `slide`: there, the main file's.
    """

    path: str
    size: int
    mtime_ns: int
    slide: str = ""

    @classmethod
    def of(cls, slide: Slide, file: SlideFile) -> Self:
        if isinstance(slide.folder, str):
            main = f"{slide.folder}/{slide.main.source_name}"
            return cls(f"{slide.folder}/{file.source_name}", file.size, file.mtime_ns, main)
        return cls(str(slide.local(file)), file.size, file.mtime_ns)


class OpenFile(Protocol):
    """A file that is open for reading; used in threads."""

    def read(self, start: int, length: int) -> bytes:
        """Read exactly `length` bytes at `start`. Blocks. Raises SourceError."""

    def close(self) -> None:
        """Close it."""


class ReadAhead(Protocol):
    """Hears what each site is about to read, for sources that bring it near before it is wanted.

    Sites are numbered as the ChunkCache does.
    """

    def join(self, site: int) -> None:
        """Count a site among those that what is near is kept for."""

    def leave(self, site: int) -> None:
        """Keep nothing for a site any more."""

    def announce(self, site: int, slide: Slide, files: Sequence[SlideFile]) -> None:
        """Note that a site is about to read these files of a slide, in this order."""

    def reading(self, site: int, version: FileVersion, start: int, end: int) -> AbstractContextManager[None]:
        """Note that a site reads a range, as long as the block runs."""

    def had(self, site: int, version: FileVersion, index: int) -> None:
        """Note that a site has taken a chunk to its end."""

    def done(self, site: int, slide: Slide) -> None:
        """Note that a site wants nothing of a slide any more."""


class SourceFiles(Protocol):
    """The files of the slides of a source. What is not async may block, and runs in threads.

    Everything raises SourceError where a file is not what it was when its slide was found; SourceAway where it cannot
    be read just now, and may be later.
    """

    @property
    def step(self) -> int | None:
        """Bytes that may be at hand at once, of one file; None: all of it."""

    @property
    def reads_now(self) -> bool:
        """Whether `read_now` mostly brings something, so that no chunk needs to be read before it is wanted."""

    @property
    def ahead(self) -> ReadAhead | None:
        """Who is to hear of what sites are about to read; None: nobody."""

    async def stop(self) -> None:
        """End what is under way, before the connections are closed."""

    def close(self) -> None:
        """Let go of everything, without waiting for what hangs."""

    def at_hand(self, version: FileVersion, start: int, length: int, /) -> AbstractAsyncContextManager[None]:
        """Bring a range to where `open` reads it at once, and keep it there as long as the block runs."""

    def open(self, version: FileVersion) -> OpenFile:
        """Open a file, of which only what is at hand is read."""

    def read_now(self, version: FileVersion, start: int, length: int, /) -> bytes | None:
        """Read a range, of one chunk at most, that can be read without waiting; None: it has to be opened and read."""

    def check(self, version: FileVersion) -> None:
        """Raise SourceError if it is another file by now, as far as that is known here."""

    async def confirm(self, version: FileVersion, /) -> None:
        """Find out, where `check` does not know, that all that was read of a main file is of this version."""

    async def check_slide(self, slide: Slide) -> str:
        """Return the identity of a slide's files as one text, which a later run can compare; "" where there is none.

        Raises SourceError if one of them is not what it was when it was found, or is being written.
        """

    async def check_content(self, slide: Slide) -> None:
        """Raise SourceError if a file of the slide is none that any server could read, as far as that is cheap."""

    async def label_images(self, slide: Slide) -> LabelImages:
        """Look for label and macro images, as far as that is cheap; else they are unknown. Raises SourceError."""
