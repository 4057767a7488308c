"""Dividing the limits among nodes, anew when one comes or goes."""

from __future__ import annotations

import json
from typing import Any

from pmarep.nodes.cluster import ClusterWorker
from pmarep.nodes.members import Members
from pmarep.nodes.node import Node, NodeState


class Spoken(Node):
    """A node whose messages can be seen."""

    def __init__(self, name: str) -> None:
        super().__init__(ClusterWorker(f"tcp://{name}", name), name, 0.0)
        self.state = NodeState.SPARE

    @property
    def last(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._outbox[-1])
        return said

    @property
    def share(self) -> tuple[int, int]:
        return self.last["number"], self.last["count"]

    @property
    def works(self) -> bool:
        return self.state is NodeState.WORKING

    def keep(self, members: Members) -> None:
        """Say that it keeps to its part."""
        members.confirm(self, self.last["change"])


def test_a_new_node_is_spare_until_the_others_keep_to_smaller_parts() -> None:
    members, first, second = Members([]), Spoken("a"), Spoken("b")
    members.add(first)
    assert (first.works, first.share) == (True, (0, 1))
    first.keep(members)
    members.add(second)
    second.keep(members)  # it may be quicker
    assert not second.works
    first.keep(members)
    assert second.works
    assert (first.share, second.share) == ((0, 2), (1, 2))


def test_an_answer_about_an_earlier_part_counts_for_nothing() -> None:
    members, first = Members([]), Spoken("a")
    members.add(first)
    members.add(gone := Spoken("b"))
    about_half = first.last["change"]
    members.remove(gone)
    members.add(new := Spoken("c"))
    assert first.share == (0, 2)  # again
    members.confirm(first, about_half)
    assert not new.works
    first.keep(members)
    assert new.works


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
        for one in nodes[:2]:
            if one.works:
                one.keep(members)
    assert [node.works for node in nodes] == [True, True, False]
    assert members.waiting == [nodes[2]]
    members.remove(nodes[0])
    assert not nodes[2].works
    nodes[1].keep(members)
    assert nodes[2].works
    assert [node.share for node in nodes[1:]] == [(0, 2), (1, 2)]
