"""Workers that have an uplink: only these send, each one node at a time. Dask is real, in threads of the test."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.corpus import tree
from support.fork_server import USUAL_ENVIRONMENT, NodeProcess
from support.nodes_here import push_by_nodes
from support.push_cli import PushCli, arrived, contents

from pmacore_sandbox import Sandbox
from pmarep.nodes import worker
from pmarep.nodes.cluster import DaskCluster


class NodesAtWork:
    """Notes at which worker each node is started, and how many there are at the same time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.workers: list[str] = []
        self.most = self._now = 0
        self._start, self._close = worker._Child.start, worker._Child.close
        forked = SimpleNamespace(**{**vars(subprocess), "Popen": lambda *_command, **_keys: self._fork()})
        monkeypatch.setattr(worker, "subprocess", forked)
        monkeypatch.setattr(worker._Child, "start", lambda child, task: self._started(child, task))
        monkeypatch.setattr(worker._Child, "close", lambda child: self._closed(child))

    @staticmethod
    def _fork() -> NodeProcess:
        return NodeProcess({**os.environ, **USUAL_ENVIRONMENT, "NO_PROXY": "*"})

    def _started(self, child: worker._Child, task: dict[str, Any]) -> subprocess.Popen[bytes]:
        from distributed import get_worker

        self.workers.append(str(get_worker().name))
        self._now += 1
        self.most = max(self.most, self._now)
        return self._start(child, task)

    def _closed(self, child: worker._Child) -> None:
        self._now -= child.process is not None
        self._close(child)


async def test_only_workers_with_an_uplink_send_and_one_node_at_a_time(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    distributed = pytest.importorskip("distributed")
    at_work, runs = NodesAtWork(monkeypatch), [PushCli(tmp_path / "first"), PushCli(tmp_path / "second")]
    for cli in runs:
        target = cli.state.parent.name
        cli.site("tokyo", sandbox, f"Slides/{target}")
        tree(cli.source, *(f"{number}.svs" for number in range(3)), content=os.urandom(1000))
        monkeypatch.setenv("PMAREP_PASSWORD_TOKYO", sandbox.settings.password)
    quiet = {"dashboard": False, "host": "127.0.0.1"}
    async with (
        distributed.Scheduler(port=0, **quiet) as scheduler,
        distributed.Worker(scheduler.address, name="without", nthreads=2, **quiet),
        distributed.Worker(scheduler.address, name="with", nthreads=2, resources={"uplink": 1}, **quiet),
    ):
        clusters = [await DaskCluster.connect(scheduler.address, None) for _ in runs]
        reports = await asyncio.gather(*map(push_by_nodes, runs, clusters))
    assert [report.code for report in reports] == [0, 0]
    assert (at_work.workers, at_work.most) == (["with", "with"], 1)
    for cli in runs:
        assert arrived(sandbox, f"Slides/{cli.state.parent.name}") == contents(cli.source)
