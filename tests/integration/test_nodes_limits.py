"""Limits are for all nodes together: real nodes, and the requests that a server has at the same time."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE
from support.nodes_here import WorkersHere, push_by_nodes
from support.push_cli import PushCli, arrived, contents

from pmacore_sandbox import Hold, Sandbox


class CountingHold(Hold):
    """Holds requests, and counts them: `held` are held, and `most` were at once.

    One whose client has gone stays held.
    """

    def __init__(self) -> None:
        super().__init__(after_bytes=10)
        self.held = self.most = 0
        self._counted = threading.Condition()

    async def wait(self) -> None:
        with self._counted:
            self.held += 1
            self.most = max(self.most, self.held)
            self._counted.notify_all()
        await super().wait()

    def release_some(self, count: int) -> None:
        """Let those go on that have waited longest."""
        with self._counted:
            self.held -= count
        for loop, event in self._waiting[:count]:
            loop.call_soon_threadsafe(event.set)
        del self._waiting[:count]

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, which is looked at whenever another request is held."""

        def wait() -> None:
            with self._counted:
                assert self._counted.wait_for(condition, PATIENCE), self.held

        await asyncio.to_thread(wait)


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox, connections=4, bwlimit="1M", timeout=2 * PATIENCE)
    tree(cli.source, *(f"case {number}/{number}.svs" for number in range(40)), content=os.urandom(1000))
    return cli


async def test_connections_and_bandwidth_are_divided_anew_when_a_node_comes_or_goes(
    cli: PushCli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pmarep.nodes")
    hold, second_login = CountingHold(), Hold()
    sandbox.faults.add(hold, method="POST", path=r"\?path=.*svs")
    sandbox.faults.add(second_login, path="/authenticate", after=1, times=1)
    held_when_b_begins: list[int] = []
    smaller = asyncio.Event()

    def hear(name: str, message: str) -> None:
        if name == "a" and '"share"' in message and '"count": 2' in message:
            smaller.set()
        if name == "b" and '"slides"' in message:
            held_when_b_begins.append(hold.held)

    cluster = WorkersHere(monkeypatch, hear)
    cluster.add("a", cli.environment)
    running = asyncio.create_task(push_by_nodes(cli, cluster))
    await hold.wait_for(lambda: hold.held == 4)
    cluster.add("b", cli.environment)
    assert await asyncio.to_thread(second_login.reached.wait, PATIENCE)  # b is there, and may not begin
    second_login.release()
    await asyncio.wait_for(smaller.wait(), PATIENCE)
    while not held_when_b_begins:
        hold.release_some(hold.held - 2)
        await hold.wait_for(lambda: hold.held > 2)  # of b; or of a, which has not read yet what its part is now
    await hold.wait_for(lambda: hold.held == 4)
    assert hold.most == 4
    assert held_when_b_begins[0] == 2
    cluster.remove("b")
    await hold.wait_for(lambda: hold.held == 6)
    most = hold.most
    hold.release()
    report = await running
    assert report.code == 0, report.error("tokyo")
    assert most == 6  # two of them of the node that has gone
    assert arrived(sandbox) == contents(cli.source)
    kept = [record.getMessage() for record in caplog.records if record.getMessage().startswith("node a keeps to")]
    whole, half = "{'tokyo': [4, 1048576]}", "{'tokyo': [2, 524288]}"
    assert [line.partition(": ")[2] for line in kept][-2:] == [half, whole]
