"""Dividing the limits among nodes, anew when one comes or goes."""

from __future__ import annotations

import json
from typing import Any

from pmarep.nodes.cluster import ClusterWorker
from pmarep.nodes.members import Members
from pmarep.nodes.node import Node, NodeState


class Spoken(Node):
    """A node whose messages can be seen, and that takes them when it is told to."""

    def __init__(self, name: str) -> None:
        super().__init__(ClusterWorker(f"tcp://{name}", name), name, 0.0)
        self.state = NodeState.SPARE

    @property
    def share(self) -> tuple[int, int]:
        said: dict[str, Any] = json.loads(self._outbox[-1])
        return said["number"], said["count"]

    def take(self) -> None:
        self.taken = len(self._outbox)


def test_a_new_node_is_spare_until_the_others_have_confirmed_smaller_shares() -> None:
    members, nodes = Members([]), [Spoken("a"), Spoken("b")]
    members.add(nodes[0])
    members.confirm(nodes)
    assert (nodes[0].state, nodes[0].share) == (NodeState.WORKING, (0, 1))
    members.add(nodes[1])
    members.confirm(nodes)
    assert nodes[1].state is NodeState.SPARE
    nodes[0].take()
    members.confirm(nodes)
    assert [node.state for node in nodes] == [NodeState.WORKING] * 2
    assert [node.share for node in nodes] == [(0, 2), (1, 2)]


def test_the_part_of_one_that_goes_falls_to_the_others() -> None:
    members, nodes = Members([]), [Spoken("a"), Spoken("b")]
    for node in nodes:
        members.add(node)
    members.remove(nodes[0])
    assert nodes[1].share == (0, 1)


def test_there_are_no_more_nodes_than_connections() -> None:
    members, nodes = Members([2, 8]), [Spoken("a"), Spoken("b"), Spoken("c")]
    for node in nodes:
        members.add(node)
        for one in nodes:
            one.take()
        members.confirm(nodes)
    assert [node.state for node in nodes] == [NodeState.WORKING, NodeState.WORKING, NodeState.SPARE]
    members.remove(nodes[0])
    nodes[1].take()
    members.confirm(nodes)
    assert nodes[2].state is NodeState.WORKING
    assert [node.share for node in nodes[1:]] == [(0, 2), (1, 2)]
