"""The end of a run that has to end by a time: near it, a site begins only what can be there by then."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from ...clock import Clock
from ...uploaders import RequestScheduler
from ..stop_time import StopTime
from .queue import SlideJob

OVER, AT_LEAST = 60.0, 3.0
"""Seconds in which something went to the site that its rate is measured over."""


class DeadlineAdmission:
    """Of one site, with the slides that it has in hand. `say` is called when the first one is not begun, or no more."""

    def __init__(
        self, ending: StopTime | None, scheduler: RequestScheduler, clock: Clock, say: Callable[[], None]
    ) -> None:
        self._ending = ending
        self._scheduler = scheduler
        self._clock = clock
        self._say = say
        self._said = False
        self._rates: deque[tuple[float, int]] = deque()  # seconds in which something went, and bytes
        self._before: tuple[float, int] | None = None
        self.in_hand: dict[str, tuple[SlideJob, asyncio.Task[bool]]] = {}  # slides by their paths

    @property
    def rate(self) -> float | None:
        """Bytes per second, lately; None as long as it is not known."""
        seconds = sum(seconds for seconds, _ in self._rates)
        return sum(moved for _, moved in self._rates) / seconds if seconds >= AT_LEAST else None

    def look(self) -> None:
        """About once a second: measure, and give up slides that wait for their turn to be sent and would come late."""
        now, carried = self._clock.monotonic(), self._scheduler.bytes_transferred
        if self._before is not None and self._scheduler.connections:
            self._rates.append((now - self._before[0], max(carried - self._before[1], 0)))
            while sum(seconds for seconds, _ in self._rates) > OVER:
                self._rates.popleft()
        self._before = now, carried
        surely = [errand for errand, _ in self.in_hand.values() if errand.attempt.begun]
        for errand, attempt in self.in_hand.values():
            if errand.begun and not errand.attempt.begun:
                if self._in_time(errand, surely):
                    surely.append(errand)
                else:
                    attempt.cancel()

    def may_begin(self, errand: SlideJob) -> bool:
        """Whether a slide can be there in time, after all that are in hand."""
        return self._in_time(errand, [errand for errand, _ in self.in_hand.values()])

    async def attempt(self, errand: SlideJob, work: Coroutine[Any, Any, bool]) -> bool:
        """Do it, and return and raise as it does; False too where it was given up before anything was sent."""
        task = asyncio.create_task(work)
        self.in_hand[errand.slide.path] = errand, task
        try:
            await asyncio.wait({task})
            if task.cancelled():
                errand.begun = False
                return False
            return task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            del self.in_hand[errand.slide.path]

    def _in_time(self, errand: SlideJob, before: Iterable[SlideJob]) -> bool:
        ending = self._ending
        if ending is None:
            return True
        left = ending.at - self._clock.monotonic()
        kept = ending.hard and not self._scheduler.has_unresumable  # whatever of it is sent by then
        if left > 0 and (kept or self._seconds(errand, before) <= left):
            return True
        if not self._said:
            self._said = True
            self._say()
        return False

    def _seconds(self, errand: SlideJob, before: Iterable[SlideJob]) -> float:
        """How long it takes until it is there too; 0 where nobody knows."""
        rate = self.rate
        if rate is None:
            return 0.0
        together = (errand.left + sum(other.left for other in before)) / max(rate, 1.0)
        if not self._scheduler.has_unresumable:
            return together
        # Each file is one stream; where several share the line, it may have no more than its part.
        largest = min(max((file.size for file in errand.slide.files), default=0), errand.left)
        return max(together, largest * max(self._scheduler.connections, 1) / max(rate, 1.0))
