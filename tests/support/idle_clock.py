"""A clock for whole pushes that skips what is waited for, and that no busy machine confuses."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx
import pytest

from pmarep.clock import Clock
from pmarep.pmacore.pooled_transport import PooledTransport


class IdleClock(Clock):
    """As fast as time while a request or a thread's work is under way; otherwise it jumps to when a sleeper wakes.

    So servers and disks may be slow: nobody's patience ends meanwhile, and no pause is over. `in_process.push` lets it
    see what is under way.
    """

    MOMENT = 0.001  # seconds without any of these after which nobody seems to do anything

    def __init__(self) -> None:
        self._ahead = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []  # heap
        self._numbers = itertools.count()
        self._ticking = False
        self._under_way = self._begun = self._seen = 0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        sleeper = self.monotonic() + seconds, next(self._numbers), asyncio.Event()
        heapq.heappush(self._sleepers, sleeper)
        self._tick_again()
        try:
            await sleeper[2].wait()
        finally:
            if not sleeper[2].is_set():  # cancelled
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    def _tick_again(self) -> None:
        if self._sleepers and not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(self.MOMENT, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        idle = self._under_way == 0 and self._seen == self._begun
        self._seen = self._begun
        if self._sleepers and idle:
            self._ahead += max(0.0, self._sleepers[0][0] - self.monotonic())
        while self._sleepers and self._sleepers[0][0] <= self.monotonic():
            heapq.heappop(self._sleepers)[2].set()
        self._tick_again()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """See the requests of this process, and the threads' work of the running loop, within the block."""
        self._ticking = False  # the loop of an earlier run has taken its tick away
        if not _watching:
            _patch()
        _watching.append(self)
        try:
            yield
        finally:
            _watching.remove(self)
            if not _watching:
                _patches.undo()

    def begin(self) -> None:
        """Count something that is under way now."""
        self._begun += 1
        self._under_way += 1

    def end(self) -> None:
        """Count something as no longer under way."""
        self._under_way -= 1


_watching: list[IdleClock] = []
_patches = pytest.MonkeyPatch()


def _patch() -> None:
    handle, loop = PooledTransport.handle_async_request, asyncio.get_running_loop()
    run: Callable[..., asyncio.Future[Any]] = loop.run_in_executor

    async def counted_request(transport: PooledTransport, request: httpx.Request) -> httpx.Response:
        end = _begin()
        try:
            answer = await handle(transport, request)
        except BaseException:
            end()
            raise
        answer.stream = _Watched(cast(httpx.AsyncByteStream, answer.stream), end)
        return answer

    def counted_work(*work: Any) -> asyncio.Future[Any]:
        end = _begin()
        running = run(*work)
        running.add_done_callback(lambda _: end())
        return running

    _patches.setattr(PooledTransport, "handle_async_request", counted_request)
    _patches.setattr(loop, "run_in_executor", counted_work)


def _begin() -> Callable[[], None]:
    """Tell all clocks that something is under way; return what tells them that it has ended."""
    told = list(_watching)
    for clock in told:
        clock.begin()

    def end() -> None:
        for clock in told:
            clock.end()

    return end


class _Watched(httpx.AsyncByteStream):
    """The body of an answer. `ended` is called once, when it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, ended: Callable[[], None]) -> None:
        self._stream = stream
        self._ended: Callable[[], None] | None = ended

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        ended, self._ended = self._ended, None
        try:
            await self._stream.aclose()
        finally:
            if ended is not None:
                ended()
