"""Give the slides of a run to nodes, shard by shard, and hear what becomes of them: `NodeWorkers`.

To the run it is what `SiteWorkers` is: one worker for each site, which has a report. What the nodes say of slides is
heard in accounting.py; which node has which part of the limits is decided in members.py, which slides it gets in
shard_queue.py, and where there is one in starter.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..aio import cancel_all
from ..clock import Clock
from ..engine.context import RunContext
from ..errors import PmarepError, internal_error, where
from ..events import Listener, Notice
from ..remote.session_pool import SessionPool
from ..sites import Site
from ..slides import Slide
from ..state.nodes_at_work import NodesAtWork
from ..units import format_duration
from .accounting import Accounting, SiteOnNodes
from .cluster import Cluster, ClusterError
from .feed import as_seen_here
from .lease import Lease
from .members import Members
from .messages import Message, NodeTask
from .node import Node, NodeState
from .shard_queue import ShardQueue
from .starter import NodeStarter

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
EXCHANGE_SECONDS = 0.5
"""How long a node keeps a question that it has no answer to."""

GATHER_SECONDS = 5.0
"""How long the first shards wait for nodes that are just starting, so that each gets those that fall to it."""

ENDING_SECONDS = 15.0
"""How long nodes have to say what they have kept when a run is broken off."""

MOST_REASONS = 3
"""Why a site has stopped at nodes: so many different ones are said."""


class NodeWorkers:
    """Serves all sites by nodes. Raises nothing of its own: where no node can be had, the run is stopped."""

    def __init__(
        self, cluster: Cluster, task: NodeTask, lease: Lease, locks: Path, clock: Clock, listener: Listener
    ) -> None:
        self._cluster = cluster
        self._task = task
        self._lease = lease
        self._locks = locks
        self._clock = clock
        self._listener = listener
        self._talks: set[asyncio.Task[None]] = set()
        self._finishing = self._stopping = False
        self._heard = asyncio.Event()
        self._stops_said: set[tuple[str, str]] = set()
        self._site_names: list[str] = []

    def __iter__(self) -> Iterator[SiteOnNodes]:
        return iter(self._accounting.sites.values()) if self._site_names else iter(())

    @property
    def busy(self) -> bool:
        """True while any node has slides."""
        return any(node.shards for node in self._starter.nodes)

    def others_work(self, name: str) -> bool:  # noqa: ARG002  (nodes know their own sites)
        """Return whether any node has slides."""
        return self.busy

    def make(self, sites: Sequence[Site], sessions: SessionPool, context: RunContext) -> None:  # noqa: ARG002
        """Make what counts the outcomes of these sites."""
        self._context = context
        self._site_names = [site.name for site in sites]
        self._accounting = Accounting(sites, context, self._listener, self._site_stopped)
        fixed = [context.options.connections or site.connections for site in sites]
        self._at_work = NodesAtWork(self._locks, [site.destination_key for site in sites])
        self._members = Members([number for number in fixed if isinstance(number, int)])
        self._queue = ShardQueue(context.slide_list, self._site_names)
        self._starter = NodeStarter(self._cluster, self._task, self._lease, context, self._begin_talk, self._say)

    async def run(self, stopped: asyncio.Task[bool]) -> bool:
        """Wait until all sites are done, or `stopped` is; return whether it is."""
        work = asyncio.create_task(self._work())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return stopped.done()
            await cancel_all([work])
            await self._stop()
            return True
        finally:
            await cancel_all([work, *self._talks])
            for node in self._starter.nodes:
                self._cluster.release(node.key)
            self._note_nodes_at_work(0.0)
            self._accounting.close(complete=not self._stopping)

    async def _work(self) -> None:
        """Start nodes, give them shards, and wait until all is done."""
        began = self._clock.monotonic()
        looked = float("-inf")
        while not self._is_over():
            now = self._clock.monotonic()
            if now - looked >= TICK_SECONDS:
                looked = now
                if not self._finishing and await self._starter.look():
                    self._give_up_sites()
                self._accounting.tick(self._starter.nodes)
                self._forget_the_lost()
                self._note_nodes_at_work(2 * TICK_SECONDS)
            if self._context.walked.is_set():
                self._queue.divide(self._alive)
            self._hand_out(waiting=now - began < GATHER_SECONDS)
            self._finish_in_time()
            self._heard.clear()
            await self._wait_for_news(min(TICK_SECONDS, max(0.05, looked + TICK_SECONDS - now)))

    async def _wait_for_news(self, seconds: float) -> None:
        timer, news = asyncio.create_task(self._clock.sleep(seconds)), asyncio.create_task(self._heard.wait())
        await asyncio.wait({timer, news}, return_when=asyncio.FIRST_COMPLETED)
        await cancel_all([timer, news])

    @property
    def _alive(self) -> int:
        return sum(node.alive for node in self._starter.nodes)

    def _is_over(self) -> bool:
        return self._finishing and not self._alive

    # Nodes

    def _begin_talk(self, node: Node) -> None:
        task = asyncio.create_task(self._talk(node))
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)

    async def _talk(self, node: Node) -> None:
        """Exchange messages with a node until its end."""
        said = False
        while node.alive:
            try:
                pause = 0.0 if node.has_more_to_say else EXCHANGE_SECONDS
                state, messages = await node.exchange(self._cluster, pause, self._clock.monotonic)
            except ClusterError:
                left = self._lease.lost - (self._clock.monotonic() - node.answered_at)
                if not said and not self._cluster.gone and left < self._lease.lost - self._lease.margin:
                    said = True
                    words = format_duration(max(left, 0.0))
                    self._say(node, f"it does not answer; what it had goes to others in {words}")
                await self._clock.sleep(TICK_SECONDS / 2)
                continue
            said = False
            if not node.alive:
                return  # its time was over meanwhile: others have what it had, and its bytes are counted
            try:
                for message in messages:
                    await self._hear(node, message)
                if state == "ended" and not messages:
                    self._end(node)
            except PmarepError as error:  # of the audit, or of the list of slides
                self._context.stop_run(str(error))
            except Exception as error:
                log.debug("ended in %s", where(error))
                self._context.stop_run(internal_error(error))
            self._heard.set()
            if state == "waiting":
                await self._clock.sleep(EXCHANGE_SECONDS / 2)

    def _forget_the_lost(self) -> None:
        """Take back what nodes had whose time is over."""
        now = self._clock.monotonic()
        for node in self._starter.nodes:
            if node.alive and now - node.answered_at > self._lease.lost:
                node.state = NodeState.LOST
                self._leave(node)

    def _note_nodes_at_work(self, more: float) -> None:
        """Note how long nodes may be sending if nothing were heard of them any more, but for `more` seconds."""
        answers = [node.answered_at for node in self._starter.nodes if node.alive]
        if answers:
            self._at_work.note(max(answers) + self._lease.lost + more - self._clock.monotonic())
        else:
            self._at_work.forget()

    def _end(self, node: Node) -> None:
        """Take back what a node had whose process has ended."""
        node.state = NodeState.ENDED
        expected = node.finished and node.told_to_finish
        if not expected and node.error is None and not self._stopping:
            why = (
                "its process has ended unexpectedly" if node.ended_by is None else f"its run has ended: {node.ended_by}"
            )
            self._say(node, f"{why}; others get what it had")
        self._leave(node)

    def _leave(self, node: Node) -> None:
        self._members.remove(node)
        self._cluster.release(node.key)
        self._accounting.node_ended(node)
        left = node.take_back()
        if not self._stopping and not self._finishing:
            self._queue.put_back(left, self._alive)

    def _say(self, node: Node, words: str) -> None:
        self._listener(Notice(text=f"node {node.name}: {words}"))

    # What nodes say

    async def _hear(self, node: Node, message: Message) -> None:
        kind = message["kind"]
        if kind == "ready":
            node.identity, node.state = message["node"], NodeState.SPARE
            self._members.add(node)
        elif kind == "share":
            log.info("node %s keeps to: %s", node.name, message["limits"])
            self._members.confirm(node, message["change"])
        elif kind == "audit":
            await self._audit(node, message)
        elif kind == "differs":
            slides = [self._context.slide_list.found(number) for number in message["slides"]]
            same = await asyncio.to_thread(_have_changed, slides)
            node.say({"kind": "differ", "same": same})
        elif kind == "refused":
            self._starter.refuse(node, message["error"])
            node.state = NodeState.LEAVING
            node.say({"kind": "stop"})
        elif kind == "failed":
            self._starter.refuse(node, message["error"])
        else:
            self._accounting.hear(node, message)

    async def _audit(self, node: Node, message: Message) -> None:
        audit = self._context.audit
        node.audited += 1
        if audit is not None:
            await audit.write(message["line"], on_disk=message["on_disk"])
        if message["on_disk"]:
            node.say({"kind": "audited", "lines": node.audited})

    # Shards

    def _hand_out(self, *, waiting: bool) -> None:
        """Give shards to nodes that have too little."""
        if waiting and any(node.state is NodeState.STARTING for node in self._starter.nodes):
            return
        working = [node for node in self._starter.nodes if node.state is NodeState.WORKING]
        self._queue.hand_out(working)
        if any(self._queue.has_for(node) for node in self._members.waiting):
            for node in working:
                if not node.shards and not self._queue.has_for(node):
                    self._starter.leave_out(node, "; ".join(dict.fromkeys(node.stopped.values())))
                    node.state = NodeState.LEAVING  # another gets its part of the limits, and can do what it cannot
                    self._tell_to_finish(node)

    def _site_stopped(self, node: Node, site: str, why: str, *, early: bool) -> None:
        """Give others what a node had for a site at which it has stopped. `early`: since the run's time is over."""
        self._queue.put_back({site: node.stop_site(site, why)}, self._alive)
        others = any(self._starter.may_serve(one, site) for one in self._starter.nodes)
        if others and not early and (site, why) not in self._stops_said:
            self._stops_said.add((site, why))
            self._say(node, f"it sends nothing more to {site}, other nodes do: {why}")

    def _give_up_sites(self) -> None:
        """Give up the sites at which every node has stopped."""
        nodes = self._starter.nodes
        for site in self._accounting.with_missing_slides() if self._alive else ():
            reasons = dict.fromkeys(node.stopped[site] for node in nodes if site in node.stopped)
            if reasons and not any(self._starter.may_serve(node, site) for node in nodes):
                self._queue.give_up(site)
                self._accounting.give_up(site, "; ".join(list(reasons)[:MOST_REASONS]))

    def _finish_in_time(self) -> None:
        """Tell the nodes to end, once no slide is left, or none is to be begun any more."""
        deadline = self._context.deadline
        over = deadline is not None and self._clock.monotonic() >= deadline
        if over:
            self._queue.clear()
        if over or (self._queue.complete and not self._queue and not self.busy):
            self._finishing = True
        if self._finishing:
            for node in self._starter.nodes:
                if node.state is NodeState.STARTING and not node.has_process:
                    node.state = NodeState.ENDED  # its worker has no room for it
                    self._leave(node)
                elif node.alive and not node.told_to_finish:
                    self._tell_to_finish(node)

    @staticmethod
    def _tell_to_finish(node: Node) -> None:
        node.told_to_finish = True
        node.say({"kind": "finish"})

    async def _stop(self) -> None:
        """End all nodes: what can be kept is kept. Wait until they have said what that is."""
        self._stopping = self._accounting.ending = True
        end = self._clock.monotonic() + ENDING_SECONDS
        for node in self._starter.nodes:
            if node.state is NodeState.STARTING:
                node.state = NodeState.ENDED
            elif node.alive:
                node.say({"kind": "stop"})
        while self._alive and self._clock.monotonic() < end and not self._cluster.gone:
            self._heard.clear()
            await self._wait_for_news(TICK_SECONDS)


def _have_changed(slides: Sequence[Slide]) -> bool:
    """Return whether slides that differ at a node have changed here too, since they were found."""
    return all(as_seen_here(slide) is None for slide in slides)
