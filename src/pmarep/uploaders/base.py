"""What every storage kind has in common: one slide on its way to one site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Protocol, TypeVar

from ..pmacore import Announcement, Damaged, PmaCore, ProtocolError
from ..reading import SiteReader
from ..slides.model import Slide, SlideFile
from ..state.journal import Journal, RemotePath
from .digests import Digests
from .presigned import PresignedClient
from .transport.body import HedgeMode, UploadBody
from .transport.scheduler import RequestScheduler
from .upload_ids import HeldId

T = TypeVar("T")


class Replaced(IntEnum):
    """What a site has, if nothing more arrives, of a slide that is being replaced. The worst is last."""

    NONE = 0  # there was no other
    INTACT = 1
    MIXED = 2  # with the new one, perhaps
    DELETED = 3


@dataclass(slots=True)
class TransferCounts:
    """Bytes of one slide: acknowledged in this run, and found at the site from an earlier one.

    `replaced`: what has become of the slide that it replaces. `reannounced`: it was announced again, or has to be, so
    that nothing that was sent before is of use any more. `begun`: bytes are under way, or were. `earlier`: whole files
    that an earlier run has sent and that count as there: another machine may have sent its own to the same name since.
    """

    bytes: int = 0
    resumed: int = 0
    replaced: Replaced = Replaced.NONE
    reannounced: bool = False
    begun: bool = False
    earlier: frozenset[str] = frozenset()

    def add(self, again: TransferCounts) -> None:
        """Another attempt in the same run: what it found at the site was mostly sent by the one before."""
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
    """What it takes to send to one site, for all its slides. `digests` and `journal` serve other sites too."""

    core: PmaCore
    storage: PresignedClient
    scheduler: RequestScheduler
    source: SiteReader
    digests: Digests
    journal: Journal
    etags_are_md5: set[str] = field(default_factory=set)  # hosts of S3 that have shown it


def announced(slide: Slide) -> list[SlideFile]:
    """Its files in the order in which they are announced, and in which a server answers with their URLs.

    By their names: an upload may be finished by a later run, to which somebody has named them in another order.
    """
    return sorted(slide.files, key=lambda file: file.path)


async def _free() -> None:
    """Nobody else sends there."""


@dataclass(frozen=True)
class SlideUpload:
    """One slide and its announcement. `folder` is the announced virtual path; the slide's files lie relative to it.

    `parts` are those that the storage has acknowledged: file, part number, ETag (empty for Azure's blocks). `over`:
    files of these names are there already, be they ours. `held`: the upload's id. `still_free` is asked before the
    main file becomes visible, and raises Overtaken where another slide has come to its name.
    """

    context: UploadContext
    announcement: Announcement
    folder: str
    slide: Slide
    place: RemotePath
    sent: TransferCounts
    over: bool = False
    parts: dict[str, dict[int, str]] = field(default_factory=dict, repr=False)
    held: HeldId | None = None
    still_free: Callable[[], Awaitable[None]] = _free

    @cached_property
    def _urls(self) -> dict[str, str | None]:
        files, urls = announced(self.slide), self.announcement.urls
        return {file.path: url for file, url in zip(files, urls, strict=True)} if len(urls) == len(files) else {}

    def url_of(self, file: SlideFile) -> str:
        """The presigned URL of a whole file. Raises ProtocolError where the server gave none."""
        url = self._urls.get(file.path)
        if not url:
            given, files = len(self.announcement.urls), len(self.slide.files)
            raise ProtocolError(f"the server gave {given} upload URLs for {files} files, none for {file.path}")
        return url

    def parts_of(self, file: SlideFile) -> Mapping[int, str]:
        return self.parts.get(file.path, {})

    async def part_sent(self, file: SlideFile, number: int, tag: str) -> None:
        """The storage has acknowledged a part; from now on the next run can rely on it."""
        await self.context.journal.part_sent(self.place, file.path, number, tag)
        self.parts.setdefault(file.path, {})[number] = tag

    async def forget_parts(self, file: SlideFile) -> None:
        """The storage no longer has what it acknowledged."""
        await self.context.journal.forget_parts(self.place, file.path)
        self.parts.pop(file.path, None)

    async def before_visible(self, file: SlideFile) -> None:
        """To be called before a file is complete at the site. Raises Overtaken."""
        if file is self.slide.main:
            await self.still_free()

    async def send_range(
        self,
        put: Callable[[UploadBody], Awaitable[T]],
        file: SlideFile,
        start: int,
        length: int,
        hedge: Callable[[], HedgeMode],
    ) -> T:
        """Send a range of a file, again if it was damaged on the way, unless it is the source that has changed."""

        async def guarded(body: UploadBody) -> T:
            self.sent.begun = True
            try:
                return await put(body)
            except Damaged:
                await self.context.digests.check_again(self.slide, file, start, length)
                raise

        return await self.context.scheduler.run(guarded, length, hedge=hedge)


class Uploader(Protocol):
    """Sends the files of one upload, and counts what has arrived in its `sent`."""

    def check(self) -> None:
        """Before anything is sent: can the announcement be followed? Raises PmaCoreError."""

    async def send(self, file: SlideFile) -> None:
        """Returns when the storage has the whole file. Raises PmaCoreError or SourceError; may be called again."""
