"""`EventQueue`: the events of a run on their way to somebody who takes them in his own time."""

from __future__ import annotations

import asyncio
import pickle
from collections import deque

from ..errors import TemporaryFileError
from ..events import Event, Progress
from .discovery.disk_list import DiskList

IN_MEMORY = 1000
"""Events that wait in memory at most; more wait in a temporary file."""


class EventQueue:
    """Events in their order, in bounded memory however slowly they are taken.

    Who is behind by more than IN_MEMORY events gets no `Progress` until there is nothing before it in the file.
    """

    def __init__(self) -> None:
        self._ready: deque[Event] = deque()
        self._on_disk: DiskList[Event] | None = None
        self._taken = 0  # of the list on disk
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: TemporaryFileError | None = None

    def put(self, event: Event) -> None:
        """Append an event. Never waits and never raises: a run does not end because nobody listens."""
        if self._failure is not None:
            return
        if self._on_disk is None and len(self._ready) < IN_MEMORY:
            self._ready.append(event)
        elif not isinstance(event, Progress):
            try:
                self._on_disk = self._on_disk or DiskList(pickle.dumps, pickle.loads)
                self._on_disk.extend([event])
            except TemporaryFileError as error:
                self._failure = error
        self._changed.set()

    def end(self) -> None:
        """Say that no more events come."""
        self._ended = True
        self._changed.set()

    async def get(self) -> Event | None:
        """Return the next event, or None after the last. Raises TemporaryFileError where events got lost."""
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
        if self._on_disk is not None:
            self._on_disk.close()
            self._on_disk = None

    def _refill(self) -> None:
        if not self._on_disk:  # none, or nothing could be written to it
            return
        try:
            self._ready.extend(self._on_disk.read(self._taken, IN_MEMORY))
        except TemporaryFileError as error:
            self._failure = error
            self.close()
            return
        self._taken += len(self._ready)
        if self._taken == len(self._on_disk):
            self._on_disk.close()
            self._on_disk, self._taken = None, 0
