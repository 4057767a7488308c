"""What becomes of the shards of nodes that are refused or end."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
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
from pmarep.nodes.coordinator import NodeWorkers
from pmarep.nodes.lease import Lease
from pmarep.nodes.members import Members
from pmarep.nodes.messages import Message, NodeTask
from pmarep.nodes.node import Node, NodeState
from pmarep.nodes.shards import Shard
from pmarep.nodes.starter import MOST_STARTS
from pmarep.remote.session_pool import SessionPool
from pmarep.sites import Site
from pmarep.slides import Slide, find_slides
from pmarep.state.nodes_at_work import NodesAtWork

SITE = Site(name="tokyo", url="http://pma.example/", username="u", target="Slides/in")
OTHER = Site(name="ghent", url="http://ghent.example/", username="u", target="Slides/in")


TEN = [make_slide(f"{number}.svs", 5) for number in range(10)]


class Coordinator(NodeWorkers):
    """A coordinator of ten slides. `tell` it what a node says."""

    _clock: FakeClock

    def __init__(self, slide_list: SlideList, locks: Path, *sites: Site, slides: Sequence[Slide] = TEN) -> None:
        self.said: list[Event] = []
        clock, options = FakeClock(), Options(sources=())

        async def no_workers() -> list[ClusterWorker]:
            return []

        cluster: Any = SimpleNamespace(release=lambda _: None, start=lambda *_: None, gone=False, workers=no_workers)
        task = NodeTask.of(options, list(sites), None, None, Lease())
        super().__init__(cluster, task, Lease(), locks, clock, self.said.append)
        slide_list.write(slides)
        slide_list.admit(len(slides), sum(slide.size for slide in slides))
        context: Any = SimpleNamespace(
            options=options, slide_list=slide_list, clock=clock, audit=None, record=None, deadline=None,
            walked=asyncio.Event(),
        )  # fmt: skip
        context.walked.set()
        slide_list.complete.set()
        self.make(sites, cast("SessionPool", None), cast("RunContext", context))

    def working_node(self, *numbers: int) -> Node:
        """Add a node that has a shard."""
        name = f"n{len(self._starter.nodes)}"
        node = Node(ClusterWorker(f"tcp://{name}", name), name, 0.0)
        node.state = NodeState.WORKING
        if numbers:
            self._queue._divided = 10  # what no node is given here has no other
            node.give(Shard(numbers, 5 * len(numbers), "", frozenset(self._site_names)))
        self._starter.nodes.append(node)
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

    def add_spare(self, node: Node) -> None:
        self._members = Members([1])
        for one in self._starter.nodes:
            self._members.add(one)
        assert self._members.waiting == [node]

    def note_nodes(self) -> None:
        self._note_nodes_at_work(0.0)

    def bytes_sent(self) -> int:
        self._accounting.tick(self._starter.nodes)
        return next(event.bytes_sent for event in reversed(self.said) if isinstance(event, Progress))

    def bytes_total(self) -> int:
        self._accounting.tick(self._starter.nodes)
        return next(event.bytes_total for event in reversed(self.said) if isinstance(event, Progress))

    def summary(self) -> SiteSummary:
        return next(iter(self)).report.summary(early=False)

    def start(self, worker: ClusterWorker) -> None:
        self._starter.start(worker)

    @property
    def notices(self) -> list[str]:
        return [event.text for event in self.said if isinstance(event, Notice)]

    @property
    def pending(self) -> list[int]:
        return sorted(number for shard in self._queue.shards for number in shard.numbers)

    def step(self) -> None:
        """Do what is done each second."""
        self._queue.divide(2)
        self._give_up_sites()
        self._hand_out(waiting=False)
        self._finish_in_time()

    @property
    def finishing(self) -> bool:
        return self._finishing


def has(node: Node) -> dict[str, set[int]]:
    """Return what a node has, by sites."""
    found: dict[str, set[int]] = {}
    for given in node.shards:
        for site, numbers in given.left.items():
            assert not found.get(site, set()) & numbers
            found.setdefault(site, set()).update(numbers)
    return found


def stopped(site: str, why: str, *, early: bool = False) -> Message:
    event = SiteState(site=site, state=State.STOPPED, reason=why)
    return {"kind": "event", "event": event.to_dict(), "early": early}


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[Coordinator]:
    with closing(SlideList()) as slide_list:
        yield Coordinator(slide_list, tmp_path, SITE)


@pytest.fixture
def of_two_sites(tmp_path: Path) -> Iterator[Coordinator]:
    with closing(SlideList()) as slide_list:
        yield Coordinator(slide_list, tmp_path, SITE, OTHER)


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


@pytest.mark.parametrize(("here", "same"), [(b"12345", False), (b"another one", True), (None, True)])
def test_slides_that_differ_at_a_node_are_looked_at_here_too(tmp_path: Path, here: bytes | None, same: bool) -> None:
    """The node sees another SRC, or slides have changed for all."""
    file = tmp_path / "0.svs"
    file.write_bytes(b"12345")
    slide = next(slide for slide in find_slides(tmp_path) if isinstance(slide, Slide))
    if here is None:
        file.unlink()
    else:
        file.write_bytes(here)
        os.utime(file, ns=(slide.files[0].mtime_ns, slide.files[0].mtime_ns))
    with closing(SlideList()) as slide_list:
        coordinator = Coordinator(slide_list, tmp_path, SITE, slides=[slide])
        node = coordinator.working_node(0)
        coordinator.tell(node, {"kind": "differs", "slides": [0]})
    assert json.loads(node._outbox[-1]) == {"kind": "differ", "same": same}


def test_a_node_ends_by_itself_within_a_minute() -> None:
    lease = Lease()
    assert lease.silence + lease.ending < lease.lost <= 60


def test_a_node_that_ends_its_run_too_early_is_told(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0)
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


def finished(number: int, status: str, site: str = "tokyo") -> Message:
    event = SlideFinished(site=site, slide=f"{number}.svs", status=SlideStatus(status))
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


def test_a_site_that_has_stopped_at_every_node_is_in_error(coordinator: Coordinator) -> None:
    first, second = coordinator.working_node(0), coordinator.working_node(1)
    coordinator.tell(first, stopped("tokyo", "its disk is full"))
    coordinator.step()
    assert coordinator.summary().error is None
    coordinator.tell(second, stopped("tokyo", "it is away"))
    coordinator.step()
    assert (coordinator.pending, coordinator.finishing) == ([], True)
    assert (coordinator.summary().error, coordinator.summary().failed) == ("its disk is full; it is away", 10)
    states = [(event.state, event.reason) for event in coordinator.said if isinstance(event, SiteState)]
    assert states == [(State.STOPPED, "its disk is full; it is away")]


def test_others_get_what_a_node_had_for_a_site_that_stops_there(of_two_sites: Coordinator) -> None:
    coordinator = of_two_sites
    first, second = coordinator.working_node(), coordinator.working_node()
    coordinator.step()
    before = has(first)["tokyo"]
    assert before
    assert not has(second)["tokyo"] & before
    coordinator.tell(first, finished(min(before), "sent"))
    coordinator.tell(first, stopped("tokyo", "its line is broken"))
    assert coordinator.notices == ["node n0: it sends nothing more to tokyo, other nodes do: its line is broken"]
    at_tokyo: set[int] = {min(before)}
    while not coordinator.finishing:
        for node in (first, second):
            here = has(node)
            assert node is second or "tokyo" not in here
            for site, numbers in here.items():
                assert not numbers & has(second if node is first else first).get(site, set())
                at_tokyo |= numbers if site == "tokyo" else set()
                for number in numbers:
                    coordinator.tell(node, finished(number, "sent", site))
        coordinator.step()
    assert at_tokyo == set(range(10))
    sums = [site.report.summary(early=False) for site in coordinator]
    assert [(one.sent, one.failed, one.error) for one in sums] == [(10, 0, None), (10, 0, None)]


def test_what_a_dead_node_had_is_given_for_the_sites_that_have_not_got_it(of_two_sites: Coordinator) -> None:
    """Another node may have it for the others."""
    node, other = of_two_sites.working_node(0, 1, 2), of_two_sites.working_node()
    of_two_sites.tell(node, finished(0, "sent", "ghent"))
    of_two_sites.tell(node, stopped("tokyo", "why"))
    of_two_sites.step()
    assert has(other) == {"tokyo": {0, 1, 2}}
    of_two_sites.tell(other, {"kind": "refused", "error": "it sees another SRC"})  # it may still be sending
    of_two_sites.end(node)
    third = of_two_sites.working_node()
    of_two_sites.step()
    assert has(third) == {"ghent": {1, 2}}
    of_two_sites.end(other)
    of_two_sites.step()
    assert has(third) == {"ghent": {1, 2}, "tokyo": {0, 1, 2}}


def test_slides_for_which_there_is_no_time_at_any_node_are_not_begun(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0)
    coordinator.tell(node, finished(0, "sent"))
    coordinator.tell(node, stopped("tokyo", "stopped at --max-duration; the next run sends the rest", early=True))
    coordinator.step()
    assert (coordinator.summary().failed, coordinator.summary().not_begun) == (0, 9)
    assert coordinator.summary().error == "stopped at --max-duration; the next run sends the rest"


def test_a_node_that_can_do_nothing_makes_room_for_one_that_can(coordinator: Coordinator) -> None:
    """With `connections = 1`, only one node works."""
    node, spare = coordinator.working_node(0), coordinator.working_node()
    spare.state = NodeState.SPARE
    coordinator.add_spare(spare)
    coordinator.tell(node, stopped("tokyo", "its line is broken"))
    coordinator.step()
    assert (node.state, node.told_to_finish) == (NodeState.LEAVING, True)
    assert coordinator.summary().error is None
    coordinator.tell(node, {"kind": "ended", "sites": {}, "error": None})
    coordinator.end(node)
    assert "unexpectedly" not in "".join(coordinator.notices)


def test_a_node_that_its_worker_has_no_room_for_is_not_waited_for(coordinator: Coordinator) -> None:
    node, waits = coordinator.working_node(*range(10)), coordinator.working_node()
    waits.state = NodeState.STARTING
    coordinator.step()
    for number in range(10):
        coordinator.tell(node, finished(number, "sent"))
    coordinator.step()
    assert (waits.state, node.told_to_finish) == (NodeState.ENDED, True)


def test_why_a_run_of_a_node_has_ended_is_said(coordinator: Coordinator) -> None:
    node = coordinator.working_node(0)
    coordinator.tell(node, {"kind": "ended", "sites": {}, "error": "the disk of the journal is full"})
    coordinator.end(node)
    assert coordinator.notices == [
        "node n0: its run has ended: the disk of the journal is full; others get what it had"
    ]


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
