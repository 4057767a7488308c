"""Limits for answers that come a drop at a time: what says a byte now and then breaks no limit of silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from math import inf
from types import TracebackType
from typing import Any, Self

import httpx

from ..units import format_duration
from .errors import TooSlow, TransferBroken

SLOWEST_ANSWER = 1024
"""Bytes per second at which an answer comes at least, on average: a listing of 10 MB may take hours, a byte every two
seconds not much longer than silence."""

SLOWEST_DOWNLOAD = 1024
"""Bytes per second at which a file comes back at least, on average over the limit of silence."""

_BODY_ENDED = "send_request_body.complete", "send_request_body.failed"


class ResponseDeadline:
    """`async with`: the answer has to be complete in time. Raises TooSlow.

    In as much time as silence may last, and a second more for each `SLOWEST_ANSWER` bytes that have come: say `came`.
    `who` answers, `extra` is what it gets on top, in seconds. Where a body is sent, which may take hours, time begins
    when its last byte has gone: say `sending`. `longest`: seconds that it gets at most once the request goes out over a
    connection, whatever silence may last. `traced` hears when a request goes out, and when its body has gone, or is
    broken off since the answer has come before.
    """

    def __init__(
        self,
        who: str,
        timeout: httpx.Timeout,
        extra: float = 0.0,
        *,
        sending: bool = False,
        longest: float = inf,
    ) -> None:
        silence, connecting = timeout.read, timeout.connect or 0.0
        self._seconds = None if silence is None else min(silence, longest) + connecting + extra
        self._once_connected = None if silence is None or longest > silence else longest + extra
        self._who = who
        self._sending = sending
        self._limit = asyncio.timeout(None)

    def _begin(self) -> None:
        if self._seconds is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    def came(self, count: int) -> None:
        """Extend the deadline by the time that bytes of the answer's body may take."""
        if (end := self._limit.when()) is not None:
            self._limit.reschedule(end + count / SLOWEST_ANSWER)

    def traced(
        self, trace: Callable[[str, Mapping[str, Any]], Awaitable[None]]
    ) -> Callable[[str, Mapping[str, Any]], Awaitable[None]]:
        """Wrap a request's `trace`: what is left of the time to connect is not left for the answer."""

        async def on_event(name: str, info: Mapping[str, Any]) -> None:
            await trace(name, info)
            if self._sending and name.endswith("send_request_headers.started"):
                self._limit.reschedule(None)  # it may be sent once more
            elif self._sending and name.endswith(_BODY_ENDED):
                self._begin()
            elif self._once_connected is not None and name.endswith("send_request_headers.started"):
                self._seconds = self._once_connected
                self._begin()

        return on_event

    async def __aenter__(self) -> Self:
        await self._limit.__aenter__()
        if not self._sending:
            self._begin()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError:
            took = self._seconds or 0.0
            raise TooSlow(
                f"{self._who} does not come to the end of an answer, hardly moving for {format_duration(took)}", took
            ) from None


async def iter_at_minimum_rate(
    chunks: AsyncIterator[bytes], response: httpx.Response, who: str, silence: float | None
) -> AsyncGenerator[bytes, None]:
    """Yield the chunks of the body of an answer.

    Raises TransferBroken where less than SLOWEST_DOWNLOAD comes for `silence` seconds.
    """
    while True:
        coming = asyncio.ensure_future(_next(chunks))
        try:
            await _watch(coming, response, who, silence)
            chunk = coming.result()
        finally:
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
        if chunk is None:
            return
        yield chunk


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)


async def _watch(coming: asyncio.Future[bytes | None], response: httpx.Response, who: str, limit: float | None) -> None:
    """Wait for a chunk. Raises TransferBroken where less than SLOWEST_DOWNLOAD comes for `limit` seconds."""
    while True:
        before = response.num_bytes_downloaded
        await asyncio.wait({coming}, timeout=limit)
        if coming.done():
            return
        rate = (response.num_bytes_downloaded - before) / (limit or 1.0)
        if rate < SLOWEST_DOWNLOAD:
            raise TransferBroken(f"{who} gives a file back too slowly ({rate:.0f} bytes/s)")
