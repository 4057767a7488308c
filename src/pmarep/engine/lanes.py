"""When a site begins its next slide: early enough that the line never waits, and no earlier.

An announced slide has URLs that expire, so slides are not announced long before their bytes can go.
"""

from __future__ import annotations

import asyncio

from ..uploaders import Link

PREPARING = 8
"""Slides that are looked at and announced at once: each is some requests to PMA.core."""

MOST = 64
"""Slides at once, most of which are being verified: on long ways that takes longer than sending a small one."""


class Turn:
    """A slide that is being prepared, until its requests with bytes are there or it needs none."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes: Lanes | None = lanes

    def over(self) -> None:
        lanes, self._lanes = self._lanes, None
        if lanes is not None:
            lanes.preparing -= 1
            lanes.look()


class Lanes:
    """Of one site. `number` of them, each with a slide of its own."""

    def __init__(self, link: Link, connections: int | None) -> None:
        self._link = link
        self._changed = asyncio.Event()
        self.number = connections or MOST
        self._most = min(self.number, PREPARING) if connections is None else connections
        self.preparing = 0
        link.relieved = self.look

    async def turn(self) -> Turn:
        """As soon as the line may run out of work."""
        while self.preparing >= self._most or self._link.waiting >= self._link.limit:
            await self._changed.wait()
        self.preparing += 1
        return Turn(self)

    def look(self) -> None:
        """Something has changed."""
        self._changed.set()
        self._changed = asyncio.Event()
