"""`Node`: what the coordinator knows of one node, and the messages on their way to it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any

from ..events import Progress, State
from .cluster import Cluster, ClusterError, ClusterWorker
from .messages import Message
from .shards import Shard

AT_ONCE = 2
"""Shards at a node: one is sent, and the next is there when it ends."""


class NodeState(Enum):
    """STARTING: nothing was heard of it yet. SPARE: it is ready, and waits for a part of the limits.

    WORKING: it may have shards. LEAVING: it is told to stop, and may still be sending. ENDED: its process has ended.
    LOST: it does not answer, and its time is over.
    """

    STARTING = auto()
    SPARE = auto()
    WORKING = auto()
    LEAVING = auto()
    ENDED = auto()
    LOST = auto()


class GivenShard:
    """A shard at a node: for each site, the slides of which no outcome was heard."""

    def __init__(self, shard: Shard) -> None:
        self.left = {site: set(shard.numbers) for site in shard.sites}


class Node:
    """A node. `identity` is its name for choosing shards, which stays from run to run; `error` says why it ended."""

    def __init__(self, worker: ClusterWorker, key: str, now: float) -> None:
        self.worker = worker
        self.key = key
        self.identity = key
        self.state = NodeState.STARTING
        self.shards: list[GivenShard] = []
        self.stopped: dict[str, str] = {}  # sites that get nothing more from it, and why
        self.states: dict[str, State] = {}
        self.progress: dict[str, Progress] = {}
        self.failed: dict[str, int] = {}  # by sites: failures that it has said
        self.error: str | None = None
        self.finished = False  # it has said how its run ended
        self.ended_by: str | None = None  # what has ended its run before it was told to finish
        self.told_to_finish = False
        self.audited = 0  # lines of the audit that it has said
        self.has_process = False
        self.started_at = self.answered_at = now
        self.answers = 0
        self.taken = 0
        self._heard = 0
        self._first = 0
        self._outbox: list[str] = []

    @property
    def alive(self) -> bool:
        return self.state not in (NodeState.ENDED, NodeState.LOST)

    @property
    def name(self) -> str:
        """What people call it."""
        return self.worker.name

    def say(self, message: Message) -> int:
        """Put a message on its way; return how many messages the node has then."""
        self._outbox.append(json.dumps(message))
        return self._first + len(self._outbox)

    async def exchange(self, cluster: Cluster, seconds: float, now: Any) -> tuple[str, list[Message]]:
        """Exchange messages; return whether its process is there, and what it says. Raises ClusterError."""
        answer = await cluster.exchange(
            self.worker, self.key, self.answers, self._heard, self._first, tuple(self._outbox), seconds
        )
        if answer["state"] == "unknown":
            raise ClusterError(f"another worker has the address of {self.name}")
        self.has_process = answer["state"] != "waiting"
        self.answered_at = now()
        self.answers += 1
        self.taken = answer["taken"]
        del self._outbox[: max(self.taken - self._first, 0)]
        self._first = max(self._first, self.taken)
        new = answer["messages"][max(self._heard - answer["first"], 0) :]
        self._heard = max(self._heard, answer["first"] + len(answer["messages"]))
        return answer["state"], [json.loads(line) for line in new]

    @property
    def has_more_to_say(self) -> bool:
        return bool(self._outbox)

    def hungry(self, sites: Iterable[str]) -> set[str]:
        """Return the sites that have too little from it."""
        active = [site for site in sites if site not in self.stopped]
        return {site for site in active if sum(bool(given.left.get(site)) for given in self.shards) < AT_ONCE}

    def give(self, shard: Shard) -> None:
        """Note that it has a shard."""
        self.shards.append(GivenShard(shard))

    def note_outcomes(self, site: str, numbers: Iterable[int]) -> None:
        """Note that something was said of slides at a site."""
        for given in self.shards:
            if site in given.left:
                given.left[site].difference_update(numbers)
        self._drop_complete()

    def stop_site(self, site: str, why: str) -> set[int]:
        """Note that it sends nothing more to a site; return the numbers of the slides that it had for it."""
        self.stopped[site] = why
        left = {number for given in self.shards for number in given.left.pop(site, ())}
        self._drop_complete()
        return left

    def _drop_complete(self) -> None:
        self.shards = [given for given in self.shards if any(given.left.values())]

    def take_back(self) -> dict[str, set[int]]:
        """Take from it all that is not there; return the numbers of these slides, by the sites that are to get them."""
        left: dict[str, set[int]] = {}
        for given in self.shards:
            for site, numbers in given.left.items():
                left.setdefault(site, set()).update(numbers)
        self.shards = []
        return left
