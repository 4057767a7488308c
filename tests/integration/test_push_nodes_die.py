"""`push --scheduler` where workers, the scheduler or the coordinator die in the middle of a slide."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import pytest
from support.corpus import tree
from support.dask_cluster import SHORT_LEASE, DaskProcesses, dask_processes, is_running, nodes_of, wait_until_gone
from support.fork_server import PATIENCE, LatePatch
from support.push_cli import PushCli, Running, arrived, contents

from pmacore_sandbox import Hold, Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Dask's workers take no signals there")
HELD = r"path=.*held\.svs"


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    tree(cli.source, *(f"case {number}/{number}.svs" for number in range(6)), content=os.urandom(1000))
    tree(cli.source, "a/held.svs", content=os.urandom(50_000))
    return cli


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler for all tests, and the worker that the last test has left."""
    with dask_processes(tmp_path_factory.mktemp("dask")) as processes:
        yield processes


class HeldRun:
    """A run in which the node at the only worker is in the middle of a slide."""

    def __init__(self, cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses, lease: str = SHORT_LEASE) -> None:
        self.hold = Hold(after_bytes=10_000)
        sandbox.faults.add(self.hold, method="POST", path=HELD, times=1)
        if cluster.scheduler.poll() is not None:
            cluster.workers.clear()
            cluster.start_scheduler()
        if not cluster.workers:
            cluster.start_worker("a", cli.environment)
        (self.worker,) = cluster.workers.values()
        self.running: Running = cli.start("--scheduler-file", str(cluster.file), patch=lease)
        assert self.hold.reached.wait(PATIENCE), self.running.lines
        (self.node,) = nodes_of(self.worker)

    def __enter__(self) -> Self:
        self.running.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self.running.__exit__(*error)
        self.hold.release()


def test_ctrl_c_ends_the_nodes_and_no_secret_is_in_the_scheduler(
    cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses
) -> None:
    secret = sandbox.settings.password.encode()
    with HeldRun(cli, sandbox, cluster, lease=LatePatch()) as held:
        if sys.platform == "linux":  # where one can look into the memory of other processes
            assert secret in memory_of(held.node)  # so it would be found
            assert secret not in memory_of(cluster.scheduler.pid)
        held.running.interrupt()
        result = held.running.result()
        assert result.code == 130
        assert result.summary["error"].startswith("interrupted; ")
        assert sum(result.counts("tokyo")) + result.not_begun("tokyo") == 7
        assert result.summary["sites"]["tokyo"]["error"] is None
        wait_until_gone(held.node)


def test_nodes_end_by_themselves_when_the_coordinator_is_killed(
    cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses
) -> None:
    with HeldRun(cli, sandbox, cluster) as held:
        held.running.kill()
        held.hold.release()
        again = cli.push()  # waits for them: only then does it send
        assert not is_running(held.node)
    assert again.code == 0, again.events
    assert [event["text"] for event in again.events if event["event"] == "notice" and "may still" in event["text"]]


def test_others_get_what_a_lost_worker_had_and_not_before_its_node_has_ended(
    cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses
) -> None:
    with HeldRun(cli, sandbox, cluster) as held:
        again = Hold(after_bytes=10_000)
        sandbox.faults.add(again, method="POST", path=HELD, times=1)
        cluster.workers.clear()
        cluster.start_worker("another", cli.environment)
        held.worker.send_signal(signal.SIGSTOP)  # its node does not know, and is still sending
        assert again.reached.wait(PATIENCE), held.running.lines
        assert not is_running(held.node)
        held.hold.release()
        again.release()
        result = held.running.result()
    held.worker.kill()
    assert result.code == 0, result.events
    sent, skipped, failed = result.counts("tokyo")  # skipped: what was there, and nobody had heard of
    assert (sent + skipped, failed) == (7, 0)
    assert len(result.finished("tokyo")) == 7
    assert arrived(sandbox) == contents(cli.source)


def test_without_a_scheduler_the_run_ends_and_so_do_the_nodes(
    cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses
) -> None:
    with HeldRun(cli, sandbox, cluster) as held:
        cluster.scheduler.kill()
        cluster.scheduler.wait(PATIENCE)
        result = held.running.result()
        assert result.code == 1
        assert "does not answer" in result.summary["error"]
        wait_until_gone(held.node)
    result = cli.push()
    assert result.code == 0, result.events
    assert arrived(sandbox) == contents(cli.source)


def memory_of(pid: int) -> bytes:
    """Return all that a process of this user has written into its memory."""
    found = []
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            if rights.startswith("rw"):
                with suppress(OSError, OverflowError):
                    memory.seek(start)
                    found.append(memory.read(end - start))
    return b"".join(found)
