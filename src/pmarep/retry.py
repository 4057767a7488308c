"""Passing failures are tried again, after pauses that grow and are random, so that nobody retries in step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import tenacity

from .pmacore.errors import PmaCoreError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Retry:
    """`attempts` in all; pauses are random up to 0.5, 1, 2, ... seconds and never longer than 15."""

    def __init__(self, attempts: int = 5, sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep) -> None:
        self._attempts = attempts
        self._sleep = sleep

    async def __call__(self, work: Callable[[], Awaitable[T]]) -> T:
        """Raises what the last attempt raised; errors that are not transient at once."""

        async def attempt() -> T:  # a function that tenacity recognises as async, as it does no lambda
            return await work()

        result: T = await tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, PmaCoreError) and e.transient),
            wait=tenacity.wait_random_exponential(multiplier=0.5, max=15),
            stop=tenacity.stop_after_attempt(self._attempts),
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )(attempt)
        return result


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info("attempt %d failed, trying again: %s", state.attempt_number, error)
