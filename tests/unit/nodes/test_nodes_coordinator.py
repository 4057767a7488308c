"""What becomes of the shards of nodes that are refused or end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.clocks import FakeClock
from support.slides import make_slide

from pmarep.engine import Options
from pmarep.engine.context import RunContext
from pmarep.engine.discovery.slide_list import SlideList
from pmarep.events import Event, Notice, Progress, SiteState, SiteSummary, SlideFinished, SlideStatus, State
from pmarep.nodes.cluster import Cluster, ClusterError, ClusterWorker
from pmarep.nodes.coordinator import MOST_STARTS, NodeWorkers
from pmarep.nodes.lease import Lease
from pmarep.nodes.messages import Message, NodeTask
from pmarep.nodes.node import Node, NodeState
from pmarep.nodes.shards import Shard
from pmarep.remote.session_pool import SessionPool
from pmarep.sites import Site
from pmarep.state.nodes_at_work import NodesAtWork

SITE = Site(name="tokyo", url="http://pma.example/", username="u", target="Slides/in")


class Coordinator(NodeWorkers):
    """A coordinator of ten slides and one site. `tell` it what a node says."""

    _clock: FakeClock

    def __init__(self, slide_list: SlideList, locks: Path) -> None:
        self.said: list[Event] = []
        clock, options = FakeClock(), Options(sources=())
        cluster = cast("Cluster", SimpleNamespace(release=lambda _: None, start=lambda *_: None, gone=False))
        task = NodeTask.of(options, [SITE], None, None, Lease())
        super().__init__(cluster, task, Lease(), locks, clock, self.said.append)
        slide_list.write([make_slide(f"{number}.svs", 5) for number in range(10)])
        slide_list.admit(10, 50)
        context: Any = SimpleNamespace(
            options=options, slide_list=slide_list, clock=clock, audit=None, record=None, deadline=None
        )
        self.make([SITE], cast("SessionPool", None), cast("RunContext", context))

    def working_node(self, *numbers: int) -> Node:
        """Add a node that has a shard."""
        name = f"n{len(self._nodes)}"
        node = Node(ClusterWorker(f"tcp://{name}", name), name, 0.0)
        node.state = NodeState.WORKING
        node.give(Shard(numbers, 5 * len(numbers), ""), [SITE.name])
        self._nodes.append(node)
        return node

    def tell(self, node: Node, message: Message) -> None:
        asyncio.run(self._hear(node, message))

    def end(self, node: Node) -> None:
        self._end(node)

    def answer_after_its_time(self, node: Node, messages: list[Message]) -> None:
        """Get an answer from a node that is lost while it is asked."""

        async def exchange(*_: object) -> dict[str, Any]:
            self._clock.now += 100.0
            self._forget_the_lost()
            return {"state": "running", "taken": 0, "first": 0, "messages": [json.dumps(one) for one in messages]}

        self._cluster = cast("Cluster", SimpleNamespace(release=lambda _: None, gone=False, exchange=exchange))
        asyncio.run(self._talk(node))

    def note_nodes(self) -> None:
        self._note_nodes_at_work(0.0)

    def bytes_sent(self) -> int:
        self._accounting.tick(self._nodes)
        return next(event.bytes_sent for event in reversed(self.said) if isinstance(event, Progress))

    def bytes_total(self) -> int:
        self._accounting.tick(self._nodes)
        return next(event.bytes_total for event in reversed(self.said) if isinstance(event, Progress))

    def summary(self) -> SiteSummary:
        (site,) = self
        return site.report.summary(early=False)

    def start(self, worker: ClusterWorker) -> None:
        self._start(worker)

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.said if isinstance(event, Notice)]

    @property
    def pending(self) -> list[int]:
        return sorted(number for shard in self._pending for number in shard.numbers)


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    with closing(SlideList()) as slide_list:
        yield Coordinator(slide_list, tmp_path)


def progress(sent: int) -> Message:
    event = Progress(site="tokyo", bytes_done=sent, bytes_total=50, rate=1.0, connections=1, bytes_sent=sent)
    return {"kind": "event", "event": event.to_dict()}


def test_what_a_refused_node_has_goes_to_others_when_its_process_has_ended(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0, 1, 2)
    coordinator.tell(node, progress(7))
    coordinator.tell(node, {"kind": "refused", "error": "it does not see the same SRC"})
    assert coordinator.pending == []  # it may still be sending one
    assert node.state is NodeState.LEAVING
    coordinator.tell(node, progress(9))
    coordinator.tell(node, known(1))
    coordinator.end(node)
    assert coordinator.pending == [0, 2]
    assert coordinator.bytes_sent() == 9
    assert coordinator.notices == ["node n0: it does not see the same SRC; it gets nothing"]


def test_a_node_that_ends_its_run_too_early_is_told(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0)
    coordinator.tell(node, {"kind": "ended", "sites": {}, "error": "interrupted"})
    coordinator.end(node)
    assert coordinator.pending == [0]
    assert coordinator.notices == ["node n0: its process has ended unexpectedly; others get what it had"]


def test_a_lost_node_that_answers_after_its_time_is_not_heard(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0)
    coordinator.answer_after_its_time(node, [{"kind": "ready", "node": "n0"}, progress(9)])
    assert node.state is NodeState.LOST
    assert coordinator.bytes_sent() == 0


def test_a_run_that_comes_next_knows_how_long_nodes_may_be_sending(coordinator: Coordinator, tmp_path: Path) -> None:
    def left() -> float:
        return NodesAtWork(tmp_path, [SITE.destination_key]).seconds_left()

    assert left() == 0
    node = coordinator.working_node(0)
    coordinator.note_nodes()
    assert 0 < left() <= Lease().lost
    coordinator.end(node)
    coordinator.note_nodes()
    assert (left(), list(tmp_path.iterdir())) == (0, [])


def finished(number: int, status: str) -> Message:
    event = SlideFinished(site="tokyo", slide=f"{number}.svs", status=SlideStatus(status))
    return {"kind": "event", "number": number, "event": event.to_dict()}


def known(*numbers: int) -> Message:
    time = "2026-03-02T12:00:00+00:00"
    return {"kind": "known", "site": "tokyo", "status": "skipped", "slides": list(numbers), "time": time}


def test_a_slide_that_is_sent_and_then_found_there_is_counted_and_said_once(coordinator: Coordinator) -> None:
    first, second = coordinator.working_node(0, 1), coordinator.working_node(0, 1)
    coordinator.tell(first, finished(0, "sent"))
    coordinator.tell(second, known(0, 1))
    coordinator.tell(second, finished(1, "skipped"))
    assert (coordinator.summary().sent, coordinator.summary().skipped, coordinator.summary().failed) == (1, 1, 8)
    assert [event.slide for event in coordinator.said if isinstance(event, SlideFinished)] == ["0.svs", "1.svs"]


def test_slides_whose_outcome_was_said_are_not_given_to_others(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0, 1, 2)
    coordinator.tell(node, finished(0, "sent"))
    coordinator.tell(node, finished(1, "failed"))
    coordinator.end(node)
    assert coordinator.pending == [2]


def test_a_site_that_has_stopped_at_a_node_is_in_error(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0)
    stopped = SiteState(site="tokyo", state=State.STOPPED, reason="its disk is full")
    coordinator.tell(node, {"kind": "event", "event": stopped.to_dict()})
    coordinator.end(node)
    assert coordinator.pending == []
    assert (coordinator.summary().error, coordinator.summary().failed) == ("its disk is full", 10)


def test_a_worker_at_which_nodes_crash_gets_no_more(coordinator: Coordinator) -> None:
    worker = ClusterWorker("tcp://n", "n")

    async def crash() -> None:
        for _ in range(MOST_STARTS):
            coordinator.start(worker)
        assert coordinator.notices == []
        coordinator.start(worker)

    asyncio.run(crash())
    assert coordinator.notices == ["node n: its process has ended 3 times without a word; it gets nothing"]


def test_bytes_that_need_not_be_sent_are_counted_once_for_each_slide(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0, 1)
    for slide, status in ((0, "left_out"), (0, "left_out"), (1, "skipped"), (1, "failed"), (1, "skipped")):
        coordinator.tell(node, finished(slide, status))
    assert coordinator.bytes_total() == 40


async def test_another_worker_with_the_address_of_a_node_is_no_answer_of_it() -> None:
    async def exchange(*_: object) -> dict[str, Any]:
        return {"state": "unknown", "taken": 0, "first": 0, "messages": []}

    node = Node(ClusterWorker("tcp://n", "n"), "n", 0.0)
    with pytest.raises(ClusterError):
        await node.exchange(cast("Cluster", SimpleNamespace(exchange=exchange)), 0.0, lambda: 100.0)
    assert (node.answered_at, node.answers) == (0.0, 0)
