"""Admission near the end of a run that has to end by a time: only slides that can be at the site by then are begun."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from ...clock import Clock
from ...uploaders import RequestScheduler
from ..slide.job import SlideJob
from ..stop_time import StopTime

MEASURED_OVER, AT_LEAST = 60.0, 3.0
"""Seconds in which something went to the site that its rate is measured over."""


class DeadlineAdmission:
    """Knows the slides that one site has in progress, and whether another one would be there in time.

    `say` is called once, when the first slide is not begun, or no longer waited for.
    """

    def __init__(
        self, stop_time: StopTime | None, scheduler: RequestScheduler, clock: Clock, say: Callable[[], None]
    ) -> None:
        self._stop_time = stop_time
        self._scheduler = scheduler
        self._clock = clock
        self._say = say
        self._said = False
        self._rates: deque[tuple[float, int]] = deque()  # seconds in which something went, and bytes
        self._before: tuple[float, int] | None = None
        self._withdrawn: set[SlideJob] = set()
        self.in_progress: dict[SlideJob, asyncio.Task[Any] | None] = {}

    @property
    def rate(self) -> float | None:
        """Bytes per second, lately; None as long as it is not known."""
        seconds = sum(seconds for seconds, _ in self._rates)
        return sum(moved for _, moved in self._rates) / seconds if seconds >= AT_LEAST else None

    def tick(self) -> None:
        """Measure the rate, and withdraw slides that wait for their turn to be sent and would come late.

        To be called about once a second.
        """
        now, transferred = self._clock.monotonic(), self._scheduler.bytes_transferred
        if self._before is not None and self._scheduler.connections:
            self._rates.append((now - self._before[0], max(transferred - self._before[1], 0)))
            while sum(seconds for seconds, _ in self._rates) > MEASURED_OVER:
                self._rates.popleft()
        self._before = now, transferred
        surely = [job for job in self.in_progress if job.attempt.begun]
        for job, task in self.in_progress.items():
            if task is not None and job.begun and not job.attempt.begun and job not in self._withdrawn:
                if self._in_time(job, surely):
                    surely.append(job)
                else:
                    self._withdrawn.add(job)
                    task.cancel()

    def may_begin(self, job: SlideJob) -> bool:
        """Return whether a slide can be there in time, after all that are in progress."""
        return self._in_time(job, self.in_progress)

    def begin(self, job: SlideJob) -> None:
        """Count the slide as in progress; its attempt is made by a task that begins soon."""
        self.in_progress[job] = None

    def attempt_begins(self, job: SlideJob) -> None:
        """Let tick() cancel the current task, which makes the attempt."""
        self.in_progress[job] = asyncio.current_task()

    def end(self, job: SlideJob) -> None:
        """Count the slide as in progress no longer."""
        del self.in_progress[job]
        self._withdrawn.discard(job)

    def withdraws(self, job: SlideJob) -> bool:
        """Return whether the current task was cancelled by tick() and nobody else, and take the cancellation back."""
        task = self.in_progress[job]
        if task is None or job not in self._withdrawn or task.cancelling() > 1:
            return False
        task.uncancel()
        return True

    def _in_time(self, job: SlideJob, before: Iterable[SlideJob]) -> bool:
        stop_time = self._stop_time
        if stop_time is None:
            return True
        left = stop_time.at - self._clock.monotonic()
        kept = stop_time.hard and not self._scheduler.has_unresumable  # whatever of it is sent by then
        if left > 0 and (kept or self._seconds(job, before) <= left):
            return True
        if not self._said:
            self._said = True
            self._say()
        return False

    def _seconds(self, job: SlideJob, before: Iterable[SlideJob]) -> float:
        """Estimate the seconds until the slide is there too; 0 where nobody knows."""
        rate = self.rate
        if rate is None:
            return 0.0
        together = (job.bytes_left + sum(other.bytes_left for other in before)) / max(rate, 1.0)
        if not self._scheduler.has_unresumable:
            return together
        # Each file is one stream; where several share the line, it may have no more than its part.
        largest = min(max((file.size for file in job.slide.files), default=0), job.bytes_left)
        return max(together, largest * max(self._scheduler.connections, 1) / max(rate, 1.0))
