"""Brings one slide to one site: announce or resume, send, look, remember."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import partial

from ...aio import together
from ...clock import Clock
from ...errors import Remedy, SourceError
from ...events import SlideStatus
from ...pmacore import (
    AnnounceAgain,
    Announcement,
    FileToSend,
    NotArrived,
    Overtaken,
    PermissionDenied,
    PmaCoreError,
    ProtocolError,
    Refused,
    ServerError,
    StorageKind,
    Unreadable,
    UploadDoubtful,
    UploadStatus,
)
from ...slides import Slide, SlideFile
from ...state.journal import SENT, Entry
from ...uploaders import (
    NO_SESSION,
    Replaced,
    SlideUpload,
    TransferCounts,
    UploadContext,
    Uploader,
    UploadIdLease,
    UploadIds,
    announced,
    is_live,
    uploader_for,
)
from ...uploaders.azure import block_size
from ..options import Verify
from ..remote_listing import RemoteListing
from ..site_events import SiteEvents
from .arrival import check_status
from .decide import Decision, Destination
from .deletion import DeletionGuard, says_that_it_exists
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
class _Upload:
    """An announcement, the files that are at the site whole, and the acknowledged parts of the others.

    `counted`: of these files the bytes are in `TransferCounts` already.
    """

    announcement: Announcement
    held: UploadIdLease
    done: frozenset[str]
    parts: dict[str, dict[int, str]]
    counted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SlideUploader:
    """Uploads slides to one site: announces or resumes them, sends their files, verifies and records them.

    `ids`: which slide holds which upload id at the site's server. `keeps_others`: a slide that comes to the name of
    ours while that is being sent is left alone. `hashed`: the SHA-256 of all files will be wanted when a slide has
    arrived.
    """

    context: UploadContext
    listings: RemoteListing
    verifier: SlideVerifier
    verify: Verify
    clock: Clock
    ids: UploadIds
    keeps_others: bool
    events: SiteEvents
    hashed: bool = False
    deletions: DeletionGuard = field(default_factory=DeletionGuard)
    one_deletion: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def upload(self, job: SlideJob, at: Destination, decision: Decision, *, again: bool = False) -> None:
        """Bring a slide to the site; it is there when this returns. `job.attempt` counts its bytes.

        `again`: an upload that can be resumed was announced by this run. Raises PmarepError; Overtaken where another
        slide has come to its name meanwhile.
        """
        slide, sent = job.slide, job.attempt
        sent.replaced = _old(decision)
        if not again and decision.entry is not None:  # before anything can fail: the next attempt is another one
            sent.earlier = decision.entry.files
        upload = await self._resume(slide, at, decision, sent)
        resumed = upload is not None and not again
        sent.earlier &= frozenset() if upload is None else upload.done
        if upload is None:
            sent.reannounced = decision.entry is not None  # its upload is lost
            upload = await self._begin(slide, at, decision, sent)
            sent.reannounced = True
        left, doubts = ANNOUNCEMENTS - 1, DOUBTS
        try:
            while True:
                try:
                    await self._send(slide, at, upload, sent, decision)
                    await self._verify_and_record(job, at, upload)
                    self.ids.done(upload.held)
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
                    self.ids.release(upload.held)
                    renewed = await self._announce_again(slide, at, decision, sent)
                upload = renewed
                sent.earlier &= upload.done
        finally:
            self.ids.release(upload.held)

    async def _verify_and_record(self, job: SlideJob, at: Destination, upload: _Upload) -> None:
        """Verify a slide of which all has been sent, and record that it is there.

        Raises PmarepError; AnnounceAgain where it is not there, and the server has lost the upload: what it says of
        that id is about another slide, or nothing.
        """
        slide, sent = job.slide, job.attempt
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
        await journal.sent(at.place, journal.signature(slide), stamp, source=source)
        try:
            held.check()
        except AnnounceAgain:  # what comes next may fail
            await journal.broken(at.place, journal.signature(slide))
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

    async def _last_status(self, upload: _Upload) -> UploadStatus | None:
        """The call that ends an upload; None where the server does not know it, or may mean another by its id."""
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

    async def _after_doubt(self, at: Destination, upload: _Upload, *, last: bool) -> _Upload | None:
        """The same upload, where it is to be used as it is; None where it has to be announced again.

        What the server says of the files of an upload does not tell whose it is: another machine's slide may have the
        same names and sizes, and the same of them there. So what was acknowledged is sent again. Where sessions end
        all the time, that must not go on for ever. `last`: it has gone on for long.
        """
        entry = await self.context.journal.entry(at.place)
        if not last or entry is None or upload.held.revoked_since is not None:
            return None
        upload.held.session = None
        return _Upload(upload.announcement, upload.held, entry.files, entry.parts, counted=entry.files)

    async def _resume(self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts) -> _Upload | None:
        """The unfinished upload of an earlier run, as far as the server still has it."""
        entry = decision.entry
        if entry is None or entry.upload is None:
            return None
        announcement = _announcement(entry.upload)
        if announcement is None:
            return None
        source = await self.context.source.check(slide)
        if entry.source not in (None, source):
            reason = "its files were replaced here since they were sent, though sizes and times are the same"
            if lost := _bytes_of(slide, entry, announcement):
                self.events.slide_restarted(slide, lost, reason)
            return None
        logins = self.context.core.logins
        if entry.files == {file.path for file in slide.files}:  # perhaps it is there; who looks will see
            return _Upload(announcement, self._held(slide, at, announcement, NO_SESSION), entry.files, {})
        if announcement.kind is StorageKind.FILESYSTEM:
            if not entry.files:
                return None  # nothing is lost, and the id may be another slide's by now
            if self.ids.session_of(str(announcement.id)) not in (None, logins):
                self.events.slide_restarted(
                    slide, _bytes_of(slide, entry, announcement), "the session of the upload has ended"
                )
                return None
        complete, reason = await self._state_of(slide, announcement)
        if complete is not None and _is_of_another(slide, announcement, entry, complete, decision.over):
            complete, reason = None, "the server has given the id of the earlier upload to another one"
        if complete is not None:
            held = self._held(slide, at, announcement, logins)
            if self.ids.hold(held):
                return _Upload(announcement, held, _whole(entry, complete), entry.parts)
            reason = "the server has given the id of the earlier upload to another one"
        if announcement.kind is StorageKind.AZURE:
            return await self._announce_again(slide, at, decision, sent)
        if lost := _bytes_of(slide, entry, announcement):
            self.events.slide_restarted(slide, lost, reason)
        return None

    def _held(self, slide: Slide, at: Destination, announcement: Announcement, session: int) -> UploadIdLease:
        return UploadIdLease(str(announcement.id), slide, session, partial(self._look_again, slide, at))

    async def _state_of(self, slide: Slide, announcement: Announcement) -> tuple[dict[str, bool] | None, str]:
        """Which files of an announced upload the server has; None and a reason where it can no longer be used."""
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

    async def _begin(self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts) -> _Upload:
        source = await self.context.source.check(slide)
        await self.listings.make_way(at.folder, slide)
        announcement, held = await self._ask(slide, at, decision, sent)
        with self._released_on_error(held):
            await self.context.journal.sending(
                at.place,
                self.context.journal.signature(slide),
                announcement.id,
                announcement.model_dump_json(by_alias=True),
                replaces=decision.over is not None,
                source=source,
                stamp=decision.stamp,
            )
        return _Upload(announcement, held, frozenset(), {})

    async def _announce_again(self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts) -> _Upload:
        """New URLs. Azure keeps the blocks sent before under the blob's name; elsewhere nothing of them is left."""
        entry = await self.context.journal.entry(at.place)
        announcement = None
        if entry is not None and entry.upload is not None:
            announcement = _announcement(entry.upload)
        if entry is None or announcement is None or announcement.kind is not StorageKind.AZURE:
            return await self._begin(slide, at, decision, sent)
        await self.context.source.check(slide)
        announcement, held = await self._ask(slide, at, decision, sent)
        with self._released_on_error(held):
            text = announcement.model_dump_json(by_alias=True)
            await self.context.journal.announced_again(at.place, announcement.id, text)
            complete = (await self.context.core.upload_status(announcement.id)).complete
        return _Upload(announcement, held, _whole(entry, complete), entry.parts)

    async def _ask(
        self, slide: Slide, at: Destination, decision: Decision, sent: TransferCounts
    ) -> tuple[Announcement, UploadIdLease]:
        """Announce a slide. Its id may show that the server has restarted: then slides that have just ended may have
        sent their files to this one, and are read back.
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
            await journal.broken(at.place, entry.signature, entry.stamp)
        right = await self.verifier.look_again(slide)
        if right and entry is not None and entry.state == SENT:
            await journal.sent(at.place, entry.signature, entry.stamp, source=entry.source)

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
            async with self.one_deletion:
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
        """At a server that does not write over slides, the old one has to go first."""
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

    async def _send(
        self, slide: Slide, at: Destination, upload: _Upload, sent: TransferCounts, decision: Decision
    ) -> None:
        async def still_free() -> None:
            if await self.listings.slide_just_now(at.folder, at.path) is not None:
                await self.context.journal.overtaken(at.place)
                raise Overtaken(
                    "another slide of this name has come there while this one was being sent",
                    "nothing of it was replaced; the next run compares them",
                )

        over = decision.over is not None
        slide_upload = SlideUpload(
            self.context, upload.announcement, at.folder, slide, at.place, sent, over, upload.parts
        )
        slide_upload = replace(slide_upload, held=upload.held)
        if self.keeps_others and not over:
            slide_upload = replace(slide_upload, still_free=still_free)
        uploader = uploader_for(slide_upload)
        left = [file for file in slide.files if file.path not in upload.done]
        sent.resumed += sum(file.size for file in slide.files if file.path in upload.done - upload.counted)
        self.events.slide_announced(slide)
        # A file system's files are written in place; a bucket's and a container's are replaced when they are complete.
        if sent.replaced is Replaced.INTACT and (upload.done or upload.announcement.kind is StorageKind.FILESYSTEM):
            sent.replaced = Replaced.MIXED
        await self._send_files(uploader, at, [file for file in left if file is not slide.main], sent)
        if slide.main in left:
            await self.context.source.check(slide)
            await self._send_files(uploader, at, [slide.main], sent)

    async def _send_files(
        self, uploader: Uploader, at: Destination, files: Sequence[SlideFile], sent: TransferCounts
    ) -> None:
        async def send(file: SlideFile) -> None:
            await uploader.send(file)
            if sent.replaced is Replaced.INTACT:
                sent.replaced = Replaced.MIXED
            await self.context.journal.file_sent(at.place, file.path)

        await together(send(file) for file in files)


def _old(decision: Decision) -> Replaced:
    """Of the slide that is being replaced, before this attempt."""
    entry = decision.entry
    if decision.over is None or decision.ours:
        return Replaced.NONE
    if entry is None:
        return Replaced.INTACT
    # A file system's files are written in place, also those of which nothing was acknowledged.
    announcement = None if entry.upload is None else _announcement(entry.upload)
    in_place = announcement is not None and announcement.kind is StorageKind.FILESYSTEM
    return Replaced.MIXED if entry.files or in_place else Replaced.INTACT


def _announcement(upload: str) -> Announcement | None:
    """None for what cannot be used: then the slide is announced again."""
    try:
        return Announcement.read(json.loads(upload), "an announcement in the journal")
    except (ProtocolError, ValueError, RecursionError):
        return None


def _announcing_may_help(error: PmaCoreError, resumed: bool) -> bool:
    """The server has forgotten the upload, or its URLs have expired. An old upload may fail in other words too."""
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


def _is_of_another(
    slide: Slide, announcement: Announcement, entry: Entry, complete: dict[str, bool], there: str | None
) -> bool:
    """Whether an upload has brought its main file, but neither by us nor to our path.

    A restored server gives ids out again, also to other machines; our files would overwrite their slide.
    """
    by_us = slide.main.path in entry.files or (there is not None and not entry.replaces)
    return announcement.kind is StorageKind.FILESYSTEM and complete[slide.main.path] and not by_us


def _whole(entry: Entry, complete: dict[str, bool]) -> frozenset[str]:
    """Files that both sides know to be there: a server alone may mean an older file of this name."""
    return frozenset(path for path, there in complete.items() if there and path in entry.files)


def kept_of(slide: Slide, entry: Entry | None) -> int:
    """Bytes of an unfinished slide that the journal says a site has, none where no upload is known."""
    announcement = None if entry is None or entry.upload is None else _announcement(entry.upload)
    return 0 if entry is None or announcement is None else _bytes_of(slide, entry, announcement)


def _bytes_of(slide: Slide, entry: Entry, announcement: Announcement) -> int:
    """What an earlier run had sent of a slide."""
    lengths = {
        (file.path, part.number): part.end - part.start + 1 for file in announcement.multipart for part in file.parts
    }
    if announcement.kind is StorageKind.AZURE:
        for file in slide.files:
            block = block_size(file.size)
            for number in entry.parts.get(file.path, {}):
                lengths[file.path, number] = min(block, file.size - number * block)
    whole = sum(file.size for file in slide.files if file.path in entry.files)
    return whole + sum(lengths.get((path, number), 0) for path, tags in entry.parts.items() for number in tags)
