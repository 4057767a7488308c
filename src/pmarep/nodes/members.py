"""Divide the limits of a run among the nodes that work, anew when one comes or goes."""

from __future__ import annotations

from collections.abc import Sequence

from .node import Node, NodeState


class Members:
    """The nodes that have a part of the limits. One that comes begins when all others know of their smaller part.

    There are no more than the smallest of `fixed` numbers of connections: each needs one. One that does not answer
    keeps its part until its time is over. A node knows its smaller part once no more requests than that are under way.
    """

    def __init__(self, fixed: Sequence[int]) -> None:
        self._most = min(fixed, default=None)
        self._nodes: list[Node] = []
        self._waiting: list[Node] = []
        self._changes = 0
        self._told: dict[str, int] = {}  # by keys of nodes: the last change that a node was told
        self._known: dict[str, int] = {}  # and that it keeps to

    def add(self, node: Node) -> None:
        """Let a node take part as soon as that can be."""
        self._waiting.append(node)
        if self._admit():
            self._tell()

    def remove(self, node: Node) -> None:
        """Give the part of a node to the others."""
        if node in self._waiting:
            self._waiting.remove(node)
        if node in self._nodes:
            self._nodes.remove(node)
            self._admit()
            self._tell()

    def confirm(self, node: Node, change: int) -> None:
        """Note that a node keeps to its part; let those begin that have one by now, if all others do."""
        self._known[node.key] = change
        self._begin()

    @property
    def waiting(self) -> Sequence[Node]:
        """The nodes for which there is no part."""
        return self._waiting

    def _admit(self) -> bool:
        """Take in those that wait, as far as there are parts; return whether any was."""
        before = len(self._nodes)
        while self._waiting and (self._most is None or len(self._nodes) < self._most):
            self._nodes.append(self._waiting.pop(0))
        return len(self._nodes) > before

    def _tell(self) -> None:
        self._changes += 1
        for number, node in enumerate(self._nodes):
            self._told[node.key] = self._changes
            node.say({"kind": "share", "number": number, "count": len(self._nodes), "change": self._changes})
        self._begin()

    def _begin(self) -> None:
        keep = (self._known.get(node.key) == self._told[node.key] for node in self._nodes if not _is_spare(node))
        if all(keep):
            for node in filter(_is_spare, self._nodes):
                node.state = NodeState.WORKING


def _is_spare(node: Node) -> bool:
    return node.state is NodeState.SPARE
