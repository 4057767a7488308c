"""One request with slide bytes on its way: as one body, or as several that race over connections of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from enum import Enum, auto
from typing import Protocol

from ...clock import Clock

SMALLEST_PIECE, LARGEST_PIECE = 16 * 1024, 256 * 1024  # bytes given to a socket at once
SLOW_PIECE, FAST_PIECE = 0.5, 0.02
"""Seconds that one takes, after which the next are smaller or larger: what a socket does not take at once lies in
memory, and on a long way there are many sockets."""

PACE_SECONDS = 4.0
"""What a request's pace is judged by: about the last seconds in which it moved ..."""

PACE_AFTER = 512 * 1024
"""... and no earlier than after so many bytes, since the first ones only fill buffers ..."""

RECENT_SECONDS = 2.0
"""... or after so long: one that has not sent that many by then is slow."""


MOST_ATTEMPTS = 3
"""Deliveries of one request. A loss in its first second can make each of them slow, but hardly all."""


class HedgeMode(Enum):
    """Whether the site takes a request twice at the same time."""

    NEVER = auto()
    ANY_ORDER = auto()  # and what comes later makes no difference
    LAST_WINS = auto()  # and what comes last counts: none may come after the end, and all have to be answered the same


class TransferObserver(Protocol):
    """What a body goes over, and who counts its bytes: a site's RequestScheduler."""

    clock: Clock

    def throttle(self, chunk: bytes) -> AsyncIterator[tuple[bytes, bool]]:
        """The chunk in pieces, each when it may go, and whether it had to wait for that."""

    def record_sent(self, count: int, held_back: bool = False, *, again: bool = False) -> None:
        """The network has taken bytes; `again`: that are under way already."""

    def settle(self, bytes_in_flight: int, arrived: int) -> None:
        """So many bytes are not under way any more, and so many have arrived."""


class UploadBody:
    """The bytes of one request. They count as under way until the site has acknowledged the request.

    `new_connection`: it goes over another connection than those of before.
    """

    def __init__(self, observer: TransferObserver, size: int, *, new_connection: bool = False) -> None:
        self._observer = observer
        self.size = size
        self.new_connection = new_connection
        self._bytes = 0
        self.may_arrive = size == 0  # all of it, even if it is broken off or fails
        self.all_out = size == 0  # the same of this time, where it goes again
        self._began: float | None = None
        self._waits_since: float | None = None  # with a piece that the network has not taken yet
        self._pace_bytes, self._pace_seconds = 0.0, 0.0

    @property
    def left(self) -> int:
        """Bytes that are not sent yet."""
        return self.size - self._bytes

    @property
    def seconds(self) -> float | None:
        """How long it takes from here at its pace; None as long as nobody knows that."""
        if self._began is None:
            return None
        now = self._observer.clock.monotonic()
        if self._bytes >= PACE_AFTER and self._pace_seconds >= 1:
            waits = 0.0 if self._waits_since is None else now - self._waits_since
            return self.left * (self._pace_seconds + waits) / self._pace_bytes
        age = now - self._began
        return None if age < RECENT_SECONDS else self.left * age / max(self._bytes, 1)

    def _moved(self, count: int, seconds: float) -> None:
        self._bytes += count
        if self._bytes < PACE_AFTER:
            return
        self._pace_bytes += count
        self._pace_seconds += seconds
        if self._pace_seconds > PACE_SECONDS:
            self._pace_bytes /= 2
            self._pace_seconds /= 2

    async def carry(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Pass source bytes on at the pace of the observer, and count them.

        From the beginning, where it is sent once more since the connection was closed.
        The socket's time-out is for one piece. On a slow line pieces get smaller, so that it strikes where nothing
        moves, and never where it only takes long.
        """
        clock, size, took = self._observer.clock, LARGEST_PIECE, 0.0
        self.settle(arrived=False)
        self._began = clock.monotonic()
        async for chunk in chunks:
            start = 0
            while start < len(chunk):
                async for piece, held_back in self._observer.throttle(chunk[start : start + size]):
                    self._waits_since = began = clock.monotonic()
                    self.all_out = self._bytes + len(piece) >= self.size
                    self.may_arrive |= self.all_out
                    yield piece
                    self._waits_since = None
                    took = clock.monotonic() - began
                    self._moved(len(piece), took)
                    self._observer.record_sent(len(piece), held_back, again=self.new_connection)
                start += size
                if took > SLOW_PIECE:
                    size = max(size // 2, SMALLEST_PIECE)
                elif took < FAST_PIECE:
                    size = min(size * 2, LARGEST_PIECE)
            del chunk  # while it waits, it holds nothing in memory

    def settle(self, arrived: bool) -> None:
        self._observer.settle(0 if self.new_connection else self._bytes, self._bytes if arrived else 0)
        self._bytes = 0


class HedgedRequest:
    """One request, by one body or by several that race: what HedgingPolicy looks at, an `InFlight`."""

    def __init__(self, first: UploadBody, how: HedgeMode) -> None:
        self._deliveries = [first]
        self._how = how
        self.size = first.size
        self.arrived = False
        self.slow: asyncio.Future[None] | None = None
        self._wait_for_help()

    def join(self, body: UploadBody) -> None:
        self._deliveries.append(body)
        self._wait_for_help()

    def _wait_for_help(self) -> None:
        # One of a single piece may arrive as soon as it has begun.
        worth_it = self._how is not HedgeMode.NEVER and self.size > LARGEST_PIECE
        more = worth_it and len(self._deliveries) < MOST_ATTEMPTS
        self.slow = asyncio.get_running_loop().create_future() if more else None

    @property
    def left(self) -> int:
        return min(body.left for body in self._deliveries)

    @property
    def seconds(self) -> float | None:
        each = [seconds for body in self._deliveries if (seconds := body.seconds) is not None]
        return min(each) if len(each) == len(self._deliveries) else None
