"""`ShardQueue`: the slides of a run that no node has, and which node gets which of them next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ..engine.discovery.disk_list import pack_found
from ..engine.discovery.slide_list import SlideList
from .node import Node
from .shards import Shard, divide, take_next


class ShardQueue:
    """What no node has. For each site, a slide is here or at one node, or something has become of it there.

    A site at which a node has stopped gets what it had for it from others, until it is given up.
    """

    def __init__(self, slides: SlideList, sites: Iterable[str]) -> None:
        self._slides = slides
        self._sites = frozenset(sites)  # that are not given up
        self._pending: list[Shard] = []
        self._divided = 0  # slides of the list

    def __bool__(self) -> bool:
        return bool(self._pending)

    @property
    def complete(self) -> bool:
        """True when no more slides come than those that were here."""
        return self._slides.complete.is_set() and self._divided == self._slides.admitted

    @property
    def shards(self) -> Sequence[Shard]:
        return self._pending

    def divide(self, nodes: int) -> None:
        """Make shards of the slides that have come since, for so many nodes."""
        if self._slides.admitted > self._divided:
            numbers = range(self._divided, self._slides.admitted)
            self._divided = self._slides.admitted
            self._add(numbers, self._sites, nodes)

    def put_back(self, left: Mapping[str, Iterable[int]], nodes: int) -> None:
        """Take slides back from a node, by the sites that are to get them."""
        sites_of: defaultdict[int, set[str]] = defaultdict(set)
        for site in self._sites.intersection(left):
            for number in left[site]:
                sites_of[number].add(site)
        alike: defaultdict[frozenset[str], list[int]] = defaultdict(list)
        for number in sorted(sites_of):
            alike[frozenset(sites_of[number])].append(number)
        for sites, numbers in alike.items():
            self._add(numbers, sites, nodes)

    def _add(self, numbers: Sequence[int], sites: frozenset[str], nodes: int) -> None:
        if sites:
            slides = self._slides
            self._pending += divide(numbers, slides.found, sites, max(1, nodes), slides=len(slides), size=slides.bytes)

    def hand_out(self, working: Sequence[Node]) -> None:
        """Give shards to nodes that have too little."""
        names = [node.identity for node in working]
        for node in working:
            possible = self._sites.difference(node.stopped)
            while hungry := node.hungry(possible):
                shard = take_next(self._pending, node.identity, names, hungry, possible)
                if shard is None:
                    break
                rows = [(number, *pack_found(self._slides.found(number))) for number in shard.numbers]
                node.say({"kind": "slides", "slides": rows, "sites": sorted(shard.sites)})
                node.give(shard)

    def has_for(self, node: Node) -> bool:
        """Return whether there is a slide that a node may send."""
        return any(shard.sites.difference(node.stopped) for shard in self._pending)

    def give_up(self, site: str) -> None:
        """Give nobody what a site is to get, now and later."""
        self._sites -= {site}
        left = [(shard, shard.sites - {site}) for shard in self._pending]
        self._pending = [Shard(shard.numbers, shard.bytes, shard.key, sites) for shard, sites in left if sites]

    def clear(self) -> None:
        """Give out nothing of what is here."""
        self._pending.clear()
