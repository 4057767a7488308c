"""Put together the runs of shards that belong together: those of the same slides to the same sites, with the same N."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from ..slides.shard import Shard

T = TypeVar("T")


def grouped(runs: Iterable[T], about: Callable[[T], tuple[Hashable, Shard | None]]) -> list[list[T]]:
    """Return groups of runs, which are given newest first: in each group the last run of every shard.

    What came before those is in the next group; a run of all slides is a group by itself. `about` returns the scope of
    a run, equal for runs of the same slides to the same sites, and its shard. Groups and their runs are newest first.
    """
    groups: list[list[T]] = []
    open_groups: dict[Hashable, list[tuple[list[T], set[int]]]] = defaultdict(list)
    for run in runs:
        scope, shard = about(run)
        if shard is None:
            groups.append([run])
            continue
        alike = open_groups[scope, shard.count]
        found = next((one for one in alike if shard.number not in one[1]), None)
        if found is None:
            found = [], set()
            alike.append(found)
            groups.append(found[0])
        found[0].append(run)
        found[1].add(shard.number)
    return groups
