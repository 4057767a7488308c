"""Compare what is in slides: the servers' fingerprints, or a SHA-256 of each file, read from each side at its own pace.

Only slides with the same names and sizes at two sides or more are looked at. Nothing of them is stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Protocol

from ..aio import together
from ..daemon_thread import in_thread
from ..errors import PmarepError, Remedy
from ..pmacore import PmaCore, ProtocolError, ServerError, TransferBroken
from ..retry import Retry
from ..source import FileVersion
from ..source.files import read_range
from .rows import Content
from .table import FileEntry, SlideTable, Stored, Told, slide_key

AT_ONCE = 8
"""Fingerprints that are asked for at once of one server: it may read the whole slide for each."""

READS = 4
"""Slides that are read at once from one server: over a long line one file does not fill it."""

LOCAL_READS = 2
"""Slides that are read at once from this machine: a disk with one head is no quicker with more."""

FAILURES = 3
"""Slides in a row that a side fails to give, for reasons that are about the side: then it is not asked any more."""


@dataclass
class ContentProgress:
    """How far the contents of one side are known: slides and bytes of those that are wanted."""

    slides: int = 0
    bytes: int = 0
    all_slides: int = 0
    all_bytes: int = 0


class Contents(Protocol):
    """Finds out about the content of slides of one side. `at_once`: so many."""

    at_once: int

    async def content(self, slide: Stored, progress: ContentProgress) -> Content:
        """Return the content of a slide. Raises PmarepError."""


class Fingerprints:
    """The fingerprints of a server: how it computes them is its own."""

    at_once = AT_ONCE

    def __init__(self, core: PmaCore) -> None:
        self._core = core

    async def content(self, slide: Stored, progress: ContentProgress) -> Content:
        found = Content({"": (await self._core.fingerprint(slide.where)).encode("utf-8", "surrogatepass")})
        progress.bytes += slide.size
        return found


class RemoteBytes:
    """A SHA-256 of each file at a server, which is downloaded for it."""

    at_once = READS

    def __init__(self, core: PmaCore) -> None:
        self._core = core
        self._retry = Retry()

    async def content(self, slide: Stored, progress: ContentProgress) -> Content:
        return Content({slide_key(one.path): await self._of(slide, one, progress) for one in slide.files})

    async def _of(self, slide: Stored, file: FileEntry, progress: ContentProgress) -> bytes:
        if file.path.startswith("/"):
            raise ProtocolError(f"the server says that {file.path} belongs to it, which lies elsewhere")
        attempts = self._retry.attempts()
        while True:
            with attempts:
                return await self._read(slide, file, progress)
            await attempts.pause()

    async def _read(self, slide: Stored, file: FileEntry, progress: ContentProgress) -> bytes:
        digest, left = hashlib.sha256(), file.size
        try:
            async with self._core.download(slide.where, file.path, file.size) as chunks:
                async for chunk in chunks:
                    left -= len(chunk)
                    progress.bytes += len(chunk)
                    if left < 0:
                        raise ProtocolError(f"{file.path} has more bytes than the server says")
                    digest.update(chunk)
            if left:
                raise TransferBroken(f"reading {file.path} ended {left} bytes too early")
        except BaseException:
            progress.bytes -= file.size - left
            raise
        return digest.digest()


class LocalBytes:
    """A SHA-256 of each file of this machine."""

    at_once = LOCAL_READS

    async def content(self, slide: Stored, progress: ContentProgress) -> Content:
        digests: dict[str, bytes] = {}

        def read() -> None:
            for file in slide.files:
                digests[slide_key(file.path)] = _sha256(slide, file, progress)

        await in_thread(read)
        return Content(digests)


def _sha256(slide: Stored, file: FileEntry, progress: ContentProgress) -> bytes:
    digest = hashlib.sha256()
    version = FileVersion(str(Path(slide.where) / (file.local_name or file.path)), file.size, file.mtime_ns)
    for chunk in read_range(version, 0, file.size):
        digest.update(chunk)
        progress.bytes += len(chunk)
    return digest.digest()


def want_contents(table: SlideTable, sides: int) -> list[ContentProgress]:
    """Note in the table which contents are to be compared; return the progress of each side."""
    for row in table.rows():
        there = sorted((one for one in row if one.told is Told.FILES), key=attrgetter("digest"))
        for _, alike in groupby(there, attrgetter("digest")):
            if len(group := list(alike)) > 1:
                table.want_content(group)
    found = []
    for side in range(sides):
        slides, size = table.wanted_content(side)
        found.append(ContentProgress(all_slides=slides, all_bytes=size))
    return found


async def read_contents(table: SlideTable, side: int, contents: Contents, progress: ContentProgress) -> None:
    """Find out the contents of all wanted slides of a side, several at once.

    What cannot be had is noted; of a side that fails again and again, for all that is left.
    """
    waiting: Iterator[Stored] = table.without_content(side)
    failures, given_up = 0, ""

    async def take() -> None:
        nonlocal failures, given_up
        for slide in waiting:
            found = Content(error=given_up)
            if not given_up:
                try:
                    found = await contents.content(slide, progress)
                    failures = 0
                except PmarepError as error:
                    found = Content(error=str(error))
                    failures += _is_about_the_side(error)
                    if error.remedy is Remedy.STOP_SITE or failures >= FAILURES:
                        given_up = str(error)
            table.put_content(slide, found.pack())
            progress.slides += 1

    await together(take() for _ in range(contents.at_once))


def _is_about_the_side(error: PmarepError) -> bool:
    if isinstance(error, ServerError) and error.may_be_refusal:
        return False
    return error.remedy not in (Remedy.GIVE_UP_SLIDE, Remedy.ANNOUNCE)
