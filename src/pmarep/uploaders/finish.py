"""The end of a site's work: the last requests end together, so that the line is full until then.

Streams over a long way differ much in what they carry. Left alone, the quick ones end first, and the slow ones do
not get what they leave: it takes TCP many round trips to find out that there is room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from .pacer import Clock

LAST = 2
"""So many times the usual requests may go at once, as soon as there are no more than these."""

LOOK = 0.1  # seconds
HELD = 8.0
"""Seconds that a request is held at most before a piece of it goes: S3 and proxies end connections that stand still."""

SLACK = 16
"""Part of what is left of it that a request may be ahead."""

LITTLE = 64 * 1024  # bytes to be ahead do not matter


class Rest(Protocol):
    """A request, and the bytes of it that are still to be sent."""

    @property
    def left(self) -> int: ...


class Finish:
    """Of one link. While `on`, of the requests in flight those `running` ones go that are behind, the others wait."""

    def __init__(self, clock: Clock, running: Callable[[], int], flying: Callable[[], Iterable[Rest]]) -> None:
        self._clock = clock
        self._running = running
        self._flying = flying
        self._line = 0  # what the last one that may go has left
        self._looked_at = float("-inf")
        self.on = False

    async def turn(self, rest: Rest) -> None:
        """Before each piece."""
        if not self.on or rest.left <= 0:
            return
        began = self._clock.monotonic()
        while self.on and self._is_ahead(rest) and self._clock.monotonic() - began < HELD:
            await self._clock.sleep(LOOK)

    def _is_ahead(self, rest: Rest) -> bool:
        now = self._clock.monotonic()
        if now - self._looked_at >= LOOK:
            self._looked_at = now
            left = sorted((one.left for one in self._flying()), reverse=True)
            running = self._running()
            self._line = left[running - 1] if len(left) > running else 0
        return rest.left + max(LITTLE, self._line // SLACK) < self._line
