"""Bytes of one request as they leave this machine: cut into pieces, throttled, and counted.

An `UploadBody` owns what is known of its own progress; totals of the site are its observer's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from ...clock import Clock

SMALLEST_PIECE, LARGEST_PIECE = 16 * 1024, 256 * 1024  # bytes given to a socket at once
SLOW_PIECE, FAST_PIECE = 0.5, 0.02
"""Seconds that a piece takes, beyond which the next are smaller, or below which they are larger: what a socket does not
take at once lies in memory, and over a long round trip there are many sockets."""

RATE_WINDOW_SECONDS = 4.0
"""A request's rate is measured over about the last seconds in which it moved ..."""

RATE_AFTER_BYTES = 512 * 1024
"""... and not before it has sent so many bytes, since the first ones only fill buffers ..."""

RATE_AFTER_SECONDS = 2.0
"""... or not before it is so old: a request that has not sent that many by then is slow."""


class TransferObserver(Protocol):
    """Throttles the bytes of a body and counts them: a site's RequestScheduler."""

    clock: Clock

    def throttle(self, chunk: bytes) -> AsyncGenerator[tuple[bytes, bool], None]:
        """Yield the chunk in pieces, each when a bandwidth limit lets it go, and whether it had to wait for that."""

    def record_sent(self, count: int, held_back: bool = False, *, again: bool = False) -> None:
        """Count bytes that the network has taken. `again`: a copy of them is in flight already."""

    def record_end(self, bytes_in_flight: int, acknowledged: int) -> None:
        """Take bytes out of those in flight, and count those of them that the site has acknowledged."""


class UploadBody:
    """The bytes of one request, which count as in flight until the site has acknowledged the request.

    `new_connection`: it is a hedge, so it goes over a connection that no request has used before, and its bytes are
    in flight already. `may_arrive`: all of it has been handed to the network at least once, so the site may have it
    even if the request fails; `all_sent`: the same of the present attempt, where the HTTP client repeats it.
    """

    def __init__(self, observer: TransferObserver, size: int, *, new_connection: bool = False) -> None:
        self._observer = observer
        self.size = size
        self.new_connection = new_connection
        self._bytes = 0
        self.may_arrive = size == 0
        self.all_sent = size == 0
        self._began: float | None = None
        self._blocked_since: float | None = None  # since when the network has not taken the present piece
        self._window_bytes, self._window_seconds = 0.0, 0.0  # that the rate is measured over

    @property
    def bytes_left(self) -> int:
        """Bytes that are not sent yet."""
        return self.size - self._bytes

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is sent at the present rate; None as long as that is not known."""
        if self._began is None:
            return None
        now = self._observer.clock.monotonic()
        if self._bytes >= RATE_AFTER_BYTES and self._window_seconds >= 1:
            blocked = 0.0 if self._blocked_since is None else now - self._blocked_since
            return self.bytes_left * (self._window_seconds + blocked) / self._window_bytes
        age = now - self._began
        return None if age < RATE_AFTER_SECONDS else self.bytes_left * age / max(self._bytes, 1)

    async def stream(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield source bytes in throttled pieces, and count each once the network has taken it.

        Close the generator of the source bytes in the end, also where sending is broken off.
        Called again, where the HTTP client repeats a request whose connection was closed, it counts from the beginning.
        The socket's time-out is for one piece: on a slow line pieces get smaller, so that it ends a request that
        does not move, and never one that only takes long.
        """
        clock, size, took = self._observer.clock, LARGEST_PIECE, 0.0
        self.reset(acknowledged=False)
        self._began = clock.monotonic()
        async with aclosing(chunks):
            async for chunk in chunks:
                start = 0
                while start < len(chunk):
                    async with aclosing(self._observer.throttle(chunk[start : start + size])) as pieces:
                        async for piece, held_back in pieces:
                            self._blocked_since = began = clock.monotonic()
                            self.all_sent = self._bytes + len(piece) >= self.size
                            self.may_arrive |= self.all_sent
                            yield piece
                            self._blocked_since = None
                            took = clock.monotonic() - began
                            self._count(len(piece), took)
                            self._observer.record_sent(len(piece), held_back, again=self.new_connection)
                    start += size
                    if took > SLOW_PIECE:
                        size = max(size // 2, SMALLEST_PIECE)
                    elif took < FAST_PIECE:
                        size = min(size * 2, LARGEST_PIECE)
                del chunk  # while it waits for the next, it holds nothing in memory

    def _count(self, count: int, seconds: float) -> None:
        self._bytes += count
        if self._bytes < RATE_AFTER_BYTES:
            return
        self._window_bytes += count
        self._window_seconds += seconds
        if self._window_seconds > RATE_WINDOW_SECONDS:
            self._window_bytes /= 2
            self._window_seconds /= 2

    def reset(self, acknowledged: bool) -> None:
        """End the present attempt: its bytes are not in flight any more; `acknowledged` if the site has them."""
        self._observer.record_end(0 if self.new_connection else self._bytes, self._bytes if acknowledged else 0)
        self._bytes = 0
