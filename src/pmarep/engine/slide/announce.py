"""Announce a slide to a server, or take up the unfinished upload of an earlier run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial

from ...aio import together
from ...clock import Clock
from ...pmacore import Announcement, FileToSend, PmaCoreError, Refused, ServerError, StorageKind
from ...slides import Slide
from ...state.records import SENT
from ...uploaders import (
    NO_SESSION,
    Replaced,
    TransferCounts,
    UploadContext,
    UploadIdLease,
    UploadIds,
    announced,
    is_live,
)
from ..remote_listing import RemoteListing
from ..site_events import SiteEvents
from .announced_upload import AnnouncedUpload, announcement_in, bytes_at_site, files_whole, is_of_another, sizes_of
from .decide import Decision, Destination
from .deletion import DeletionGuard, says_that_it_exists
from .verify import SlideVerifier


@dataclass(frozen=True, slots=True)
class UploadAnnouncer:
    """Announces the slides of one site.

    `ids`: which slide holds which upload id at the site's server. `deletions`: whether a slide may still be deleted to
    make room, at servers that do not write over slides.
    """

    context: UploadContext
    listings: RemoteListing
    verifier: SlideVerifier
    clock: Clock
    ids: UploadIds
    events: SiteEvents
    deletions: DeletionGuard = field(default_factory=DeletionGuard)
    _one_deletion: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def resume(
        self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts
    ) -> AnnouncedUpload | None:
        """Take up the unfinished upload of an earlier run; None where the server no longer has it."""
        entry = decision.entry
        if entry is None or entry.upload is None:
            return None
        announcement = announcement_in(entry.upload)
        if announcement is None:
            return None
        source = await self.context.source.check(slide)
        if entry.source not in (None, source):
            reason = "its files were replaced here since they were sent, though sizes and times are the same"
            if lost := bytes_at_site(slide, entry):
                self.events.slide_restarted(slide, lost, reason)
            return None
        logins = self.context.core.logins
        if entry.files == {file.path for file in slide.files}:  # perhaps it is there; who looks will see
            return AnnouncedUpload(announcement, self._lease(slide, at, announcement, NO_SESSION), entry.files, {})
        if announcement.kind is StorageKind.FILESYSTEM:
            if not entry.files:
                return None  # nothing is lost, and the id may be another slide's by now
            if self.ids.session_of(str(announcement.id)) not in (None, logins):
                self.events.slide_restarted(slide, bytes_at_site(slide, entry), "the session of the upload has ended")
                return None
        complete, reason = await self._state_of(slide, announcement)
        if complete is not None and is_of_another(slide, announcement, entry, complete, decision.over):
            complete, reason = None, "the server has given the id of the earlier upload to another one"
        if complete is not None:
            held = self._lease(slide, at, announcement, logins)
            if self.ids.hold(held):
                return AnnouncedUpload(announcement, held, files_whole(entry, complete), entry.parts)
            reason = "the server has given the id of the earlier upload to another one"
        if announcement.kind is StorageKind.AZURE:
            return await self.announce_again(slide, at, decision, sent)
        if lost := bytes_at_site(slide, entry):
            self.events.slide_restarted(slide, lost, reason)
        return None

    def _lease(self, slide: Slide, at: Destination, announcement: Announcement, session: int) -> UploadIdLease:
        return UploadIdLease(str(announcement.id), slide, session, partial(self._look_again, slide, at))

    async def _state_of(self, slide: Slide, announcement: Announcement) -> tuple[dict[str, bool] | None, str]:
        """Ask which files of an announced upload the server has; None and a reason where it can no longer be used."""
        now = self.context.core.server_time or self.clock.local().astimezone(UTC)
        if not all(is_live(url, now) for url in announcement.every_url):
            return None, "the upload URLs of the earlier run have expired"
        try:
            complete = (await self.context.core.upload_status(announcement.id)).complete
        except (Refused, ServerError) as error:
            if isinstance(error, ServerError) and not error.may_be_refusal:
                raise
            return None, "the server no longer knows the upload of the earlier run"
        if complete.keys() != {file.path for file in slide.files}:
            # A server that does not say, or one that has given the id to another upload.
            return None, "the server does not say what it has of the earlier upload"
        return complete, ""

    async def begin(self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts) -> AnnouncedUpload:
        source = await self.context.source.check(slide)
        await self.listings.make_way(at.folder, slide)
        announcement, held = await self._ask(slide, at, decision, sent)
        with self._released_on_error(held):
            await self.context.journal.record_announced(
                at.place,
                self.context.journal.signature(slide),
                announcement.id,
                announcement.model_dump_json(by_alias=True),
                replaces=decision.over is not None,
                source=source,
                stamp=decision.stamp,
                sizes=sizes_of(slide),
            )
        return AnnouncedUpload(announcement, held, frozenset(), {})

    async def announce_again(
        self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts
    ) -> AnnouncedUpload:
        """Get new URLs. Azure keeps the blocks sent before under the blob's name; elsewhere nothing of them is left."""
        entry = await self.context.journal.entry(at.place)
        announcement = None
        if entry is not None and entry.upload is not None:
            announcement = announcement_in(entry.upload)
        if entry is None or announcement is None or announcement.kind is not StorageKind.AZURE:
            return await self.begin(slide, at, decision, sent)
        await self.context.source.check(slide)
        announcement, held = await self._ask(slide, at, decision, sent)
        with self._released_on_error(held):
            text = announcement.model_dump_json(by_alias=True)
            await self.context.journal.record_reannounced(at.place, announcement.id, text)
            complete = (await self.context.core.upload_status(announcement.id)).complete
        return AnnouncedUpload(announcement, held, files_whole(entry, complete), entry.parts)

    async def _ask(
        self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts
    ) -> tuple[Announcement, UploadIdLease]:
        """Announce a slide and hold its id.

        The id may show that the server has restarted: then slides that have just ended may have sent their files to
        this one, and are read back.
        """
        logins = self.context.core.logins
        announcement, held, suspects = await self.ids.announce(slide, lambda: self._announce(slide, at, decision, sent))
        held.session, held.look_again = logins, partial(self._look_again, slide, at)
        with self._released_on_error(held):
            await together(suspect.look_again() for suspect in suspects)
        return announcement, held

    async def _look_again(self, slide: Slide, at: Destination) -> None:
        """Read back what has been said to be there. Until it is found right, the next run does not believe it."""
        journal = self.context.journal
        entry = await journal.entry(at.place)
        if entry is not None and entry.state == SENT:
            await journal.record_broken(at.place, entry.signature, entry.stamp)
        right = await self.verifier.look_again(slide)
        if right and entry is not None and entry.state == SENT:
            await journal.record_sent(at.place, entry.signature, entry.stamp, source=entry.source)

    @contextmanager
    def _released_on_error(self, held: UploadIdLease) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.ids.release(held)
            raise

    async def _announce(self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts) -> Announcement:
        files = [FileToSend(file.path, file.size, file is slide.main) for file in announced(slide)]
        try:
            return await self.context.core.announce(at.folder, files)
        except Refused as error:
            over = decision.over
            if over is None or not says_that_it_exists(error, (over, at.path, slide.main.path)):
                raise
            if not decision.permitted:
                raise Refused(str(error), "pmarep push --existing overwrite deletes what is there first") from None
            async with self._one_deletion:
                return await self._make_room(slide, at, over, files, error, sent)

    async def _make_room(
        self,
        slide: Slide,
        at: Destination,
        over: str,
        files: Sequence[FileToSend],
        error: Refused,
        sent: TransferCounts,
    ) -> Announcement:
        """Delete the old slide at a server that does not write over slides, and announce ours again."""
        if self.deletions.ended is not None:
            raise Refused(str(error), f"nothing more is deleted in this run, since {self.deletions.ended}")
        await self.context.source.check(slide)
        for file in slide.files:  # what cannot be read cannot take the place of anything
            await self.context.digests.sha256(slide, file)
        refused: Refused | None = None
        try:
            await self.context.core.delete_slide(over)
        except Refused as problem:  # it is gone already where the answer to a first attempt got lost
            refused = problem
        else:
            sent.replaced = Replaced.DELETED
        try:
            return await self.context.core.announce(at.folder, files)
        except PmaCoreError:
            self.deletions.in_vain(over)
            if refused is not None:
                raise refused from None
            raise
