"""Passing failures are tried again, after pauses that grow and are random, so that nobody retries in step."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeVar

import tenacity

from .errors import PmarepError, Remedy

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_RETRY_AFTER = 60.0
"""Seconds that one request waits because a server asks for it (`Retry-After`). More is for the whole site to wait."""


MIN_RETRY_PERIOD = 30.0
"""Seconds in which a request is tried again however impatient somebody is: five attempts that fail at once take ten."""


class Retry:
    """Tries a request again as long as its error's remedy says so, `attempts` times in all.

    Pauses are random up to 0.5, 1, 2, ... seconds and never longer than 15 (the "full jitter" of AWS's architecture
    blog), or as long as the server asks for. Retries are at most `SHARE` of all requests with `RESERVE` on top: a
    server in trouble is not hit all the harder for it. When they are used up, the first error counts.
    `longest`: seconds after the beginning in which another attempt begins: each may last as long as silence may. None
    begins when answers that were given up have taken so long together, be it less than `MIN_RETRY_PERIOD`.
    """

    SHARE = 0.2
    RESERVE = 20.0

    def __init__(
        self,
        attempts: int = 5,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        *,
        longest: float = inf,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self._longest = longest
        self._monotonic = monotonic
        self._sleep = sleep
        self._left = self.RESERVE

    async def __call__(self, work: Callable[[], Awaitable[T]], *, worth: Callable[[], bool] = lambda: True) -> T:
        """Raises what the last attempt raised; errors that another try does not help at once.

        `worth`: whether another try makes sense, as far as others have found out.
        """
        self._left = min(self._left + self.SHARE, self.RESERVE)
        last, waited = self._monotonic() + max(self._longest, MIN_RETRY_PERIOD), 0.0
        # Most requests need none of tenacity, whose preparations take a good part of what a request does.
        try:
            return await work()
        except PmarepError as error:
            first: PmarepError | None = error

        async def attempt() -> T:
            nonlocal first
            if first is not None:
                try:
                    raise first
                finally:
                    first = None  # else it would hold its frames, and they it, with all that they have open
            return await work()

        def in_time(error: BaseException | None) -> bool:
            nonlocal waited
            waited += float(getattr(error, "took", 0.0))
            return self._monotonic() < last and (waited < self._longest or waited == 0)

        result: T = await tenacity.AsyncRetrying(
            retry=lambda state: worth() and in_time(_error(state)) and self._again(state),
            wait=_pause,
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )(attempt)
        return result

    def _again(self, state: tenacity.RetryCallState) -> bool:
        error = _error(state)
        if not isinstance(error, PmarepError) or error.remedy is not Remedy.RETRY:
            return False
        if state.attempt_number >= self._attempts or self._left < 1 or requested_delay(error) > MAX_RETRY_AFTER:
            return False
        self._left -= 1
        return True


_jitter = tenacity.wait_random_exponential(multiplier=0.5, max=15)


def _pause(state: tenacity.RetryCallState) -> float:
    return max(_jitter(state), requested_delay(_error(state)))


def _error(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def requested_delay(error: BaseException | None) -> float:
    """Seconds that a server wants to be left alone, 0 where it does not say."""
    return float(getattr(error, "retry_after", None) or 0.0)


def _log_retry(state: tenacity.RetryCallState) -> None:
    log.info("attempt %d failed, trying again: %s", state.attempt_number, _error(state))
