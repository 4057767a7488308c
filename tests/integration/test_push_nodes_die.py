"""`push --scheduler` where workers, the scheduler or the coordinator die in the middle of a slide."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.corpus import tree
from support.dask_cluster import SHORT_LEASE, DaskProcesses, dask_processes, is_running, nodes_of, wait_until_gone
from support.fork_server import PATIENCE
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


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskProcesses]:
    with dask_processes(tmp_path) as processes:
        yield processes


class HeldRun:
    """A run in which the node at worker `a`, the only one by now, is in the middle of a slide."""

    def __init__(self, cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses) -> None:
        self.hold = Hold(after_bytes=10_000)
        sandbox.faults.add(self.hold, method="POST", path=HELD, times=1)
        cluster.start_worker("a", cli.environment)
        self.running: Running = cli.start("--scheduler-file", str(cluster.file), patch=SHORT_LEASE)
        assert self.hold.reached.wait(PATIENCE), self.running.lines
        (self.node,) = nodes_of(cluster.workers["a"])


@pytest.fixture
def held(cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses) -> Iterator[HeldRun]:
    run = HeldRun(cli, sandbox, cluster)
    with run.running:
        yield run
    run.hold.release()


def test_others_get_what_a_lost_worker_had_and_not_before_its_node_has_ended(
    cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses, held: HeldRun
) -> None:
    again = Hold(after_bytes=10_000)
    sandbox.faults.add(again, method="POST", path=HELD, times=1)
    cluster.start_worker("b", cli.environment)
    cluster.workers["a"].send_signal(signal.SIGSTOP)  # its node does not know, and is still sending
    assert again.reached.wait(PATIENCE), held.running.lines
    assert not is_running(held.node)
    held.hold.release()
    again.release()
    result = held.running.result()
    assert result.code == 0, result.events
    sent, skipped, failed = result.counts("tokyo")  # skipped: what was there, and nobody had heard of
    assert (sent + skipped, failed) == (7, 0)
    assert len(result.finished("tokyo")) == 7
    assert arrived(sandbox) == contents(cli.source)


def test_without_a_scheduler_the_run_ends_and_so_do_the_nodes(
    cli: PushCli, sandbox: Sandbox, cluster: DaskProcesses, held: HeldRun
) -> None:
    cluster.scheduler.kill()
    result = held.running.result()
    assert result.code == 1
    assert "does not answer" in result.summary["error"]
    wait_until_gone(held.node)
    held.hold.release()
    result = cli.push()
    assert result.code == 0, result.events
    assert arrived(sandbox) == contents(cli.source)


def test_ctrl_c_ends_the_nodes(sandbox: Sandbox, held: HeldRun) -> None:
    held.running.interrupt()
    result = held.running.result()
    assert result.code == 130
    assert result.summary["error"].startswith("interrupted; ")
    assert sum(result.counts("tokyo")) + result.not_begun("tokyo") == 7
    assert result.summary["sites"]["tokyo"]["error"] is None
    wait_until_gone(held.node)


def test_nodes_end_by_themselves_when_the_coordinator_is_killed(cli: PushCli, held: HeldRun) -> None:
    held.running.kill()
    held.hold.release()
    again = cli.push()  # waits for them: only then does it send
    assert not is_running(held.node)
    assert again.code == 0, again.events
    assert [event["text"] for event in again.events if event["event"] == "notice" and "may still" in event["text"]]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into the memory of other processes")
def test_no_secret_is_in_the_scheduler(cli: PushCli, cluster: DaskProcesses, sandbox: Sandbox, held: HeldRun) -> None:
    secret = sandbox.settings.password.encode()
    assert secret in memory_of(held.node)  # so it would be found
    assert secret not in memory_of(cluster.scheduler.pid)


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
