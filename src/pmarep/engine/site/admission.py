"""When a site begins its next slide: early enough that the line never waits, and no earlier.

An announced slide has URLs that expire, so slides are not announced long before their bytes can go.
"""

from __future__ import annotations

from ...aio import ChangeEvent
from ...uploaders import RequestScheduler

PREPARING = 8
"""Slides that are looked at and announced at once: each is some requests to PMA.core."""

FEWEST, PER_REQUEST, MOST = 16, 2, 64
"""Slides at once: at least, for each request with bytes that there may be, and at most. Most are being verified, which
takes longer than sending a small one on long ways; a near server is left in peace."""


class Ticket:
    """A slide in hand; and being prepared until its requests with bytes are there, or it needs none."""

    def __init__(self, lanes: AdmissionGate) -> None:
        self._lanes = lanes
        self._prepared = self._ended = False
        lanes.preparing += 1
        lanes.in_hand += 1

    def over(self) -> None:
        """It is prepared."""
        if not self._prepared:
            self._prepared = True
            self._lanes.preparing -= 1
            self._lanes.look()

    def end(self) -> None:
        """It is where it should be, or has failed."""
        self.over()
        if not self._ended:
            self._ended = True
            self._lanes.in_hand -= 1
            self._lanes.look()


class AdmissionGate:
    """Of one site. `number` of them, each with a slide of its own."""

    def __init__(self, scheduler: RequestScheduler, connections: int | None) -> None:
        self._scheduler = scheduler
        self._changed = ChangeEvent()
        self._fixed = connections
        self.number = connections or MOST
        self.preparing = 0
        self.in_hand = 0  # slides
        scheduler.on_capacity(self.look)

    async def turn(self) -> Ticket:
        """As soon as the line may run out of work."""
        while not self._may_begin():
            await self._changed.wait()
        return Ticket(self)

    def _may_begin(self) -> bool:
        scheduler, fixed = self._scheduler, self._fixed
        if self.in_hand >= (fixed or max(FEWEST, PER_REQUEST * scheduler.limit)):
            return False
        return self.preparing < (fixed or PREPARING) and scheduler.waiting < (fixed or max(scheduler.limit, PREPARING))

    def look(self) -> None:
        """Something has changed."""
        self._changed.notify()
