"""`NodeStarter`: has one node at each worker of the cluster, and knows the workers that get none."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..engine.context import RunContext
from ..units import format_duration
from .cluster import Cluster, ClusterError, ClusterWorker
from .lease import Lease
from .messages import NodeTask
from .node import Node, NodeState

FIRST_WORKER_SECONDS = 30.0
"""How long a worker is waited for at least, however little patience there is with sites."""

MOST_STARTS = 3
"""Of nodes at one worker: where each crashes, another will."""


class NodeStarter:
    """The nodes of a run, also those that have ended. `begin` hears of each that is started, `say` what is wrong."""

    def __init__(
        self,
        cluster: Cluster,
        task: NodeTask,
        lease: Lease,
        context: RunContext,
        begin: Callable[[Node], None],
        say: Callable[[Node, str], None],
    ) -> None:
        self._cluster = cluster
        self._task = task
        self._lease = lease
        self._context = context
        self._clock = context.clock
        self._begin = begin
        self._say = say
        self._run = secrets.token_hex(4)
        self.nodes: list[Node] = []
        self._starts: dict[str, int] = {}
        self._left_out: dict[str, Node] = {}  # by addresses of workers
        self._answered_at = self._had_node_at = self._clock.monotonic()

    @property
    def patience(self) -> float:
        """Seconds for which a worker is waited for, or a node that a worker has no room for."""
        return max(self._context.options.patience, FIRST_WORKER_SECONDS)

    def may_serve(self, node: Node, site: str) -> bool:
        """Return whether a node sends to a site, or will when it is there."""
        if node.state is NodeState.STARTING and self._clock.monotonic() - node.started_at > self.patience:
            return False
        return node.alive and node.state is not NodeState.LEAVING and site not in node.stopped

    async def look(self) -> bool:
        """Start a node at each worker that has none; stop the run where there is none to wait for.

        Return whether the cluster has answered.
        """
        try:
            workers = await self._cluster.workers()
        except ClusterError as error:
            if self._cluster.gone and self._clock.monotonic() - self._answered_at > self._lease.silence:
                words = f"{error}; nodes end by themselves, start again when it is there: what has arrived is skipped"
                self._context.stop_run(words)
            return False
        now = self._answered_at = self._clock.monotonic()
        have = {node.worker.address for node in self.nodes if node.alive}
        for worker in workers:
            if worker.address not in have and worker.address not in self._left_out:
                self.start(worker)
        if any(node.alive for node in self.nodes):
            self._had_node_at = now
        else:
            self._has_none(workers, now)
        return True

    def _has_none(self, workers: Sequence[ClusterWorker], now: float) -> None:
        if self._left_out and not {worker.address for worker in workers} - set(self._left_out):
            reasons = dict.fromkeys(str(node.error) for node in self._left_out.values())
            self._context.stop_run(f"no node can send: {'; '.join(reasons)}")
        elif now - self._had_node_at > self.patience:
            waited = format_duration(self.patience)
            self._context.stop_run(f"no worker has come in {waited}; start workers, and then this again")

    def start(self, worker: ClusterWorker) -> None:
        """Start a node, unless too many have ended there."""
        starts = self._starts[worker.address] = self._starts.get(worker.address, 0) + 1
        node = Node(worker, f"pmarep-{self._run}-{len(self.nodes) + 1}", self._clock.monotonic())
        if starts > MOST_STARTS:
            self.refuse(node, f"its process has ended {MOST_STARTS} times without a word")
            return
        deadline = self._context.deadline
        left = None if deadline is None else max(deadline - self._clock.monotonic(), 0.0)
        self.nodes.append(node)
        self._cluster.start(worker, node.key, replace(self._task, seconds_left=left))
        self._begin(node)

    def refuse(self, node: Node, why: str) -> None:
        """Give a node nothing, now and later, and say why."""
        self.leave_out(node, why)
        self._say(node, f"{why}; it gets nothing")

    def leave_out(self, node: Node, why: str) -> None:
        """Start no other node where this one is."""
        node.error = why
        self._left_out[node.worker.address] = node
