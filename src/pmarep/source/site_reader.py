"""The reader of one site: gives it the bytes of slides, from memory where another site has just read them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import nullcontext

from ..slides.model import Slide, SlideFile
from .interface import CHUNK, FileVersion
from .reader import SharedReader


class SiteReader:
    """Reads files for one site: from memory what other sites have just read, else from the disk."""

    def __init__(self, reader: SharedReader) -> None:
        self._reader = reader
        self._site = reader.chunks.add_site()
        self._ahead = reader.ahead
        if self._ahead is not None:
            self._ahead.join(self._site)

    def close(self) -> None:
        """Stop keeping chunks for this site."""
        self._reader.chunks.remove_site(self._site)
        if self._ahead is not None:
            self._ahead.leave(self._site)

    def announce(self, slide: Slide, files: Sequence[SlideFile]) -> None:
        """Note that these files of a slide will be read soon, in this order."""
        if self._ahead is not None:
            self._ahead.announce(self._site, slide, files)

    def done(self, slide: Slide) -> None:
        """Note that nothing of a slide will be read any more."""
        if self._ahead is not None:
            self._ahead.done(self._site, slide)

    async def confirm(self, slide: Slide) -> None:
        """Raise SourceError if what was read of the main file until now may be another version of it."""
        await self._reader.confirm(FileVersion.of(slide, slide.main))

    async def check(self, slide: Slide) -> str:
        """Return the identity of a slide's files as one text, which a later run can compare.

        Raises SourceError if one of them is not what it was when it was found, or is being written.
        """
        return await self._reader.check_slide(slide)

    async def check_content(self, slide: Slide) -> None:
        """Raise SourceError if a file of the slide is none that any server could read."""
        await self._reader.check_content(slide)

    async def read(
        self, slide: Slide, file: SlideFile, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield `length` bytes from `start` (the rest of the file by default), in chunks.

        The last chunk comes only after another look at the file: if that has changed, SourceError comes instead, so
        that the request which carries the bytes stays incomplete and the server throws it away.
        """
        reader, version = self._reader, FileVersion.of(slide, file)
        end = file.size if length is None else start + length
        whole = start == 0 and end == file.size
        if start >= end:
            await reader.check(version, whole=whole)
        ahead = nullcontext() if self._ahead is None else self._ahead.reading(self._site, version, start, end)
        try:
            with reader.lease(version), ahead:
                while start < end:
                    index, low = divmod(start, CHUNK)
                    chunk = await reader.chunk(version, index)
                    high = min(low + end - start, len(chunk))
                    start += high - low
                    if start < end:
                        reader.read_ahead(version, index + 1)
                    else:
                        await reader.check(version, whole=whole)
                    reader.chunks.mark_sent((version, index), self._site, high - low, len(chunk))
                    if self._ahead is not None and high == len(chunk):
                        self._ahead.had(self._site, version, index)
                    yield chunk if high - low == len(chunk) else chunk[low:high]
        finally:
            reader.unpin(version, start, min(CHUNK, max(end - start, 0)))  # what was read ahead in vain
