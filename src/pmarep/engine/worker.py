"""One site's share of a run, at its own pace: whatever happens here stops no other site."""

from __future__ import annotations

import asyncio
import logging
import traceback
from dataclasses import dataclass
from pathlib import Path

from ..errors import PmarepError
from ..events import (
    Listener,
    Progress,
    SiteState,
    SiteSummary,
    SlideFinished,
    SlidePlanned,
    SlideRestarted,
    SlideStarted,
    SlideStatus,
    State,
)
from ..journal import Journal, JournalError
from ..pmacore import PmaCore, PmaCoreError
from ..sites import Site
from ..sites.network import connection_of
from ..slides import Slide
from ..source import Source
from ..uploaders import Clock, Digests, Link, Means, Sent, Storage, together
from .catalogue import Catalogue, Cursor
from .decide import Action, Decision, Destination, decide, destination
from .options import Options
from .remote import Remote
from .shipping import Shipper

log = logging.getLogger(__name__)

AUTO_CONNECTIONS = 8
"""Requests with slide bytes at once, until the number finds itself: enough for 8 slides to share a line."""


@dataclass(slots=True)
class Tally:
    """Counts of one site; bytes as in `SiteSummary`."""

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    bytes_sent: int = 0
    bytes_resumed: int = 0
    bytes_skipped: int = 0
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sites of a run have in common; nothing in it waits for a site."""

    options: Options
    catalogue: Catalogue
    journal: Journal
    digests: Digests
    listener: Listener
    clock: Clock
    deadline: float | None  # of clock.monotonic(); after it no slide is begun


class SiteWorker:
    """`run` returns when every slide is at the site or the site is given up; it raises nothing."""

    def __init__(self, site: Site, core: PmaCore, link: Link, connections: int, shared: Shared) -> None:
        self.site = site
        self.link = link
        self._core = core
        self._remote = Remote(core, shared.clock)
        self._shared = shared
        self._lanes = connections
        self._cursor = Cursor(shared.catalogue)
        self._tally = Tally()
        self._started = shared.clock.monotonic()

    async def run(self) -> None:
        self._say(State.CONNECTING)
        try:
            await self._core.login()
            await self._remote.check_root(self.site.target)
            self._say(State.RUNNING)
            await self._send_all()
        except PmarepError as error:
            self._tally.error = str(error)
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

    async def _send_all(self) -> None:
        shared = self._shared
        source = Source(self.site.name, self._lanes + 1)
        storage = Storage(connection_of(self.site), allow_http=self.site.allow_http_uploads)
        try:
            means = Means(self._core, storage, self.link, source, shared.digests, shared.journal)
            verify = shared.options.verify
            await self._run_lanes(Shipper(means, self._remote, verify, shared.clock, self._say_restarted))
        finally:
            source.close()
            await storage.close()

    async def _run_lanes(self, shipper: Shipper) -> None:
        """Several slides at a time. Raises what ends the site."""
        await together(self._lane(shipper) for _ in range(self._lanes))

    async def _lane(self, shipper: Shipper) -> None:
        while (slide := await self._cursor.take()) is not None:
            deadline = self._shared.deadline
            if deadline is not None and self._shared.clock.monotonic() > deadline:
                self._tally.error = "stopped at --max-duration; the next run sends the rest"
                return
            await self._one(slide, shipper)

    async def _one(self, slide: Slide, shipper: Shipper) -> None:
        """Raises only what concerns the whole site."""
        started = self._shared.clock.monotonic()
        sent = Sent()
        status, error = SlideStatus.FAILED, None
        try:
            status, error = await self._bring(slide, shipper, sent)
        except PmarepError as problem:
            if isinstance(problem, JournalError) or (isinstance(problem, PmaCoreError) and problem.site_wide):
                raise
            error = str(problem)
        finally:
            self._tally.bytes_sent += sent.bytes
            self._tally.bytes_resumed += sent.resumed
        self._count(slide, status)
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

    async def _bring(self, slide: Slide, shipper: Shipper, sent: Sent) -> tuple[SlideStatus, str | None]:
        shared = self._shared
        at = destination(self.site, shared.options.to, slide)
        decision = await decide(slide, at, self._core, self._remote, shared.journal, shared.options)
        log.info("%s: %s: %s (%s)", self.site.name, slide.path, decision.action.value, decision.reason)
        if shared.options.dry_run:
            self._plan(slide, at, decision)
        elif decision.sends:
            shared.listener(SlideStarted(site=self.site.name, slide=slide.path))
            await shipper.ship(slide, at, decision, sent)
        if decision.sends:
            return SlideStatus.SENT, None
        if decision.action is Action.SKIP:
            return SlideStatus.SKIPPED, None
        return SlideStatus.FAILED, decision.reason

    def _plan(self, slide: Slide, at: Destination, decision: Decision) -> None:
        self._shared.listener(
            SlidePlanned(
                site=self.site.name,
                slide=slide.path,
                action=decision.action.value,
                reason=decision.reason,
                to=at.path,
                bytes=slide.size if decision.sends else 0,
            )
        )

    def _count(self, slide: Slide, status: SlideStatus) -> None:
        if status is SlideStatus.SENT:
            self._tally.sent += 1
        elif status is SlideStatus.SKIPPED:
            self._tally.skipped += 1
            self._tally.bytes_skipped += slide.size
        else:
            self._tally.failed += 1

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
        """Whatever is not known to be at the site counts as failed: slides that were never tried too."""
        tally = self._tally
        return SiteSummary(
            sent=tally.sent,
            skipped=tally.skipped,
            failed=len(self._shared.catalogue) - tally.sent - tally.skipped,
            bytes_sent=tally.bytes_sent,
            bytes_resumed=tally.bytes_resumed,
            seconds=round(tally.seconds or self._shared.clock.monotonic() - self._started, 3),
            error=tally.error,
        )


def _where(error: BaseException) -> str:
    """The lines of code that an error came through, without what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
