"""One site's share of a run, at its own pace: whatever happens here stops no other site."""

from __future__ import annotations

import asyncio
import logging
import traceback
from pathlib import Path

from ..errors import PmarepError, Remedy, SourceError
from ..events import (
    Progress,
    SiteState,
    SiteSummary,
    SlideFinished,
    SlideRestarted,
    SlideRetracted,
    SlideStatus,
    State,
)
from ..pmacore import PmaCore
from ..sites import Site
from ..sites.network import connection_of
from ..slides import Slide
from ..source import Source
from ..uploaders import Link, Means, Sent, Storage, together
from .bring import Bringer
from .catalogue import Cursor
from .decide import destination, remember_wrong
from .errands import Errand, Errands
from .health import Health
from .inspector import Inspector
from .remote import Remote
from .shared import Shared
from .shipping import UNHARMED, Shipper
from .tally import Tally

log = logging.getLogger(__name__)

AUTO_CONNECTIONS = 8
"""Requests with slide bytes at once, until the number finds itself: enough for 8 slides to share a line."""


class SiteWorker:
    """`run` returns when every slide is at the site or the site is given up; it raises nothing."""

    def __init__(self, site: Site, core: PmaCore, link: Link, connections: int, shared: Shared) -> None:
        self.site = site
        self.link = link
        self._core = core
        self._remote = Remote(core, shared.clock)
        self._shared = shared
        self._lanes = connections
        self._errands = Errands(Cursor(shared.catalogue).take, shared.clock)
        self._tally = Tally()
        self._started = shared.clock.monotonic()
        self.health = Health(
            shared.clock,
            shared.options.patience,
            shared.deadline,
            self._say,
            lambda: link.connections > 0 or shared.others_work(site.name),
        )
        link.heard = self.health.worked
        self._in_hand = 0  # slides

    @property
    def works(self) -> bool:
        """Whether this site has a slide in hand, and is neither paused nor done."""
        return self._in_hand > 0 and self.health.well

    async def run(self) -> None:
        self._say(State.CONNECTING)
        try:
            await self._connect()
            self._say(State.RUNNING)
            await self._send_all()
        except PmarepError as error:
            self._tally.error = str(error)
            if error.remedy is Remedy.STOP_RUN:
                self._shared.stop_run(str(error))
        except asyncio.CancelledError:
            self._say(State.STOPPED, "interrupted")
            raise
        except Exception as error:  # a bug of ours: no reason for the other sites to stop
            log.debug("%s: internal error in %s", self.site.name, _where(error))
            # Only its name: what some errors quote could be a secret.
            self._tally.error = f"internal error ({type(error).__name__}); please report it, with the output of -vv"
        else:
            if self._tally.error is None:
                self._say(State.DONE)
        finally:
            if self._tally.error is not None:
                self._say(State.STOPPED, self._tally.error)
            self._tally.seconds = self._shared.clock.monotonic() - self._started

    async def _connect(self) -> None:
        async def once() -> None:
            await self._core.login()
            await self._remote.check_root(self.site.target)

        try:
            await once()
        except PmarepError as error:
            if error.remedy is not Remedy.RETRY or not self._shared.options.patience:
                raise
            await self.health.overcome(error, once)
        self.health.answered()

    async def _send_all(self) -> None:
        shared = self._shared
        source = Source(self.site.name, self._lanes + 1)
        storage = Storage(connection_of(self.site), allow_http=self.site.allow_http_uploads)
        inspector = Inspector(
            self.site.name,
            self._core,
            shared.digests,
            shared.clock,
            shared.fingerprints,
            lambda slide: destination(self.site, shared.options.to, slide).path,
            self._retract,
        )
        try:
            means = Means(self._core, storage, self.link, source, shared.digests, shared.journal)
            shipper = Shipper(means, self._remote, inspector, shared.options.verify, shared.clock, self._say_restarted)
            await self._run_lanes(Bringer(self.site, shared, self.health, self._remote, inspector, shipper))
        finally:
            source.close()
            await storage.close()

    async def _run_lanes(self, bringer: Bringer) -> None:
        """Several slides at a time. Raises what ends the site."""
        try:
            await together(self._lane(bringer) for _ in range(self._lanes))
        except PmarepError:
            # What ends the site is said once for all slides, unless it leaves one in a state that people have to know.
            for errand in self._errands.give_up():
                if _harmed(errand.sent):
                    await self._ended(errand, SlideStatus.FAILED, errand.error)
            raise
        finally:
            await self._errands.close()

    async def _lane(self, bringer: Bringer) -> None:
        while (errand := await self._errands.take(new_first=self.health.on_trial)) is not None:
            await self.health.ready()
            deadline = self._shared.deadline
            if deadline is not None and self._shared.clock.monotonic() > deadline:
                self._tally.error = "stopped at --max-duration; the next run sends the rest"
                self.health.tried()
                for one in (errand, *self._errands.give_up()):
                    if one.error is not None:
                        await self._ended(one, SlideStatus.FAILED, one.error)
                return
            self._in_hand += 1
            try:
                await self._one(errand, bringer)
            finally:
                self._in_hand -= 1

    async def _one(self, errand: Errand, bringer: Bringer) -> None:
        """One attempt. Raises only what concerns the whole site."""
        sent = errand.sent
        bytes_before, resumed_before = sent.bytes, sent.resumed
        try:
            outcome = await bringer.bring(errand)
        except PmarepError as problem:
            ends = problem.remedy in (Remedy.STOP_SITE, Remedy.STOP_RUN)
            if not ends or _harmed(sent):
                await self._ended(errand, SlideStatus.FAILED, str(problem))
            if ends:
                raise
        else:
            if outcome is None:
                self._errands.put_back(errand)
                return
            await self._ended(errand, *outcome)
            if outcome[0] is SlideStatus.SKIPPED:
                self.health.looked()
            elif outcome[0] is not SlideStatus.FAILED:
                self.health.arrived(errand.slide.path)
        finally:
            self._tally.bytes_sent += sent.bytes - bytes_before
            self._tally.bytes_resumed += sent.resumed - resumed_before
        self.health.tried()

    async def _ended(self, errand: Errand, status: SlideStatus, error: str | None) -> None:
        if error is not None and errand.sent.leaves and status is SlideStatus.FAILED:
            error = f"{error}; {errand.sent.leaves}"
        self._tally.count(errand.slide, status)
        self._finished(errand.slide, status, errand.sent, errand.started, error)
        await self._record(errand.slide, status, errand.sent, errand.started, error)

    async def _record(self, slide: Slide, status: SlideStatus, sent: Sent, started: float, error: str | None) -> None:
        """For the audit. What was not sent or looked at now has no hash: nobody has read it."""
        shared = self._shared
        if shared.audit is None:
            return
        hashes: list[str | None] = [None] * len(slide.files)
        note: str | None = None
        stopped: asyncio.CancelledError | None = None
        if status in (SlideStatus.SENT, SlideStatus.VERIFIED):
            try:
                hashes = [(await shared.digests.sha256(slide, file)).hex() for file in slide.files]
            except SourceError as problem:
                note = f"no SHA-256: {problem}"
            except asyncio.CancelledError as cancelled:  # it has arrived, and that goes on record
                note, stopped = "no SHA-256: the run was stopped", cancelled
        files = [
            {"path": file.path, "bytes": file.size, "sha256": found}
            for file, found in zip(slide.files, hashes, strict=True)
        ]
        at = destination(self.site, shared.options.to, slide)
        await shared.audit.record(
            {
                "site": self.site.name,
                "url": self.site.url,
                "slide": slide.path,
                "to": at.path,
                "source": str(slide.folder),
                "status": status.value,
                "error": error,
                "note": note,
                "verify": shared.options.verify.value,
                "bytes_sent": sent.bytes,
                "bytes_resumed": sent.resumed,
                "seconds": round(shared.clock.monotonic() - started, 3),
                "files": files,
            },
            on_disk=status is not SlideStatus.SKIPPED,
        )
        if stopped is not None:
            raise stopped

    def _finished(self, slide: Slide, status: SlideStatus, sent: Sent, started: float, error: str | None) -> None:
        if not self._shared.options.dry_run:
            self._shared.listener(
                SlideFinished(
                    site=self.site.name,
                    slide=slide.path,
                    status=status,
                    bytes=sent.bytes,
                    resumed_bytes=sent.resumed,
                    seconds=round(self._shared.clock.monotonic() - started, 3),
                    error=error,
                )
            )

    async def _retract(self, slide: Slide, error: str) -> None:
        """Another site has found out that a slide which this run has said to be here is damaged."""
        at = destination(self.site, self._shared.options.to, slide)
        text = await remember_wrong(self._shared.journal, at.place, slide, error)
        self._tally.retracted += 1
        self._shared.listener(SlideRetracted(site=self.site.name, slide=slide.path, error=text))
        await self._record(slide, SlideStatus.FAILED, Sent(), self._shared.clock.monotonic(), text)

    def _say_restarted(self, slide: Slide, lost: int, reason: str) -> None:
        self._shared.listener(SlideRestarted(site=self.site.name, slide=slide.path, bytes=lost, reason=reason))

    def _say(self, state: State, reason: str | None = None) -> None:
        self._shared.listener(SiteState(site=self.site.name, state=state, reason=reason))

    def progress(self) -> Progress:
        done = self.link.acknowledged + self.link.under_way + self._tally.bytes_resumed
        total = self._shared.catalogue.bytes - self._tally.bytes_skipped
        return Progress(
            site=self.site.name,
            bytes_done=min(done, total),
            bytes_total=total,
            rate=round(self.link.rate(), 1),
            connections=self.link.connections,
        )

    def summary(self) -> SiteSummary:
        seconds = self._tally.seconds or self._shared.clock.monotonic() - self._started
        return self._tally.summary(len(self._shared.catalogue), seconds)


def _harmed(sent: Sent) -> bool:
    """Whether a slide that was to be replaced is no longer what it was."""
    return sent.leaves not in ("", UNHARMED)


def _where(error: BaseException) -> str:
    """The lines of code that an error came through, without what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
