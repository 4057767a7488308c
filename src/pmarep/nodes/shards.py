"""Divide the slides of a run into shards, and choose the next one for a node."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ..slides import Slide

PER_NODE = 8
"""Shards for each node, about: enough that all end at the same time, few enough that each is worth its messages."""

MOST_SLIDES = 2000
"""Of a shard: some 400 kB of messages."""


@dataclass(slots=True)
class Shard:
    """Slides by their numbers in the list of the run, and the sites that are to get them.

    `key` is the folder that the first of them lies in.
    """

    numbers: Sequence[int]
    bytes: int
    key: str
    sites: frozenset[str]
    _preferred: tuple[frozenset[str], str] | None = field(default=None, repr=False)

    def preferred(self, nodes: frozenset[str]) -> str:
        """Return the node that the shard falls to: mostly the same in each run, whoever else comes or goes."""
        if self._preferred is None or self._preferred[0] != nodes:
            self._preferred = nodes, max(nodes, key=lambda node: hashlib.sha256(f"{node}/{self.key}".encode()).digest())
        return self._preferred[1]


def divide(
    numbers: Iterable[int],
    slide: Callable[[int], Slide],
    sites: frozenset[str],
    nodes: int,
    *,
    slides: int,
    size: int,
) -> list[Shard]:
    """Divide slides, in their order, into about PER_NODE shards for each node; `slides` and `size` are their totals.

    A shard ends between two folders where that is possible, so that each folder is listed by one node.
    """
    parts = max(1, nodes * PER_NODE)
    enough_slides = min(MOST_SLIDES, max(1, slides // parts))
    enough_bytes = max(1, size // parts)
    shards: list[Shard] = []
    current: list[int] = []
    total, key, last = 0, "", ""

    def end() -> None:
        if current:
            shards.append(Shard(tuple(current), total, key, sites))
            current.clear()

    for number in numbers:
        found = slide(number)
        folder = found.path.rpartition("/")[0]
        full = len(current) >= enough_slides or total >= enough_bytes
        overfull = len(current) >= min(2 * enough_slides, MOST_SLIDES) or total >= 2 * enough_bytes
        if overfull or (full and folder != last):
            end()
            total = 0
        if not current:
            key = folder
        current.append(number)
        total += found.size
        last = folder
    end()
    return shards


def take_next(
    pending: list[Shard], node: str, nodes: Collection[str], wanted: Collection[str], possible: Collection[str]
) -> Shard | None:
    """Take the largest shard that falls to a node, or else the largest of all; None where none is left.

    It is for any site that is `wanted`. Where more are `possible` it is for those too; for the others it stays.
    """
    for_them = [shard for shard in pending if not shard.sites.isdisjoint(wanted)]
    if not for_them:
        return None
    alive = frozenset(nodes) | {node}
    own = [shard for shard in for_them if shard.preferred(alive) == node]
    found = max(own or for_them, key=lambda shard: (shard.bytes, len(shard.numbers)))
    pending.remove(found)
    if rest := found.sites.difference(possible):
        pending.append(replace(found, sites=rest))
    return replace(found, sites=found.sites - rest)
