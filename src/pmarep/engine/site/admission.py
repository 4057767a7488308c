"""When a site begins its next slide: early enough that the line never waits, and no earlier.

An announced slide has URLs that expire, so slides are not announced long before their bytes can go.
"""

from __future__ import annotations

from ...aio import ChangeEvent
from ...uploaders import RequestScheduler

PREPARING = 8
"""Slides that are looked at and announced at once: each is some requests to PMA.core."""

FEWEST, PER_REQUEST = 16, 2
"""Slides at once: at least, and for each request with bytes that there may be. Most are being verified, which takes
longer than sending a small one on long ways."""

MOST = 64
"""Slides at once at most: a near server is left in peace."""


class Ticket:
    """Admits one slide: it is in preparation until its requests with bytes wait, and in progress until end()."""

    def __init__(self, gate: AdmissionGate) -> None:
        self._gate = gate
        self._prepared = self._ended = False
        gate.preparing += 1
        gate.in_progress += 1

    def end_preparation(self) -> None:
        """End the preparation: the slide's requests with bytes wait for their slots, or it needs none."""
        if not self._prepared:
            self._prepared = True
            self._gate.preparing -= 1
            self._gate.reconsider()

    def end(self) -> None:
        """End the admission: the slide is at the site or has failed, or its site is paused."""
        self.end_preparation()
        if not self._ended:
            self._ended = True
            self._gate.in_progress -= 1
            self._gate.reconsider()


class AdmissionGate:
    """Limits the slides that one site has in progress. `connections`: as many as that, where a person has said so."""

    def __init__(self, scheduler: RequestScheduler, connections: int | None) -> None:
        self._scheduler = scheduler
        self._changed = ChangeEvent()
        self._fixed = connections
        self.preparing = 0
        self.in_progress = 0  # slides
        scheduler.on_capacity(self.reconsider)

    async def wait(self) -> None:
        """Wait until one more slide may be begun: as soon as the line may run out of work."""
        while not self._may_begin():
            await self._changed.wait()

    def admit(self) -> Ticket:
        """Count one more slide."""
        return Ticket(self)

    def _may_begin(self) -> bool:
        scheduler, fixed = self._scheduler, self._fixed
        if self.in_progress >= (fixed or min(max(FEWEST, PER_REQUEST * scheduler.limit), MOST)):
            return False
        waiting = scheduler.waiting < (fixed or max(scheduler.limit, PREPARING))
        return self.preparing < (fixed or PREPARING) and waiting

    def reconsider(self) -> None:
        """Look again whether a slide may be begun: what that depends on has changed."""
        self._changed.notify()
