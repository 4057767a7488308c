"""Hedge the last requests to a site: send a slow one a second time over a new connection, and take what arrives first.

Streams over a long round trip differ much in what they carry, and it takes TCP many round trips to find out that there
is room on the line; a new connection finds out at once (slow start).

Measured, and not worth it: to hold back the streams that are ahead, to hedge all last requests at once, and to break a
slow one off instead of hedging it. See Dean and Barroso, "The Tail at Scale", for hedged requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from enum import Enum, auto
from typing import Protocol

from ...clock import Clock
from .body import LARGEST_PIECE, UploadBody

MOST_ATTEMPTS = 3
"""Attempts of one request at the same time. A loss in its first second can make each of them slow, but hardly all."""

CHECK_SECONDS = 0.1  # between two decisions
FULL_SECONDS = 5.0  # over which the rate of a full line is measured
IDLE_SECONDS, IDLE = 0.7, 0.6
"""A line that has carried less than this part of that rate, for so many seconds, has room."""

RAMP_ROUND_TRIPS = 10  # that a new connection takes until it is fast

CLEARLY = 1.3
"""So many times longer the rest has to take than the whole over a new connection."""


class HedgeMode(Enum):
    """How a site takes the same request twice at the same time."""

    NEVER = auto()  # it does not
    ANY_ORDER = auto()  # it does, and what comes later makes no difference
    LAST_WINS = auto()  # it keeps what comes last: none may come after the end, and all have to be answered the same


class InFlight(Protocol):
    """A request in flight, as HedgingPolicy sees it.

    `hedge_wanted` is done when it is to be sent once more; None where that makes no sense.
    """

    size: int  # bytes
    hedge_wanted: asyncio.Future[None] | None

    @property
    def bytes_left(self) -> int:
        """Bytes that are still to be sent."""

    @property
    def seconds_left(self) -> float | None:
        """Seconds that they take at the present rate; None as long as that is not known."""


class HedgedRequest:
    """A request that may have several attempts in flight, each with a body of its own."""

    def __init__(self, first: UploadBody, mode: HedgeMode) -> None:
        self.first = first
        self._bodies = [first]
        self.mode = mode
        self.size = first.size
        self.arrived = False
        self.hedge_wanted: asyncio.Future[None] | None = None
        self._offer_hedge()

    def add(self, body: UploadBody) -> None:
        """Add the body of another attempt."""
        self._bodies.append(body)
        self._offer_hedge()

    def _offer_hedge(self) -> None:
        # A request of a single piece may arrive as soon as it has begun.
        possible = self.mode is not HedgeMode.NEVER and self.size > LARGEST_PIECE
        more = possible and len(self._bodies) < MOST_ATTEMPTS
        self.hedge_wanted = asyncio.get_running_loop().create_future() if more else None

    @property
    def bytes_left(self) -> int:
        """Bytes that the attempt which is farthest has still to send."""
        return min(body.bytes_left for body in self._bodies)

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the fastest attempt takes; None as long as one of them may be faster than is known."""
        each = [seconds for body in self._bodies if (seconds := body.seconds_left) is not None]
        return min(each) if len(each) == len(self._bodies) else None


class HedgingPolicy:
    """Decides which requests of one scheduler are sent once more, once `enabled`.

    `few` returns the number of requests below which they fill no line; `in_flight` the requests that are; `rate` the
    bytes per second over the last so many seconds.
    """

    def __init__(
        self,
        clock: Clock,
        few: Callable[[], int],
        in_flight: Callable[[], Collection[InFlight]],
        rate: Callable[[float], float],
    ) -> None:
        self._clock = clock
        self._few = few
        self._in_flight = in_flight
        self._rate = rate
        self._full = 0.0  # bytes per second that the line has been seen to carry
        self._checked_at = float("-inf")
        self.round_trip = 0.0  # seconds
        self.enabled = False

    def check(self) -> None:
        """Ask for hedges if the line has room; to be called whenever bytes have moved, or none have for a while."""
        now = self._clock.monotonic()
        if not self.enabled or now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        self._full = max(self._full, self._rate(FULL_SECONDS))
        unfinished = [one for one in self._in_flight() if one.bytes_left > 0]
        if len(unfinished) < self._few() and self._rate(IDLE_SECONDS) < IDLE * self._full:
            self._request_hedges(unfinished)

    def _request_hedges(self, unfinished: Collection[InFlight]) -> None:
        """Ask for a hedge of the slowest requests, of as many as arrive sooner that way."""
        candidates = [one for one in unfinished if one.hedge_wanted is not None and not one.hedge_wanted.done()]
        known = [(seconds, one) for one in candidates if (seconds := one.seconds_left) is not None]
        others = sum(one.bytes_left for one in unfinished) - sum(one.bytes_left for _, one in known)
        arrives = RAMP_ROUND_TRIPS * self.round_trip + others / self._full
        for seconds, request in sorted(known, key=lambda need: need[0], reverse=True):
            arrives += request.size / self._full
            if seconds < arrives * CLEARLY:
                break
            if request.hedge_wanted is not None:
                request.hedge_wanted.set_result(None)
