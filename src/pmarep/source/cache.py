"""A cache of chunks of files, for as long as sites still want them and there is room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from .interface import FileVersion

Key = tuple[FileVersion, int]
"""A version of a file, and the number of a chunk in it."""

REMEMBERED = 32_768
"""Chunks of which is remembered which sites have had them: of 32 GB, in some MB of memory."""

STALE = 16
"""Pinned chunks that no site has sent may be dropped after so many times the bound has been read."""


@dataclass(slots=True)
class _Kept:
    data: bytes
    left: dict[int, int]  # how many bytes of it each site has still to take
    pinned: bool
    since: int  # how much had been read when it came, in bytes


class ChunkCache:
    """Chunks in memory: at most `bound` bytes with those that are being read. For one event loop; nothing here waits.

    A chunk is kept until every site that takes part has had it. Where there is no room, those that nobody has touched
    for longest go first; a site that comes later reads for itself. Chunks that were read for a digest are pinned until
    a first site has sent them: otherwise they would be gone before they are sent.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self.held = 0
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()  # the one that was touched least recently first
        self._promised: dict[Key, int] = {}  # room for pinned chunks that are being read
        self._sites: set[int] = set()
        self._joined = 0
        self._had: OrderedDict[Key, frozenset[int]] = OrderedDict()  # sites; also of chunks that are gone
        self._read = 0

    def add_site(self) -> int:
        """Add a site that chunks are kept for; return its number."""
        self._joined += 1
        self._sites.add(self._joined)
        return self._joined

    def remove_site(self, site: int) -> None:
        self._sites.discard(site)
        for key, kept in list(self._kept.items()):
            kept.left.pop(site, None)
            if not kept.left:
                self._drop(key)

    def get(self, key: Key) -> bytes | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept.data

    def put(self, key: Key, data: bytes) -> None:
        """Keep a chunk that has been read, if a site wants it and there is room."""
        self._read += len(data)
        promised = self._promised.pop(key, 0)
        self.held -= promised
        had = self._had.get(key, frozenset())
        left = {site: len(data) for site in self._sites if site not in had}
        if key not in self._kept and left and self._has_room(len(data), drop=promised > 0 or len(left) > 1):
            self._kept[key] = _Kept(data, left, promised > 0, self._read)
            self.held += len(data)

    def mark_sent(self, key: Key, site: int, count: int, size: int) -> None:
        """Record that a site has had `count` bytes of a chunk of `size`: all, or those of the part that it sends."""
        kept = self._kept.get(key)
        left = (size if kept is None else kept.left.get(site, 0)) - count
        if left > 0:
            if kept is not None:
                kept.left[site] = left
            return
        self._had[key] = self._had.get(key, frozenset()) | {site}
        self._had.move_to_end(key)
        if len(self._had) > REMEMBERED:
            self._had.popitem(last=False)
        if kept is not None:
            kept.pinned = False
            kept.left.pop(site, None)
            if not kept.left:
                self._drop(key)

    def pin(self, wanted: Iterable[tuple[Key, int]]) -> bool:
        """Keep chunks, with their sizes in bytes, until they have been sent. False, and nothing done, without room."""
        new = [(key, size) for key, size in wanted if key not in self._promised]
        there = [self._kept[key] for key, _ in new if key in self._kept]
        before = [kept.pinned for kept in there]
        for kept in there:
            kept.pinned, kept.since = True, self._read
        missing = [(key, size) for key, size in new if key not in self._kept]
        if not self._has_room(sum(size for _, size in missing)):
            for kept, was in zip(there, before, strict=True):
                kept.pinned = was
            return False
        self._promised.update(missing)
        self.held += sum(size for _, size in missing)
        return True

    def unpin(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self.held -= self._promised.pop(key, 0)
            if key in self._kept:
                self._kept[key].pinned = False

    def _has_room(self, size: int, *, drop: bool = True) -> bool:
        """Make room for so many bytes, dropping what may be dropped; return False where that is not enough."""
        excess = self.held + size - self.bound
        if excess <= 0 or not drop:
            return excess <= 0
        victims = []
        for key in chain(self._unpinned(), self._stale()):
            if excess <= 0:
                break
            victims.append(key)
            excess -= len(self._kept[key].data)
        if excess > 0:
            return False
        for key in victims:
            self._drop(key)
        return True

    def _unpinned(self) -> Iterator[Key]:
        return (key for key, kept in self._kept.items() if not kept.pinned)

    def _stale(self) -> Iterator[Key]:
        oldest = self._read - STALE * self.bound
        return (key for key, kept in self._kept.items() if kept.pinned and kept.since < oldest)

    def _drop(self, key: Key) -> None:
        self.held -= len(self._kept.pop(key).data)
