"""`EventQueue`: the events of a run on their way to somebody who takes them in his own time."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque

from ..events import Event, Progress
from .discovery.spool import Spool, SpoolError

IN_MEMORY = 1000
"""Events that wait in memory at most; more wait in a temporary file."""


class EventQueue:
    """Events in their order, in bounded memory however slowly they are taken.

    Who is behind by more than IN_MEMORY events gets no `Progress` until there is nothing before it in the file.
    """

    def __init__(self) -> None:
        self._ready: deque[Event] = deque()
        self._spool: Spool[Event] | None = None
        self._taken = 0  # of the spool
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: SpoolError | None = None

    def put(self, event: Event) -> None:
        """Append an event. Never waits and never raises: a run does not end because nobody listens."""
        if self._failure is not None:
            return
        if self._spool is None and len(self._ready) < IN_MEMORY:
            self._ready.append(event)
        elif not isinstance(event, Progress):
            try:
                self._spool = self._spool or Spool(pickle.dumps, pickle.loads)
                self._spool.extend([event])
            except SpoolError as error:
                self._failure = error
        self._changed.set()

    def end(self) -> None:
        """Say that no more events come."""
        self._ended = True
        self._changed.set()

    async def get(self) -> Event | None:
        """Return the next event, or None after the last. Raises SpoolError where events got lost."""
        while not self._ready:
            self._refill()
            if self._ready:
                break
            if self._failure is not None:
                raise self._failure
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        return self._ready.popleft()

    def close(self) -> None:
        """Drop what nobody has taken."""
        self._ready.clear()
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def _refill(self) -> None:
        if not self._spool:  # none, or nothing could be written to it
            return
        try:
            self._ready.extend(self._spool.read(self._taken, IN_MEMORY))
        except SpoolError as error:
            self._failure = error
            self.close()
            return
        self._taken += len(self._ready)
        if self._taken == len(self._spool):
            self._spool.close()
            self._spool, self._taken = None, 0
