"""`NodeShare`: the part of every limit that one of several nodes may use."""

from __future__ import annotations

from collections.abc import Callable

from ..aio import ChangeEvent


class NodeShare:
    """One of `count` equal parts of each limit; all of it at first. `number` is from 0 to `count` - 1.

    It changes while a run goes on, as nodes come and go. Requests that are under way when it shrinks go on.
    """

    def __init__(self, number: int = 0, count: int = 1) -> None:
        self.number = number
        self.count = count
        self._released = ChangeEvent()
        self._listeners: list[Callable[[], None]] = []
        self._excesses: list[Callable[[], bool]] = []

    def join(self, changed: Callable[[], None], exceeds: Callable[[], bool]) -> None:
        """Call `changed` whenever it is another part; `exceeds` returns whether more is in use than the part."""
        self._listeners.append(changed)
        self._excesses.append(exceeds)

    def change(self, number: int, count: int) -> None:
        """Become another part."""
        self.number, self.count = number, count
        for changed in self._listeners:
            changed()

    def note_release(self) -> None:
        """Let those look who wait until no more than the part is in use."""
        self._released.notify()

    async def wait_until_kept(self) -> None:
        """Wait until no more than the part is in use."""
        while any(exceeds() for exceeds in self._excesses):
            await self._released.wait()

    def of_rate(self, limit: int) -> int:
        """Return this part of a bandwidth limit in bytes per second."""
        return max(1, limit // self.count)

    def of_requests(self, limit: int) -> int:
        """Return this part of a number of requests, so that all parts add up to it; 1 where there are more parts."""
        return max(1, limit // self.count + (self.number < limit % self.count))
