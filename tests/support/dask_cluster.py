"""A scheduler and workers of Dask, each a process of its own, on loopback and without dashboards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from support.fork_server import PATIENCE, LatePatch

SHORT_LEASE = LatePatch("import pmarep.nodes.lease as lease\nlease.Lease.__new__.__defaults__ = (3.0, 3.0, 6.0)")
"""A patch for a coordinator: its nodes end sooner where nobody is heard, and their slides go to others sooner."""

_PLAIN = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False", "DASK_LOGGING__DISTRIBUTED": "critical"}


class DaskProcesses:
    """`scheduler()`, then `worker("a")`; `file` is what `--scheduler-file` takes. All are killed at the end."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self.scheduler: subprocess.Popen[bytes]
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = folder
        self._all: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> None:
        """Start a scheduler, which knows no variable of pmarep's."""
        self.file.unlink(missing_ok=True)
        nothing = {name: value for name, value in os.environ.items() if not name.startswith("PMAREP_")}
        self.scheduler = self._start(nothing, "scheduler", "--host", "127.0.0.1", "--port", "0",
            "--scheduler-file", str(self.file))  # fmt: skip
        end = time.monotonic() + PATIENCE
        while not self._address_is_there():
            assert time.monotonic() < end, "the scheduler has written no file"
            time.sleep(0.05)

    def _address_is_there(self) -> bool:
        with suppress(OSError, ValueError, KeyError):
            return bool(json.loads(self.file.read_text())["address"])
        return False

    def start_worker(self, name: str, environment: Mapping[str, str], *extra: str) -> None:
        """Start a worker, with the variables of its machine."""
        self.workers[name] = self._start(environment, "worker", "--scheduler-file", str(self.file), "--name", name,
            "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1",
            "--local-directory", str(self._folder / name), *extra)  # fmt: skip

    def _start(self, environment: Mapping[str, str], what: str, *words: str) -> subprocess.Popen[bytes]:
        dashboard = ["--no-dashboard"] if what == "scheduler" else []
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *words, *dashboard]
        process = subprocess.Popen(
            command, env={**environment, **_PLAIN}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._all.append(process)
        return process

    def close(self) -> None:
        for process in self._all:
            with suppress(ProcessLookupError):
                process.send_signal(getattr(signal, "SIGCONT", signal.SIGTERM))
            process.kill()
            process.wait(PATIENCE)


@contextmanager
def dask_processes(folder: Path) -> Iterator[DaskProcesses]:
    processes = DaskProcesses(folder)
    try:
        processes.start_scheduler()
        yield processes
    finally:
        processes.close()


def nodes_of(worker: subprocess.Popen[bytes]) -> list[int]:
    """Return the ids of the nodes' processes that a worker has started."""
    import psutil

    return [child.pid for child in psutil.Process(worker.pid).children() if "pmarep.cli.node" in child.cmdline()]


def is_running(pid: int) -> bool:
    """Return whether there is such a process, and not only what is left of one that nobody has asked for."""
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended."""
    end = time.monotonic() + PATIENCE
    while is_running(pid):
        assert time.monotonic() < end, f"process {pid} has not ended"
        time.sleep(0.05)
