"""The workers of all sites of a run: made, run at the same time, and ticked once a second."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from ..aio import cancel_all
from ..clock import Clock
from ..events import Listener, Notice
from ..limits import AdaptiveConcurrency, NodeShare, RateLimiter, SharedUplink
from ..remote.session_pool import SessionPool
from ..retry import Retry
from ..sites import Site
from ..system.open_files import max_requests_per_site
from ..timetable import Timetable
from ..units import format_duration
from ..uploaders import RequestScheduler
from .context import RunContext
from .options import Options
from .site.worker import SiteWorker

PROGRESS_SECONDS = 1.0
ASLEEP_SECONDS = 30.0  # between two ticks: a machine that was asleep, on those whose clock goes on meanwhile


class SiteWorkers:
    """Makes one SiteWorker for each site, runs them, and says their progress. They use a part of each limit."""

    def __init__(self, clock: Clock, listener: Listener, share: NodeShare | None = None) -> None:
        self._share = share or NodeShare()
        self._clock = clock
        self._listener = listener
        self._workers: list[SiteWorker] = []

    def __iter__(self) -> Iterator[SiteWorker]:
        return iter(self._workers)

    def limits(self) -> dict[str, tuple[int, int | None]]:
        """Return the requests at once and the bytes per second that each site may have now, by its name."""
        return {worker.site.name: (worker.scheduler.limit, worker.scheduler.bandwidth) for worker in self._workers}

    @property
    def busy(self) -> bool:
        """True while any site has a slide in progress."""
        return any(worker.busy for worker in self._workers)

    def others_work(self, name: str) -> bool:
        """Return whether any site but this one has a slide in progress, and is neither paused nor done."""
        return any(worker.works for worker in self._workers if worker.site.name != name)

    def make(self, sites: Sequence[Site], sessions: SessionPool, context: RunContext) -> None:
        """Make the workers of these sites."""
        limit, uplink = context.options.bwlimit, SharedUplink()
        overall = [] if limit is None else [RateLimiter(limit, self._clock, self._share)]
        room = max_requests_per_site(len(sites)) or sys.maxsize
        for site in sites:
            said = context.options.connections or site.connections
            wanted = None if said == "auto" else said
            timetable: Timetable | None = site.timetable
            own = [] if timetable is None else [RateLimiter(timetable, self._clock, self._share)]
            found = AdaptiveConcurrency(uplink, min(room, uplink.limit_per_site(len(sites))))
            requests = found if wanted is None else min(wanted, room)
            retry = retry_policy(context.options, self._clock)
            scheduler = RequestScheduler(requests, [*own, *overall], retry, self._clock, self._share)
            self._workers.append(SiteWorker(site, sessions.core(site), scheduler, wanted, context))

    async def run(self, stopped: asyncio.Task[bool]) -> bool:
        """Wait until all sites are done, or `stopped` is; return whether it is."""
        tasks = [asyncio.create_task(worker.run()) for worker in self._workers]
        ticker = asyncio.create_task(self._tick())
        everything = asyncio.gather(*tasks)
        try:
            either: set[asyncio.Future[Any]] = {everything, stopped}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if everything.done():
                everything.result()
                return False
            return True
        finally:
            await cancel_all([*tasks, ticker])
            with suppress(asyncio.CancelledError, Exception):
                await everything

    async def _tick(self) -> None:
        before = self._clock.monotonic()
        while True:
            await self._clock.sleep(PROGRESS_SECONDS)
            now = self._clock.monotonic()
            if now - before > ASLEEP_SECONDS:
                slept = format_duration(now - before)
                self._listener(Notice(text=f"this machine was asleep for {slept}; going on", passing=True))
            for worker in self._workers:
                if now - before > ASLEEP_SECONDS:
                    worker.breaker.discount_sleep(now - before)
                worker.tick()
                self._listener(worker.report.progress())
            before = now


def retry_policy(options: Options, clock: Clock) -> Retry:
    """Make the retry policy: a site that answers too slowly is not tried again for longer than it may stay away."""
    return Retry(sleep=clock.sleep, max_seconds=options.patience, monotonic=clock.monotonic)
