"""`NodeShare`: the part of every limit that one of several nodes may use."""

from __future__ import annotations


class NodeShare:
    """One of `count` equal parts of each limit; all of it at first. `number` is from 0 to `count` - 1.

    It changes while a run goes on, as nodes come and go.
    """

    def __init__(self, number: int = 0, count: int = 1) -> None:
        self.number = number
        self.count = count

    def change(self, number: int, count: int) -> None:
        """Become another part."""
        self.number, self.count = number, count

    def of_rate(self, limit: int) -> int:
        """Return this part of a bandwidth limit in bytes per second."""
        return max(1, limit // self.count)

    def of_requests(self, limit: int) -> int:
        """Return this part of a number of requests, so that all parts add up to it; 1 where there are more parts."""
        return max(1, limit // self.count + (self.number < limit % self.count))
