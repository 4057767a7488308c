"""The slides that a site still has to get: new ones, the coarsest first, and failed ones as soon as they are due."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator
from typing import Any

from ...aio import ChangeEvent
from ...clock import Clock
from ...slides import Slide
from ..slide.job import SlideJob

WINDOW, WINDOW_FILES = 64, 5_000
"""So many new slides, and files of them, wait at once; whoever puts more has to wait."""

OLDEST_EVERY = 16
"""Every so often the slide that came first is next, so that none waits for ever."""

COARSE = 8 * 1024 * 1024
"""Bytes: no file counts as coarser, since storages take larger ones in parts of about this size."""

FINE = 1024 * 1024
"""Bytes of a request that is over after some round trips: many of these fill no line and are not kept for its end."""


class SlideQueue:
    """The slides of one site. One task takes from it.

    New slides come in a window, in which the one with the coarsest requests is next: small ones at the end of a run
    fill the room that the last large ones leave. All sites take them in the same order, so that what one has read
    serves the others. Slides whose attempt failed come again when they are due, before new ones.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._new: dict[int, Slide] = {}  # by number, so the oldest first
        self._coarsest: list[tuple[int, int, int]] = []  # heap: minus grain and bytes, number; some are taken
        self._files = self._put = self._taken = 0
        self._closed = False
        self._later: list[tuple[float, int, SlideJob]] = []  # heap: when it is due
        self._number = 0
        self._held: set[SlideJob] = set()
        self._in_progress: set[SlideJob] = set()
        self._changed = ChangeEvent()  # for the task that takes
        self._room = ChangeEvent()  # for those that put

    async def put(self, slide: Slide) -> None:
        """Add a new slide; wait while the window is full."""
        while len(self._new) >= WINDOW or self._files >= WINDOW_FILES:
            await self._room.wait()
        number, self._put = self._put, self._put + 1
        self._new[number] = slide
        self._files += len(slide.files)
        heapq.heappush(self._coarsest, (-_grain(slide), -slide.size, number))
        self._changed.notify()

    def close(self) -> None:
        """Let no more new slides come."""
        self._closed = True
        self._changed.notify()

    @property
    def exhausted(self) -> bool:
        """Return whether no slide waits or is still to come, apart from those in progress, which may fail."""
        return self._closed and not self._new and not self._later

    async def get(self, *, new_first: bool = False) -> SlideJob | None:
        """Return the next job, which is in progress until done(), put_back() or hold(); None when all are done.

        `new_first`: prefer a slide that has not failed yet, though others are due: where it is in question whether the
        slides or the site are to blame.
        """
        while True:
            now = self._clock.monotonic()
            due = bool(self._later) and self._later[0][0] <= now
            job: SlideJob | None = None
            if self._new and (new_first or not due) and len(self._held) < WINDOW:
                job = SlideJob(self._take_new(), now)
            elif due:
                job = heapq.heappop(self._later)[2]
                self._held.discard(job)
            elif self.exhausted and not self._in_progress:
                return None
            if job is not None:
                self._in_progress.add(job)
                return job
            await self._wait(self._later[0][0] - now if self._later else None)

    def done(self, job: SlideJob) -> None:
        """Forget a job in progress."""
        self._in_progress.discard(job)
        self._changed.notify()

    def put_back(self, job: SlideJob) -> None:
        """Return a job in progress to the queue, for another attempt when it is due."""
        self._in_progress.discard(job)
        self._number += 1
        heapq.heappush(self._later, (job.due, self._number, job))
        self._changed.notify()

    def hold(self, job: SlideJob, seconds: float) -> None:
        """Return a job in progress for which there is no time now, to be looked at again after so many seconds.

        While a window full of jobs is held, no new slide is given out.
        """
        job.due = self._clock.monotonic() + seconds
        self._held.add(job)
        self.put_back(job)

    def drain(self) -> Iterator[SlideJob]:
        """Take out every job that has been given out before and is not done."""
        while self._later:
            yield heapq.heappop(self._later)[2]
        while self._in_progress:
            yield self._in_progress.pop()

    def _take_new(self) -> Slide:
        self._taken += 1
        number = next(iter(self._new))
        if self._taken % OLDEST_EVERY:
            while self._coarsest[0][2] not in self._new:
                heapq.heappop(self._coarsest)
            number = self._coarsest[0][2]
        slide = self._new.pop(number)
        self._files -= len(slide.files)
        self._room.notify()
        return slide

    async def _wait(self, seconds: float | None) -> None:
        """Wait until something has changed, or so many seconds."""
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._changed.wait())]
        if seconds is not None:
            tasks.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def _grain(slide: Slide) -> int:
    """Return the bytes of a slide's largest request, as far as they matter for the order."""
    largest = max(file.size for file in slide.files)
    return min(largest, COARSE) if largest > FINE else COARSE
