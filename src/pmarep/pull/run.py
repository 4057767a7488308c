"""Run a pull: check everything, start one task per site, and sum up at the end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..aio import any_of, cancel_all
from ..clock import Clock
from ..engine.audit import AuditLog, Auditor
from ..engine.run import INTERRUPTED
from ..engine.site.stall_monitor import longest_answer
from ..engine.stop_time import describe_kept
from ..errors import PmarepError, internal_error, where
from ..events import (
    Event,
    Listener,
    Notice,
    RunStarted,
    SiteState,
    SiteSummary,
    SourceSummary,
    State,
    Summary,
)
from ..limits import AdaptiveConcurrency, RateLimiter, SharedUplink
from ..remote.session_pool import Passwords, SessionPool
from ..retry import Retry
from ..sites import Site
from ..sites.place import Place
from ..slides.selection import OptionValue, Selection, describe_unmatched
from ..system.open_files import max_requests_per_site
from ..units import format_duration
from .claims import Claims
from .context import PullContext
from .disk import Disk
from .folder_lock import hold_folder
from .local_folder import LocalFolder
from .options import PullOptions
from .partial_file import place_key, remove_partial_files
from .run_log import RunLog
from .scheduler import DownloadScheduler
from .site import SitePull

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
ASLEEP_SECONDS = 30.0  # between two ticks: a machine that was asleep, on those whose clock goes on meanwhile


async def pull(
    options: PullOptions,
    places: Sequence[Place],
    *,
    passwords: Passwords,
    listener: Listener,
    state_dir: Path | None = None,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
) -> Summary:
    """Bring the slides of the places into a folder; the result is also the last event.

    Setting `stop` ends the run cleanly: what has come is kept for the next one. A site that cannot take part is left
    out. In `state_dir` the run leaves its record, for `pmarep status` and `pmarep report`; without it none.
    Raises, before anything is pulled, UsageError, and TargetBusyError where another pull goes into the folder.
    """
    clock, stop = clock or Clock(), stop or asyncio.Event()
    sites = list({place.site.name: place.site for place in places}.values())
    new_retry = partial(Retry, sleep=clock.sleep, max_seconds=options.patience, monotonic=clock.monotonic)
    sessions = SessionPool(sites, passwords, new_retry, longest_answer(options.patience))
    sessions.check_connections()
    with ExitStack() as stack:
        folder = LocalFolder(options.folder, make=not options.dry_run)
        if not options.dry_run:
            stack.enter_context(hold_folder(options.folder))
        log = RunLog(state_dir, listener)
        run = _Run(options, places, sites, sessions, folder, listener, clock, stack, log)
        missing = await sessions.check_passwords(stop, _wait)
        if missing is None:
            return run.end(interrupted=True)
        try:
            await log.begin(options, places, sites, clock)
            return await run.go(stop, missing, new_retry)
        finally:
            await sessions.close()
            await log.close()


async def _wait(tasks: set[asyncio.Task[Any]], _what: object) -> bool:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    return True


class _Run:
    def __init__(
        self,
        options: PullOptions,
        places: Sequence[Place],
        sites: Sequence[Site],
        sessions: SessionPool,
        folder: LocalFolder,
        listener: Listener,
        clock: Clock,
        stack: ExitStack,
        run_log: RunLog,
    ) -> None:
        self._options = options
        self._places = places
        self._sites = sites
        self._sessions = sessions
        self._output = listener
        self._log = run_log
        self._clock = clock
        self._started = clock.monotonic()
        self._matched: set[OptionValue] = set()
        self._abort = asyncio.Event()
        self._why_aborted: str | None = None
        self._pulls: list[SitePull] = []
        self._left_out: dict[str, str] = {}
        disk, claims = Disk(options.folder, clock), Claims()
        stack.callback(disk.close)
        stack.callback(claims.close)
        audit = None
        if options.audit is not None and not options.dry_run:
            audit = AuditLog(options.audit, Auditor.here())
            stack.callback(audit.close)
        self._context = PullContext(
            options,
            folder,
            disk,
            claims,
            Selection(options.include, options.exclude, matched=self._matched),
            self._say,
            clock,
            audit,
            None if options.max_duration is None else self._started + options.max_duration,
            lambda name: any(pull.works for pull in self._pulls if pull.site.name != name),
            self._stop_run,
        )

    def _say(self, event: Event) -> None:
        """Pass an event on. An output that fails ends no run."""
        if self._log.record is not None:
            self._log.record.hear(event)
        try:
            self._output(event)
        except Exception as error:
            log.debug("the output failed: %s", type(error).__name__)

    def _stop_run(self, why: str) -> None:
        self._why_aborted = self._why_aborted or why
        self._abort.set()

    async def go(self, stop: asyncio.Event, missing: dict[str, str], new_retry: partial[Retry]) -> Summary:
        """Pull from all sites at once, those in `missing` left out: they have no password."""
        self._left_out = missing
        self._context = replace(self._context, record=self._log.record)
        self._say(RunStarted(sites=[site.name for site in self._sites], slides=0, bytes=0, scanning=True, pull=True))
        for name, why in missing.items():
            self._say(SiteState(site=name, state=State.STOPPED, reason=why))
        self._make_pulls(new_retry)
        everything = asyncio.gather(*(asyncio.create_task(pull.run()) for pull in self._pulls))
        stopped, ticker = asyncio.create_task(any_of(stop, self._abort)), asyncio.create_task(self._tick())
        try:
            either: set[asyncio.Future[Any]] = {everything, stopped}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            interrupted = not everything.done() and self._why_aborted is None
            if everything.done():
                everything.result()
        except Exception as error:
            log.debug("ended in %s", where(error))
            self._why_aborted, interrupted = self._why_aborted or internal_error(error), False
        finally:
            everything.cancel()
            await asyncio.gather(everything, return_exceptions=True)
            await cancel_all([stopped, ticker])
        for pull in self._pulls:
            pull.tick()
        for text in describe_unmatched(self._options.include, self._options.exclude, self._matched):
            if not interrupted:
                self._say(Notice(text=text))
        summary = self._summary(interrupted)
        if summary.exit_code == 0 and not self._options.dry_run:
            await self._clean_up()
        await self._log.finish(summary)  # before it is heard: it is the last event, also where that fails
        self._say(summary)
        return summary

    def end(self, *, interrupted: bool) -> Summary:
        """End a run that had not begun."""
        summary = self._summary(interrupted)
        self._say(summary)
        return summary

    def _make_pulls(self, new_retry: partial[Retry]) -> None:
        options, clock, downlink = self._options, self._clock, SharedUplink()
        sites = [site for site in self._sites if site.name not in self._left_out]
        overall = [] if options.bwlimit is None else [RateLimiter(options.bwlimit, clock)]
        room = max_requests_per_site(len(sites)) or sys.maxsize
        for site in sites:
            said = options.connections or site.connections
            own = [] if site.timetable is None else [RateLimiter(site.timetable, clock)]
            most = min(room, downlink.limit_per_site(len(sites)))
            connections = AdaptiveConcurrency(downlink, most, downloads=True) if said == "auto" else min(said, room)
            scheduler = DownloadScheduler(connections, [*own, *overall], new_retry(), clock)
            places = [place for place in self._places if place.site.name == site.name]
            self._pulls.append(SitePull(site, places, self._sessions.core(site), scheduler, self._context))

    async def _tick(self) -> None:
        before = self._clock.monotonic()
        while True:
            await self._clock.sleep(PROGRESS_SECONDS)
            now = self._clock.monotonic()
            if now - before > ASLEEP_SECONDS:
                slept = format_duration(now - before)
                self._say(Notice(text=f"this machine was asleep for {slept}; going on", passing=True))
            for pull in self._pulls:
                if now - before > ASLEEP_SECONDS:
                    pull.discount_sleep(now - before)
                pull.tick()
            before = now

    async def _clean_up(self) -> None:
        """Remove what earlier runs have left of slides that are no longer at their sites."""
        keys = {place_key(place.site.url, place.path) for place in self._places}
        try:
            await self._context.disk.run(partial(remove_partial_files, self._options.folder, keys))
        except PmarepError as error:
            log.info("could not look for temporary files: %s", error)

    def _summary(self, interrupted: bool) -> Summary:
        sites = {pull.site.name: pull.report.summary(interrupted) for pull in self._pulls}
        sites |= {name: SiteSummary(error=why) for name, why in self._left_out.items()}
        problems = sum(pull.report.problems for pull in self._pulls)
        error = "interrupted" if interrupted else self._why_aborted
        if error is not None and not self._options.dry_run:
            kept = describe_kept(sum(site.bytes_kept for site in sites.values()), 0)
            error = f"{error}; {kept}; the next run gets the rest"
        complete = error is None and not problems
        complete &= all(site.failed == 0 and site.error is None and not site.not_begun for site in sites.values())
        return Summary(
            exit_code=INTERRUPTED if interrupted else 0 if complete else 1,
            seconds=round(self._clock.monotonic() - self._started, 3),
            sites={site.name: sites[site.name] for site in self._sites if site.name in sites},
            source_problems=problems,
            source=SourceSummary(),
            dry_run=self._options.dry_run,
            error=error,
            pull=True,
        )
