"""A semaphore for blocking work in threads, any of which may hang for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


class ReleasingSemaphore:
    """Allows `at_once` at a time; one that takes longer than `slow` seconds releases its place to the next."""

    def __init__(self, at_once: int, slow: float) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._slow = slow

    async def run(
        self,
        begin: Callable[[], asyncio.Future[T]],
        slow: Callable[[], None] | None = None,
        rest: Callable[[asyncio.Future[T]], Awaitable[T]] | None = None,
    ) -> T:
        """Return what `begin` brings. `slow` is called if it loses its place, and then `rest` waits for it.

        Being cancelled cancels it.
        """
        async with self._free:
            work = begin()
            try:
                done, _ = await asyncio.wait({work}, timeout=self._slow)
            except asyncio.CancelledError:
                work.cancel()
                raise
        if not done and slow is not None:
            slow()
        return await (work if done or rest is None else rest(work))


def consume_exception(future: asyncio.Future[Any]) -> None:
    """Mark a future's exception as retrieved, so that asyncio does not log one that nobody waits for."""
    if not future.cancelled():
        future.exception()
