"""Divide the limits of a run among the nodes that work, anew when one comes or goes."""

from __future__ import annotations

from collections.abc import Sequence

from .node import Node, NodeState


class Members:
    """The nodes that have a part of the limits. One that comes begins when all others know of their smaller part.

    There are no more than the smallest of `fixed` numbers of connections: each needs one. One that does not answer
    keeps its part until its time is over.
    """

    def __init__(self, fixed: Sequence[int]) -> None:
        self._most = min(fixed, default=None)
        self._nodes: list[Node] = []
        self._waiting: list[Node] = []
        self._told: dict[str, int] = {}  # by keys: messages that a node has had when it knows its part

    def add(self, node: Node) -> None:
        """Let a node take part as soon as that can be."""
        self._waiting.append(node)
        self._admit()

    def remove(self, node: Node) -> None:
        """Give the part of a node to the others."""
        if node in self._waiting:
            self._waiting.remove(node)
        if node in self._nodes:
            self._nodes.remove(node)
            self._admit()
            self._tell()

    def confirm(self, nodes: Sequence[Node]) -> None:
        """Let those begin that have a part by now, if all others know theirs."""
        settled = all(
            node.taken >= self._told.get(node.key, 0) for node in self._nodes if node.state is not NodeState.SPARE
        )
        for node in nodes:
            if node.state is NodeState.SPARE and node in self._nodes and settled:
                node.state = NodeState.WORKING

    def _admit(self) -> None:
        if not self._waiting or (self._most is not None and len(self._nodes) >= self._most):
            return
        while self._waiting and (self._most is None or len(self._nodes) < self._most):
            self._nodes.append(self._waiting.pop(0))
        self._tell()

    def _tell(self) -> None:
        for number, node in enumerate(self._nodes):
            self._told[node.key] = node.say({"kind": "share", "number": number, "count": len(self._nodes)})
