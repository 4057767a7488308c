"""Brings one slide to one site: announce or resume, send, look, remember."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import PmarepError
from ..journal import Entry, Journal, signature
from ..pmacore import Announcement, FileToSend, NotFound, PermissionDenied, PmaCore, PmaCoreError, Refused
from ..slides import Slide, SlideFile
from ..source import Source
from ..uploaders import Clock, Link, Shipment, Uploader, uploader_for
from .decide import Action, Decision, Destination
from .options import Verify
from .remote import Remote
from .verify import check_arrived, check_status


@dataclass(slots=True)
class Sent:
    """Bytes of one slide: acknowledged in this run, and found at the site from an earlier one."""

    bytes: int = 0
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class Shipper:
    """What it takes to send slides to one site."""

    core: PmaCore
    remote: Remote
    link: Link
    source: Source
    journal: Journal
    verify: Verify
    clock: Clock

    async def ship(self, slide: Slide, at: Destination, decision: Decision, sent: Sent) -> None:
        """Raises PmarepError; `sent` says how far it came. The slide is at the site when this returns."""
        upload, done = await self._resume(slide, decision.entry)
        if upload is None:
            upload = await self._begin(slide, at, decision)
        try:
            await self._send(slide, at, upload, done, sent)
        except NotFound:
            # The server has forgotten the upload (a restart, an administrator): once more from the start.
            sent.bytes = sent.resumed = 0
            upload = await self._begin(slide, at, decision)
            await self._send(slide, at, upload, frozenset(), sent)
        check_status(await self.core.upload_status(upload.id))
        if self.verify is not Verify.NONE:
            await check_arrived(self.core, at.path, slide, self.clock)
        await self.journal.sent(at.place, signature(slide))

    async def _resume(self, slide: Slide, entry: Entry | None) -> tuple[Announcement | None, frozenset[str]]:
        """The unfinished upload and the files that it has, if the server still knows it as ours."""
        if entry is None or entry.upload is None:
            return None, frozenset()
        upload = Announcement.read(json.loads(entry.upload), "an announcement in the journal")
        try:
            complete = (await self.core.upload_status(upload.id)).complete
        except Refused:
            return None, frozenset()
        if complete.keys() != {file.path for file in slide.files}:
            return None, frozenset()  # a server that does not say, or one that has given the id to another upload
        return upload, frozenset(path for path in entry.files if complete[path])

    async def _begin(self, slide: Slide, at: Destination, decision: Decision) -> Announcement:
        await self.source.check(slide)
        await self.remote.make(at.folder)
        upload = await self._announce(slide, at, decision.over)
        await self.journal.sending(at.place, signature(slide), upload.model_dump_json(by_alias=True))
        return upload

    async def _announce(self, slide: Slide, at: Destination, over: str | None) -> Announcement:
        files = [FileToSend(file.path, file.size, file is slide.main) for file in slide.files]
        try:
            return await self.core.announce(at.folder, files)
        except PermissionDenied:
            raise
        except Refused:
            if over is None:
                raise
        # A server that does not write over slides: the old one has to go first.
        await self.core.delete_slide(over)
        return await self.core.announce(at.folder, files)

    async def _send(
        self, slide: Slide, at: Destination, upload: Announcement, done: frozenset[str], sent: Sent
    ) -> None:
        shipment = Shipment(self.core, upload, at.folder, slide, self.source, self.link)
        uploader = uploader_for(shipment)
        left = [file for file in slide.files if file.path not in done]
        sent.resumed += slide.size - sum(file.size for file in left)
        await self._send_files(uploader, at, [file for file in left if file is not slide.main], sent)
        if slide.main in left:
            await self.source.check(slide)
            await self._send_files(uploader, at, [slide.main], sent)

    async def _send_files(self, uploader: Uploader, at: Destination, files: Sequence[SlideFile], sent: Sent) -> None:
        async def send(file: SlideFile) -> None:
            await uploader.send(file)
            await self.journal.file_sent(at.place, file.path)
            sent.bytes += file.size

        try:
            async with asyncio.TaskGroup() as group:
                for file in files:
                    group.create_task(send(file))
        except BaseExceptionGroup as errors:
            raise weightiest(errors) from None


def weightiest(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that tells most: a bug before all, then what concerns the whole site, then the first."""
    found: list[BaseException] = []
    for error in errors.exceptions:
        found.append(weightiest(error) if isinstance(error, BaseExceptionGroup) else error)
    return min(found, key=_weight)


def _weight(error: BaseException) -> int:
    if not isinstance(error, PmarepError):
        return 0
    return 1 if isinstance(error, PmaCoreError) and error.site_wide else 2


def needs_sending(action: Action) -> bool:
    return action in (Action.SEND, Action.RESUME, Action.REPLACE)
