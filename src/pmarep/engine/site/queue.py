"""What a site still has to do: slides that are new to it, and those that are to be tried again after a while."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ...aio import ChangeEvent
from ...clock import Clock
from ...slides import Slide
from ...uploaders import TransferCounts
from ..circuit_breaker import LONGEST_PAUSE

FRUITLESS_ATTEMPTS = 3
"""So often at least a slide is tried in one run without coming farther, each time with retries ..."""

SLIDES_SHARE = 10
"""... and for at least this part of the patience that its site gets; then it waits for the next run."""

SECOND_PAUSE = 4.0  # seconds, at most: the pause after a second failure; the first is half as long, the third twice


@dataclass(slots=True, eq=False)
class SlideJob:
    """One slide on its way to one site, over all attempts of a run. Times are the clock's, in seconds.

    `sent`: of all attempts together; `attempt`: of the one that goes on. `due`: when it may be tried next. `sending`:
    whether the last attempt came so far that something was to be sent. `error`: what it failed with last. `ended`: it
    is over in this run.
    """

    slide: Slide
    started: float
    sent: TransferCounts = field(default_factory=TransferCounts)
    attempt: TransferCounts = field(default_factory=TransferCounts)
    due: float = 0.0
    begun: bool = False
    sending: bool = False
    error: str | None = None
    ended: bool = False
    _farthest: int = 0  # bytes
    _fruitless: int = 0  # attempts since it came so far
    _since: float | None = None

    @property
    def left(self) -> int:
        """Bytes that the site does not have yet, as far as is known."""
        had = self.attempt.bytes + self.attempt.resumed or self.sent.bytes + self.sent.resumed
        return max(self.slide.size - had, 0)

    def failed(self, come: int, now: float, *, away: bool, patience: float, sent: int = 0) -> bool:
        """An attempt that came so many bytes far, `sent` of them itself. True if another makes sense, after `due`.

        `away`: it was the site's failure, so that it does not count; unless the site has taken bytes a second time.
        """
        away = away and not (sent and come <= self._farthest)
        if away or come > self._farthest or self._since is None:
            self._since = now
        self._fruitless = 0 if come > self._farthest else self._fruitless + (not away)
        self._farthest = max(self._farthest, come)
        left = self._since + patience / SLIDES_SHARE - now
        if self._fruitless >= FRUITLESS_ATTEMPTS and left <= 0:
            return False
        self.due = now
        if patience and not away:
            longest = min(SECOND_PAUSE * 2.0 ** min(self._fruitless - 2, 10), LONGEST_PAUSE)
            pause = random.uniform(0, longest)  # noqa: S311
            self.due += min(pause, left) if left > 0 else pause  # the last one when its time is over
        return True


class SlideQueue:
    """Of one site, for all its lanes. Slides that have failed go before new ones as soon as they are due."""

    def __init__(self, source: Callable[[], Awaitable[Slide | None]], clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._coming: asyncio.Future[Slide | None] | None = None
        self._ended = False
        self._waiting: list[tuple[float, int, SlideJob]] = []  # a heap by when they are due
        self._number = 0
        self._changed = ChangeEvent()

    @property
    def at_the_end(self) -> bool:
        """Whether none is left to take, those apart that may be put back."""
        return (self._ended or _is_end(self._coming)) and not self._waiting

    async def take(self, *, new_first: bool = False) -> SlideJob | None:
        """The next errand, None at the end; several takers never get the same one. Raises what the source raises.

        `new_first`: one that has not failed yet, if there is one, although others are due: where it is in question
        whether slides or the site are to blame.
        """
        while True:
            if self._coming is None and not self._ended:
                self._coming = asyncio.ensure_future(self._source())
                await asyncio.sleep(0)  # it may have one at hand
                continue
            now = self._clock.monotonic()
            due = bool(self._waiting) and self._waiting[0][0] <= now
            if self._coming is not None and self._coming.done() and (new_first or not due):
                coming, self._coming = self._coming, None
                slide = coming.result()
                if slide is not None:
                    return SlideJob(slide, now)
                self._ended = True
            elif due:
                return heapq.heappop(self._waiting)[2]
            elif self._ended and not self._waiting:
                return None
            else:
                await self._wait(self._waiting[0][0] - now if self._waiting else None)

    def put_back(self, errand: SlideJob) -> None:
        """It has failed, and is to be tried again when it is due."""
        self._number += 1
        heapq.heappush(self._waiting, (errand.due, self._number, errand))
        self._changed.notify()

    def give_up(self) -> Iterator[SlideJob]:
        """Those that have failed and are not tried again."""
        while self._waiting:
            yield heapq.heappop(self._waiting)[2]

    async def _wait(self, seconds: float | None) -> None:
        """Until there may be one to take."""
        tasks: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._changed.wait())]
        if seconds is not None:
            tasks.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        coming: list[asyncio.Future[Any]] = [] if self._coming is None else [self._coming]
        try:
            await asyncio.wait([*tasks, *coming], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def close(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)


def _is_end(coming: asyncio.Future[Slide | None] | None) -> bool:
    return (
        coming is not None
        and coming.done()
        and not coming.cancelled()
        and coming.exception() is None
        and coming.result() is None
    )
