"""Retries of single requests: exponential backoff with full jitter, a limit of attempts, and a budget.

Owns no state beyond the budget of each `Retry`. Decision 16 (docs/decisions) says why no library does this.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeVar

from .errors import PmarepError, Remedy

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RETRY_AFTER = 60.0
"""Seconds that one request waits because a server asks for it (`Retry-After`). More is for the whole site to wait."""

MIN_RETRY_PERIOD = 30.0
"""Seconds in which a request is repeated however short `max_seconds` is: five attempts that fail at once take ten."""

FIRST_BACKOFF, MAX_BACKOFF = 0.5, 15.0  # seconds


class Retry:
    """Repeats a request whose error has the remedy RETRY. Limit: 5 attempts; lost: what this one request had sent.

    Pauses are random up to 0.5, 1, 2, ... seconds and never longer than 15 (the "full jitter" of AWS's architecture
    blog), or as long as the server asks for. Retries are at most `SHARE` of all requests with `RESERVE` on top, a retry
    budget: a server in trouble is not hit all the harder for it. When it is used up, errors are raised at once.
    `max_seconds`: seconds after the beginning in which another attempt is decided on; its pause comes on top, and it
    may last as long as silence may.
    None begins when answers that were given up have taken so long together, be it less than `MIN_RETRY_PERIOD`.
    """

    SHARE = 0.2
    RESERVE = 20.0

    def __init__(
        self,
        attempts: int = 5,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        *,
        max_seconds: float = inf,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self.max_seconds = max_seconds
        self.monotonic = monotonic
        self.sleep = sleep
        self._budget = self.RESERVE

    def take(self, error: PmarepError, made: int) -> bool:
        """Take another attempt off the budget, after so many; return whether there is one."""
        if error.remedy is not Remedy.RETRY or made >= self._attempts:
            return False
        if self._budget < 1 or requested_delay(error) > MAX_RETRY_AFTER:
            return False
        self._budget -= 1
        return True

    def attempts(self, still_useful: Callable[[], bool] = lambda: True) -> Attempts:
        """Begin a request.

        `still_useful`: return whether another attempt makes sense, as far as other requests have found out.
        """
        self._budget = min(self._budget + self.SHARE, self.RESERVE)
        return Attempts(self, still_useful)

    async def __call__(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `work`. Raises what its last attempt raised."""
        attempts = self.attempts()
        while True:
            with attempts:
                return await work()
            await attempts.pause()


class Attempts:
    """The attempts at one request.

        attempts = retry.attempts()
        while True:
            with attempts:
                return await send()
            await attempts.pause()

    An error after which there is another attempt ends with the block; all others leave it.
    """

    def __init__(self, retry: Retry, still_useful: Callable[[], bool]) -> None:
        self._retry = retry
        self._still_useful = still_useful
        self._end = retry.monotonic() + max(retry.max_seconds, MIN_RETRY_PERIOD)
        self._made = 0
        self._given_up_after = 0.0  # seconds
        self._pause = 0.0

    def __enter__(self) -> None:
        """Begin an attempt."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, PmarepError) and self.may_repeat(error)

    def may_repeat(self, error: PmarepError) -> bool:
        """Return whether there is another attempt after this failure, and take it off the budget."""
        self._made += 1
        self._given_up_after += float(getattr(error, "took", 0.0))
        now, limit = self._retry.monotonic(), self._retry.max_seconds
        in_time = now < self._end and (self._given_up_after < limit or self._given_up_after == 0)
        if not self._still_useful() or not in_time or not self._retry.take(error, self._made):
            return False
        log.info("attempt %d failed, trying again: %s", self._made, error)
        self._pause = max(backoff(self._made), requested_delay(error))
        return True

    async def pause(self) -> None:
        """Wait for the next attempt. The error is gone by now, and with it the frames that it held open."""
        await self._retry.sleep(self._pause)


def backoff(attempt: int) -> float:
    """Return a random pause in seconds after the given number of failed attempts."""
    return random.uniform(0, min(FIRST_BACKOFF * 2.0 ** min(attempt - 1, 10), MAX_BACKOFF))  # noqa: S311


def requested_delay(error: BaseException | None) -> float:
    """Return how many seconds a server asks to be left alone (`Retry-After`), 0 where it does not."""
    return float(getattr(error, "retry_after", None) or 0.0)


ONCE = Retry(attempts=1)
"""The policy of whoever repeats nothing."""
