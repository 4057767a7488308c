"""The end of a site's work: short requests wait until the long ones leave room, and those that losses have made slow
are sent once more in what the line has left.

Streams over a long way differ much in what they carry, and it takes TCP many round trips to find out that there is
room. A new one finds out at once (slow start). Measured, and not worth it: to hold back the streams that are ahead, to
begin all last requests at once, and to break a slow one off instead of racing it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from ...clock import Clock

LOOK = 0.1  # seconds
FULL_SECONDS = 5.0  # over which the rate of a full line is measured
IDLE_SECONDS, IDLE = 0.7, 0.6
"""A line that carried less than this part of that, for so long, has room."""

RAMP = 10  # round trips that a new connection takes until it is quick
FULL_FOR, STILL_FULL = 2.0, 0.8
"""A line that has carried this part of that for so many seconds is still full."""
LONG = 3
"""A request is a long one for others that have this part of its bytes, and take this part of the time that it needs."""

CLEARLY = 1.3
"""So many times longer the rest has to take than the whole over a new connection."""


class InFlight(Protocol):
    """A request that is under way, perhaps more than once. `slow` is done when it is to be sent once more; None where
    that makes no sense.
    """

    size: int  # bytes
    slow: asyncio.Future[None] | None

    @property
    def left(self) -> int:
        """Bytes that are still to be sent."""

    @property
    def seconds(self) -> float | None:
        """How long that takes; None as long as nobody knows."""


class HedgingPolicy:
    """Of one scheduler. `few`: fewer requests are the end. `rate`: bytes per second over the last so many seconds."""

    def __init__(
        self,
        clock: Clock,
        few: Callable[[], int],
        flying: Callable[[], Collection[InFlight]],
        rate: Callable[[float], float],
    ) -> None:
        self._clock = clock
        self._few = few
        self._in_flight = flying
        self._rate = rate
        self._full = 0.0  # bytes per second: what the line has been seen to carry
        self._looked_at = self._let_go = float("-inf")
        self.round_trip = 0.0  # seconds
        self.on = False

    def look(self) -> None:
        """Whenever something has moved, or nothing for a while."""
        now = self._clock.monotonic()
        if not self.on or now - self._looked_at < LOOK:
            return
        self._looked_at = now
        self._full = max(self._full, self._rate(FULL_SECONDS))
        rests = [one for one in self._in_flight() if one.left > 0]
        if len(rests) < self._few() and self._rate(IDLE_SECONDS) < IDLE * self._full:
            self._call_for_help(rests)

    def keeps(self, size: int) -> bool:
        """Whether a request of so many bytes had better wait: it can fill the line when the long ones no longer do.

        Files to a file system are sent whole and once only, so the last ones end far apart. While the line is full,
        whatever goes besides them makes them later.
        """
        now = self._clock.monotonic()
        if not self.on or not self._full:
            return False
        if now - self._let_go < LOOK:
            return True
        rests = [one for one in self._in_flight() if one.left > 0]
        longest = max((one.seconds or 0.0 for one in rests if one.size >= LONG * size), default=0.0)
        if longest <= LONG * size * len(rests) / self._full:
            return False
        full = self._rate(FULL_FOR) >= STILL_FULL * self._full
        if not full:
            self._let_go = now  # one at a time: it takes a while until it is seen what it makes of the line
        return full

    def _call_for_help(self, rests: Collection[InFlight]) -> None:
        """Of the slowest, as many as are there sooner when they go once more."""
        needs = [(one.seconds, one) for one in rests if one.slow is not None and not one.slow.done()]
        known = [(seconds, one) for seconds, one in needs if seconds is not None]
        others = sum(one.left for one in rests) - sum(one.left for _, one in known)
        here = RAMP * self.round_trip + others / self._full
        for seconds, rest in sorted(known, key=lambda need: need[0], reverse=True):
            here += rest.size / self._full
            if seconds < here * CLEARLY:
                break
            if rest.slow is not None:
                rest.slow.set_result(None)
