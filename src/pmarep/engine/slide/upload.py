"""Bring one slide to one site: announce or resume it, send its files, verify, record."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

from ...aio import together
from ...errors import Remedy, SourceError
from ...events import SlideStatus
from ...pmacore import (
    AnnounceAgain,
    Announcement,
    NotArrived,
    Overtaken,
    PermissionDenied,
    PmaCoreError,
    Refused,
    ServerError,
    StorageKind,
    Unreadable,
    UploadDoubtful,
    UploadStatus,
)
from ...slides import Slide
from ...uploaders import (
    Replaced,
    SlideUpload,
    TransferCounts,
    UploadContext,
    uploader_for,
)
from ..options import Verify
from ..remote_listing import RemoteListing
from ..site_events import SiteEvents
from .announce import UploadAnnouncer
from .announced_upload import AnnouncedUpload, announcement_in
from .arrival import check_status
from .decide import Decision, Destination
from .job import SlideJob
from .ownership import diagnose
from .verify import SlideVerifier

log = logging.getLogger(__name__)

LEAVES = {
    Replaced.NONE: "",
    Replaced.INTACT: "the slide that was there before is still there, unharmed",
    Replaced.MIXED: "what this site shows may be partly the old and partly the new slide until the next run has "
    "finished it",
    Replaced.DELETED: "the slide that was there before has been deleted to make room, so this site has none now; "
    "the next run sends it",
}
"""For people: what a failure to replace a slide leaves."""

ANNOUNCEMENTS = 3
"""How often a slide is announced in one run. URLs that expire faster than a slide can be sent would never end."""

DOUBTS = 10
"""How often the end of a session puts an upload in doubt in one attempt. Where sessions end more often than that, the
server does not restart all the time: somebody ends them."""


@dataclass(frozen=True, slots=True)
class SlideUploader:
    """Uploads slides to one site: announces or resumes them, sends their files, verifies and records them.

    `keeps_others`: a slide that comes to the name of ours while that is being sent is left alone. `hashed`: the SHA-256
    of all files will be wanted when a slide has arrived.
    """

    context: UploadContext
    listings: RemoteListing
    verifier: SlideVerifier
    verify: Verify
    announcer: UploadAnnouncer
    keeps_others: bool
    events: SiteEvents
    hashed: bool = False

    async def upload(self, job: SlideJob, at: Destination, decision: Decision, *, again: bool = False) -> None:
        """Bring a slide to the site; it is there when this returns. `job.attempt` counts its bytes.

        `again`: an upload that can be resumed was announced by this run. Raises PmarepError; Overtaken where another
        slide has come to its name meanwhile.
        """
        slide, sent = job.slide, job.attempt
        sent.replaced = _old(decision)
        if not again and decision.entry is not None:  # before anything can fail: the next attempt is another one
            sent.earlier = decision.entry.files
        upload = await self.announcer.resume(slide, at, decision, sent)
        resumed = upload is not None and not again
        sent.earlier &= frozenset() if upload is None else upload.done
        if upload is None:
            sent.reannounced = decision.entry is not None  # its upload is lost
            upload = await self.announcer.begin(slide, at, decision, sent)
            sent.reannounced = True
        left, doubts = ANNOUNCEMENTS - 1, DOUBTS
        try:
            while True:
                try:
                    await self._send(slide, at, upload, sent, decision)
                    await self._verify_and_record(job, at, upload)
                    self.announcer.ids.done(upload.held)
                    return
                except UploadDoubtful as doubt:
                    last = doubts <= 0 or self.context.core.sessions_are_short
                    renewed, why = await self._after_doubt(at, upload, last=last), str(doubt)
                    doubts -= 1
                except PmaCoreError as error:
                    if not left or not _announcing_may_help(error, resumed):
                        raise
                    renewed, why = None, str(error)
                    left -= 1
                resumed = False
                if renewed is None:
                    self._count_as_lost(slide, upload.announcement, sent, why)
                    self.announcer.ids.release(upload.held)
                    renewed = await self.announcer.announce_again(slide, at, decision, sent)
                upload = renewed
                sent.earlier &= upload.done
        finally:
            self.announcer.ids.release(upload.held)

    async def _verify_and_record(self, job: SlideJob, at: Destination, upload: AnnouncedUpload) -> None:
        """Verify a slide of which all has been sent, and record that it is there.

        Raises PmarepError; AnnounceAgain where it is not there, and the server has lost the upload: what it says of
        that id is about another slide, or nothing.
        """
        slide, sent = job.slide, job.attempt
        if upload.done >= {file.path for file in slide.files} and not await self.listings.shows(at.folder, at.path):
            raise AnnounceAgain("what an earlier run had sent of it is no longer there")
        if self.hashed:  # now, so that hardly any time passes between the look at the slide and the journal
            await self._hash(slide)
        journal, held, level = self.context.journal, upload.held, self.verify
        status = await self._last_status(upload)
        if held.late_requests:
            await asyncio.wait(held.late_requests)
            level = Verify.DEEP
        elif status is None and level is Verify.NONE:
            level = Verify.SIZE
        try:
            if status is not None:
                check_status(status, slide)
            stamp = await self.verifier.inspect(slide, level)
            if level in (Verify.SIZE, Verify.FINGERPRINT):
                await self._prove_earlier(slide, sent.earlier & upload.done)
        except NotArrived as error:
            if (status is None or held.late_requests) and not isinstance(error, Unreadable):
                raise AnnounceAgain(f"the server has lost the upload, and {error}") from None
            wrong = await diagnose(error, slide, at, self.verifier, journal, just_sent=True)
            if wrong is not None:
                raise NotArrived(f"after sending, {wrong}") from None
            stamp = await self.verifier.stamp(slide)
        await self.listings.look_for(at.folder, slide)
        held.check()
        await self.events.slide_arrived(job, SlideStatus.SENT, sent)
        entry = await journal.entry(at.place)
        source = None if entry is None else entry.source
        await journal.record_sent(at.place, journal.signature(slide), stamp, source=source)
        try:
            held.check()
        except AnnounceAgain:  # what comes next may fail
            await journal.record_broken(at.place, journal.signature(slide))
            raise

    async def _prove_earlier(self, slide: Slide, files: frozenset[str]) -> None:
        """Read back what an earlier run has sent of a slide of several files.

        Until the main file came, nobody could see whether another machine had sent its own to the same names.
        """
        try:
            await self.verifier.read_back(slide, files)
        except Refused as error:  # this user may not read it: by names and sizes it is there
            log.info("%s cannot be read back: %s", slide.path, error)

    async def _hash(self, slide: Slide) -> None:
        with suppress(SourceError):  # whoever needs the hashes hears of it
            for file in slide.files:
                await self.context.digests.sha256(slide, file)

    async def _last_status(self, upload: AnnouncedUpload) -> UploadStatus | None:
        """Ask for the status, which ends an upload; None where the server may not know it any more."""
        core = self.context.core
        try:
            status = await core.upload_status(upload.announcement.id)
        except (Refused, ServerError) as error:
            if isinstance(error, PermissionDenied) or (isinstance(error, ServerError) and not error.may_be_refusal):
                raise
            return None
        return status if upload.held.is_confirmed(core.logins) else None

    def _count_as_lost(self, slide: Slide, announcement: Announcement, sent: TransferCounts, why: str) -> None:
        # Azure keeps what it has acknowledged, under the blob's name.
        lost = 0 if announcement.kind is StorageKind.AZURE else sent.bytes + sent.resumed
        self.events.slide_restarted(slide, lost, why)
        self.context.scheduler.uncount(sent.bytes)
        sent.bytes = sent.resumed = 0

    async def _after_doubt(self, at: Destination, upload: AnnouncedUpload, *, last: bool) -> AnnouncedUpload | None:
        """Return the upload as it is to be used after its id was in doubt; None where it has to be announced again.

        What the server says of the files of an upload does not tell whose it is: another machine's slide may have the
        same names and sizes, and the same of them there. So what was acknowledged is sent again. Where sessions end
        all the time, that must not go on for ever. `last`: it has gone on for long.
        """
        entry = await self.context.journal.entry(at.place)
        if not last or entry is None or upload.held.revoked_since is not None:
            return None
        upload.held.session = None
        return AnnouncedUpload(upload.announcement, upload.held, entry.files, entry.parts, counted=entry.files)

    async def _send(
        self, slide: Slide, at: Destination, upload: AnnouncedUpload, sent: TransferCounts, decision: Decision
    ) -> None:
        async def still_free() -> None:
            if await self.listings.slide_just_now(at.folder, at.path) is not None:
                await self.context.journal.record_overtaken(at.place)
                raise Overtaken(
                    "another slide of this name has come there while this one was being sent",
                    "nothing of it was replaced; the next run compares them",
                )

        over = decision.over is not None
        slide_upload = SlideUpload(
            self.context,
            upload.announcement,
            at.folder,
            slide,
            at.place,
            sent,
            over,
            upload.parts,
            upload.held,
            still_free if self.keeps_others and not over else None,
        )
        uploader = uploader_for(slide_upload)
        left = [file for file in slide.files if file.path not in upload.done]
        sent.resumed += sum(file.size for file in slide.files if file.path in upload.done - upload.counted)
        # Of a file of which parts are there already, only those are read that are still to be sent.
        self.context.source.announce(slide, [file for file in left if not upload.parts.get(file.path)])
        self.events.slide_announced(slide)
        # A file system's files are written in place; a bucket's and a container's are replaced when they are complete.
        if sent.replaced is Replaced.INTACT and (upload.done or upload.announcement.kind is StorageKind.FILESYSTEM):
            sent.replaced = Replaced.MIXED

        await together(uploader.send(file) for file in left if file is not slide.main)
        if slide.main in left:
            await self.context.source.check(slide)
            await uploader.send(slide.main)


def _old(decision: Decision) -> Replaced:
    """Return the state of the slide that is being replaced, before this attempt."""
    entry = decision.entry
    if decision.over is None or decision.ours:
        return Replaced.NONE
    if entry is None:
        return Replaced.INTACT
    # A file system's files are written in place, also those of which nothing was acknowledged.
    announcement = None if entry.upload is None else announcement_in(entry.upload)
    in_place = announcement is not None and announcement.kind is StorageKind.FILESYSTEM
    return Replaced.MIXED if entry.files or in_place else Replaced.INTACT


def _announcing_may_help(error: PmaCoreError, resumed: bool) -> bool:
    """Return whether a new announcement may help: the server forgot the upload, or its URLs have expired."""
    if error.remedy is Remedy.ANNOUNCE:
        return True
    if isinstance(error, ServerError):
        return resumed and error.may_be_refusal
    return (
        resumed
        and isinstance(error, Refused)
        and error.remedy is Remedy.GIVE_UP_SLIDE
        and not isinstance(error, PermissionDenied)
    )
