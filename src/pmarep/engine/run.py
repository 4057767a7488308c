"""A whole run: check everything, walk the sources, one worker per site, and the truth at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..events import Event, Listener, RunStarted, SourceProblem, Summary
from ..journal import Journal, JournalError
from ..locks import hold
from ..retry import Retry
from ..sites import Site
from ..slides import LeftOut
from ..timetable import Timetable
from ..uploaders import Clock, Digests, Link, Pacer
from .catalogue import Catalogue
from .options import Options
from .sessions import Passwords, Sessions
from .worker import AUTO_CONNECTIONS, Shared, SiteWorker

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0
SCAN_SECONDS = 1.0  # how long the start waits for the walk, so that most runs know their totals from the beginning
INTERRUPTED = 130


async def replicate(
    options: Options,
    sites: Sequence[Site],
    *,
    passwords: Passwords,
    state_dir: Path,
    listener: Listener,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
) -> Summary:
    """Bring every slide of the sources to every site; the result is also the last event.

    Setting `stop` ends the run cleanly: what was sent is kept for the next one. Raises, before anything is sent,
    UsageError (also for credentials and configuration) and TargetBusyError.
    """
    clock = clock or Clock()
    run = _Run(options, sites, Sessions(passwords, Retry(sleep=clock.sleep)), listener, clock)
    # A dry run changes nothing, so it may look while another run sends.
    with hold(state_dir / "locks", [] if options.dry_run else [(site.name, site.place) for site in sites]):
        await run.sessions.check_passwords(sites)
        journal = Journal(state_dir)
        try:
            return await run.go(journal, stop or asyncio.Event())
        finally:
            await run.sessions.close()
            run.digests.close()
            journal.close()


class _Run:
    def __init__(
        self, options: Options, sites: Sequence[Site], sessions: Sessions, listener: Listener, clock: Clock
    ) -> None:
        self.options = options
        self.sites = sites
        self.sessions = sessions
        self.listener = _guarded(listener)
        self.clock = clock
        self.catalogue = Catalogue(options)
        self.digests = Digests()
        self.problems = 0
        self.started = clock.monotonic()

    async def go(self, journal: Journal, stop: asyncio.Event) -> Summary:
        dry = self.options.dry_run
        number = None if dry else await journal.run_started([str(source) for source in self.options.sources])
        scan = asyncio.create_task(self.catalogue.scan(self._left_out))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({scan, stopped}, timeout=SCAN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._say_start(scanning=not scan.done())
            workers = self._workers(journal)
            interrupted = await self._work(workers, stopped)
            if not interrupted:
                # Every site has ended, perhaps long before the walk: failures are counted against all slides.
                await asyncio.wait({scan, stopped}, return_when=asyncio.FIRST_COMPLETED)
                interrupted = not scan.done()
            if not interrupted:
                scan.result()
        finally:
            await _cancel([scan, stopped])
        summary = self._summary(workers, interrupted)
        if number is not None:
            with suppress(JournalError):  # the truth about this run matters more than the list of runs
                await journal.run_finished(number, summary.to_dict())
        self.listener(summary)
        return summary

    def _left_out(self, item: LeftOut) -> None:
        if item.why.is_problem:
            self.problems += 1
            self.listener(SourceProblem(path=item.path, why=item.why.value, detail=item.detail))

    def _say_start(self, scanning: bool) -> None:
        names = [site.name for site in self.sites]
        self.listener(
            RunStarted(sites=names, slides=len(self.catalogue), bytes=self.catalogue.bytes, scanning=scanning)
        )

    def _workers(self, journal: Journal) -> list[SiteWorker]:
        limit = self.options.max_duration
        deadline = None if limit is None else self.started + limit
        shared = Shared(self.options, self.catalogue, journal, self.digests, self.listener, self.clock, deadline)
        overall = [] if self.options.bwlimit is None else [Pacer(self.options.bwlimit, self.clock)]
        return [self._worker(site, overall, shared) for site in self.sites]

    def _worker(self, site: Site, overall: Sequence[Pacer], shared: Shared) -> SiteWorker:
        wanted = self.options.connections or (None if site.connections == "auto" else site.connections)
        connections = wanted or AUTO_CONNECTIONS
        timetable: Timetable | None = site.timetable
        own = [] if timetable is None else [Pacer(timetable, self.clock)]
        link = Link(connections, [*own, *overall], Retry(sleep=self.clock.sleep), self.clock)
        return SiteWorker(site, self.sessions.core(site), link, connections, shared)

    async def _work(self, workers: Sequence[SiteWorker], stopped: asyncio.Task[bool]) -> bool:
        """Until all sites are done, or `stopped` is: then True."""
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        ticker = asyncio.create_task(self._tick(workers))
        everything = asyncio.gather(*tasks)
        try:
            either: set[asyncio.Future[Any]] = {everything, stopped}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                everything.result()
                return False
            return True
        finally:
            await _cancel([*tasks, ticker])
            with suppress(asyncio.CancelledError, Exception):
                await everything

    async def _tick(self, workers: Sequence[SiteWorker]) -> None:
        while True:
            await self.clock.sleep(PROGRESS_SECONDS)
            for worker in workers:
                self.listener(worker.progress())

    def _summary(self, workers: Sequence[SiteWorker], interrupted: bool) -> Summary:
        sites = {worker.site.name: worker.summary() for worker in workers}
        arrived = not self.problems and all(site.failed == 0 and site.error is None for site in sites.values())
        return Summary(
            exit_code=INTERRUPTED if interrupted else 0 if arrived else 1,
            seconds=round(self.clock.monotonic() - self.started, 3),
            sites=sites,
            source_problems=self.problems,
            dry_run=self.options.dry_run,
            error="interrupted; what was sent is kept for the next run" if interrupted else None,
        )


def _guarded(listener: Listener) -> Listener:
    """An output that fails (a full disk behind `>`, a terminal that is gone) ends no run."""

    def hear(event: Event) -> None:
        try:
            listener(event)
        except Exception as error:
            log.debug("the output failed: %s", type(error).__name__)

    return hear


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
