"""Nodes without Dask: processes of nodes, forked and not started anew, and a coordinator in the test's own process."""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from pmarep.engine import Options
from pmarep.events import Event, Notice
from pmarep.nodes import worker
from pmarep.nodes.cluster import Cluster, ClusterWorker
from pmarep.nodes.lease import Lease
from pmarep.nodes.messages import NodeTask
from pmarep.nodes.run import replicate_on_nodes
from pmarep.sites import SiteBook
from support.fork_server import PATIENCE, NodeProcess
from support.in_process import Report, ignore_event
from support.push_cli import PushCli

LEASE = Lease(silence=PATIENCE, ending=PATIENCE)


class WorkersHere:
    """A cluster whose workers are threads of the test. `add` one with the environment that its nodes have.

    `said` hears each message to a node, perhaps twice, with the name of its worker.
    """

    gone = False

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, said: Callable[[str, str], None] = lambda _name, _message: None
    ) -> None:
        self.tasks: list[NodeTask] = []
        self._environments: dict[str, Mapping[str, str]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._processes: dict[str, list[NodeProcess]] = {}
        self._said = said
        replaced = SimpleNamespace(**{**vars(subprocess), "Popen": self._start_process})
        monkeypatch.setattr(worker, "subprocess", replaced)

    def add(self, name: str, environment: Mapping[str, str]) -> None:
        self._environments[name] = environment

    def remove(self, name: str) -> None:
        """Let a worker go, and its node with it."""
        del self._environments[name]
        self.kill_node(name)

    def kill_node(self, name: str) -> None:
        """Kill the process of the node that a worker has."""
        self._processes[name][-1].kill()

    def _start_process(self, *_command: Any, **_keys: Any) -> NodeProcess:
        name = threading.current_thread().name
        process = NodeProcess(self._environments[name])
        self._processes.setdefault(name, []).append(process)
        return process

    async def workers(self) -> list[ClusterWorker]:
        return [ClusterWorker(f"here://{name}", name) for name in self._environments]

    def start(self, at: ClusterWorker, key: str, task: NodeTask) -> None:
        self.tasks.append(task)
        thread = threading.Thread(target=worker.serve, args=(key, vars(task)), name=at.name)
        self._threads[key] = thread
        thread.start()

    async def exchange(
        self, at: ClusterWorker, key: str, confirmed: int, heard: int, first: int, said: Sequence[str], seconds: float
    ) -> dict[str, Any]:
        for message in said:
            self._said(at.name, message)
        return await worker.exchange_soon(key, confirmed, heard, first, list(said), seconds)

    def release(self, key: str) -> None:
        """Nothing waits for a free worker here."""

    async def close(self) -> None:
        for process in (one for processes in self._processes.values() for one in processes):
            with suppress(OSError):
                process.stdin.close()  # it ends by itself then
        for thread in self._threads.values():
            await asyncio.to_thread(thread.join, PATIENCE)


async def push_by_nodes(
    cli: PushCli, cluster: Cluster, *, on_event: Callable[[Event], None] = ignore_event, **options: Any
) -> Report:
    """Push the source of `cli` to all its sites by the nodes of a cluster; `options` are those of `Options`."""
    events: list[Event] = []

    def listener(event: Event) -> None:
        events.append(event)
        on_event(event)

    async def connect() -> Cluster:
        return cluster

    book = SiteBook.load(cli.book)
    summary = await replicate_on_nodes(
        Options(sources=(cli.source,), **{"patience": 0.0, "settle": 0.0, **options}),
        book.resolve(cli.names),
        connect,
        config=cli.book,
        state_dir=cli.state,
        node_state_dir=cli.state,
        listener=listener,
        lease=LEASE,
    )
    return Report(events, summary)


def notices(report: Report) -> list[str]:
    """Return what was said to people besides."""
    return [event.text for event in report.events if isinstance(event, Notice)]
