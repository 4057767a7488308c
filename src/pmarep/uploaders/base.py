"""Define what the uploaders of all storage kinds share: one slide's upload to one site, and what is counted of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Protocol

from ..pmacore import Announcement, Damaged, PmaCore, ProtocolError
from ..slides.model import Slide, SlideFile
from ..source import SiteReader
from ..state.journal import Journal
from ..state.records import RemotePath
from .digests import Digests
from .presigned import PresignedClient
from .transport.scheduler import RequestScheduler
from .upload_ids import UploadIdLease


class Replaced(IntEnum):
    """State of a slide at a site that is being replaced, if nothing more arrives. The worst is last."""

    NONE = 0  # there was none
    INTACT = 1
    MIXED = 2  # partly the old and partly the new slide, perhaps
    DELETED = 3


@dataclass(slots=True)
class TransferCounts:
    """Bytes of one slide: acknowledged in this run, and found at the site from an earlier one.

    `replaced`: the state of the slide that it replaces. `reannounced`: it was announced again, or has to be, so that
    nothing that was sent before is of use. `begun`: bytes have been sent. `earlier`: whole files that an earlier run
    has sent and that are not sent again, though another machine may have sent its own to the same names since.
    """

    bytes: int = 0
    resumed: int = 0
    replaced: Replaced = Replaced.NONE
    reannounced: bool = False
    begun: bool = False
    earlier: frozenset[str] = frozenset()

    def add(self, again: TransferCounts) -> None:
        """Add the counts of another attempt in the same run, which found at the site what the one before had sent."""
        if again.reannounced:
            self.bytes = self.resumed = 0
        self.resumed = max(again.resumed - self.bytes, 0) if again.resumed or again.bytes else self.resumed
        self.bytes += again.bytes
        self.replaced = max(self.replaced, again.replaced)
        self.reannounced = self.reannounced or again.reannounced
        self.begun = self.begun or again.begun
        self.earlier = again.earlier


@dataclass(frozen=True, slots=True)
class UploadContext:
    """The collaborators that all uploads to one site share. `digests` and `journal` serve the other sites too."""

    core: PmaCore
    storage: PresignedClient
    scheduler: RequestScheduler
    source: SiteReader
    digests: Digests
    journal: Journal
    etags_are_md5: set[str] = field(default_factory=set)  # S3 hosts whose ETags have been seen to be MD5


def announced(slide: Slide) -> list[SlideFile]:
    """Return the slide's files in the order in which they are announced, and in which a server answers with their URLs.

    They are sorted by name, since a later run that finishes the upload may find them in another order.
    """
    return sorted(slide.files, key=lambda file: file.path)


@dataclass(frozen=True)
class SlideUpload:
    """The upload of one slide by one announcement.

    `folder` is the announced virtual path; the slide's files lie relative to it. `over`: files of these names are at
    the site already, perhaps from an earlier attempt. `parts` are those that the storage has acknowledged: file, part
    number, ETag (empty for Azure's blocks). `held` is the lease of the upload id. `still_free` is called before the
    main file becomes visible, and raises Overtaken if another slide has taken its name meanwhile; None: nobody asks.
    """

    context: UploadContext
    announcement: Announcement
    folder: str
    slide: Slide
    place: RemotePath
    sent: TransferCounts
    over: bool = False
    parts: dict[str, dict[int, str]] = field(default_factory=dict, repr=False)
    held: UploadIdLease | None = None
    still_free: Callable[[], Awaitable[None]] | None = None

    @cached_property
    def _urls(self) -> dict[str, str | None]:
        files, urls = announced(self.slide), self.announcement.urls
        return {file.path: url for file, url in zip(files, urls, strict=True)} if len(urls) == len(files) else {}

    def url_of(self, file: SlideFile) -> str:
        """Return the presigned URL of a whole file. Raises ProtocolError if the server gave none."""
        url = self._urls.get(file.path)
        if not url:
            given, files = len(self.announcement.urls), len(self.slide.files)
            raise ProtocolError(f"the server gave {given} upload URLs for {files} files, none for {file.path}")
        return url

    def parts_of(self, file: SlideFile) -> Mapping[int, str]:
        """Return the ETags of the file's acknowledged parts by part number."""
        return self.parts.get(file.path, {})

    async def part_sent(self, file: SlideFile, number: int, tag: str, size: int) -> None:
        """Count and record a part of `size` bytes that the storage has acknowledged, so that no later run sends it."""
        self.sent.bytes += size
        await self.context.journal.record_part_sent(self.place, file.path, number, tag)
        self.parts.setdefault(file.path, {})[number] = tag

    async def file_sent(self, file: SlideFile) -> None:
        """Record a file that the storage has acknowledged whole, so that no later run sends it."""
        if self.sent.replaced is Replaced.INTACT:
            self.sent.replaced = Replaced.MIXED
        await self.context.journal.record_file_sent(self.place, file.path)

    async def forget_parts(self, file: SlideFile) -> None:
        """Forget the file's parts: the storage no longer has what it acknowledged."""
        await self.context.journal.forget_parts(self.place, file.path)
        self.parts.pop(file.path, None)

    async def check_before_visible(self, file: SlideFile) -> None:
        """Check that the main file may become visible, to be called before a file is complete.

        Raises Overtaken where the slide's name is no longer free, SourceError where the source has changed.
        """
        if file is self.slide.main:
            await self.context.source.confirm(self.slide)
            if self.still_free is not None:
                await self.still_free()

    @asynccontextmanager
    async def sending_range(self, file: SlideFile, start: int, length: int) -> AsyncIterator[None]:
        """Note that the block sends a range of a file, and where it was damaged look whether that was on the way.

        Raises SourceError if it is the source that has changed.
        """
        self.sent.begun = True
        try:
            yield
        except Damaged:
            await self.context.digests.check_again(self.slide, file, start, length)
            raise


class Uploader(Protocol):
    """Sends the files of one SlideUpload, and counts in its `sent` what the storage has acknowledged."""

    def check(self) -> None:
        """Check before anything is sent that the announcement can be followed. Raises PmaCoreError."""

    async def send(self, file: SlideFile) -> None:
        """Send a file, and record it when the storage has all of it. May be called again after an error.

        Raises PmaCoreError or SourceError.
        """
