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
    `max_seconds`: seconds after the beginning in which another attempt begins; each may last as long as silence may.
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
        self._max_seconds = max_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._budget = self.RESERVE

    async def __call__(self, work: Callable[[], Awaitable[T]], *, still_useful: Callable[[], bool] = lambda: True) -> T:
        """Return the result of `work`. Raises what its last attempt raised.

        `still_useful`: return whether another attempt makes sense, as far as other requests have found out.
        """
        self._budget = min(self._budget + self.SHARE, self.RESERVE)
        end = self._monotonic() + max(self._max_seconds, MIN_RETRY_PERIOD)
        attempt, given_up_after = 0, 0.0  # seconds
        while True:
            attempt += 1
            try:
                return await work()
            except PmarepError as error:
                given_up_after += float(getattr(error, "took", 0.0))
                in_time = self._monotonic() < end and (given_up_after < self._max_seconds or given_up_after == 0)
                if not still_useful() or not in_time or not self._may_repeat(error, attempt):
                    raise
                log.info("attempt %d failed, trying again: %s", attempt, error)
                pause = max(backoff(attempt), requested_delay(error))
            # The error is gone by now, and with it the frames that it held and all that they had open.
            await self._sleep(pause)

    def _may_repeat(self, error: PmarepError, attempt: int) -> bool:
        """Return whether there is another attempt, and take it off the budget."""
        if error.remedy is not Remedy.RETRY or attempt >= self._attempts:
            return False
        if self._budget < 1 or requested_delay(error) > MAX_RETRY_AFTER:
            return False
        self._budget -= 1
        return True


def backoff(attempt: int) -> float:
    """Return a random pause in seconds after the given number of failed attempts."""
    return random.uniform(0, min(FIRST_BACKOFF * 2.0 ** min(attempt - 1, 10), MAX_BACKOFF))  # noqa: S311


def requested_delay(error: BaseException | None) -> float:
    """Return how many seconds a server asks to be left alone (`Retry-After`), 0 where it does not."""
    return float(getattr(error, "retry_after", None) or 0.0)
