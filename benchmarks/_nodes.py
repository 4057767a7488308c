"""Nodes for the benchmarks: a scheduler and workers of Dask, on this machine or in network namespaces with links."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from _harness import in_namespace
from _links import MTU, Link, add_namespace, inside, lay, link_program

SETTINGS = {"DASK_LOGGING__DISTRIBUTED": "critical", "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}
LOCAL = Link("", 0.2, 1000, 0)
"""Within the institute: what nodes and the scheduler have between them."""

FAR = "10.79.{}.1"
"""The address of a site, the same from everywhere."""

HUB = "10.80.0.1"


@dataclass
class Cluster:
    """A scheduler and workers. `cpu`: seconds of the scheduler, of the workers, and of the nodes that these started."""

    folder: Path
    environment: Mapping[str, str]
    host: str = "127.0.0.1"
    namespace: str | None = None
    cpu: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("scheduler", "workers", "nodes"), 0.0))
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "scheduler.json"

    def start_scheduler(self) -> None:
        self.file.unlink(missing_ok=True)
        words = ["--host", self.host, "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file)]
        self._start("scheduler", "scheduler", self.namespace, words)
        while not self.file.exists() or not self.file.read_text().strip():
            time.sleep(0.05)

    def start_worker(self, name: str, host: str | None = None, namespace: str | None = None) -> None:
        words = ["--scheduler-file", str(self.file), "--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
        words += ["--host", host or self.host, "--local-directory", str(self.folder / f"dask-{name}")]
        self._start(name, "worker", namespace, words)

    def _start(self, name: str, kind: str, namespace: str | None, words: Sequence[str]) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *words]
        self.processes[name] = subprocess.Popen(
            [*in_namespace(namespace), *command], env={**self.environment, **SETTINGS},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self, name: str) -> None:
        """End one of them by -9."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all of them, at once: a worker without its scheduler takes its time."""
        for name, process in self.processes.items():
            own, children = cpu_of(process.pid)
            self.cpu["scheduler" if name == "scheduler" else "workers"] += own
            self.cpu["nodes"] += children
            process.kill()
            process.wait()
        self.processes.clear()


def cpu_of(process: int) -> tuple[float, float]:
    """Return the CPU seconds of a process, and of its children that have ended."""
    try:
        words = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended before
        return 0.0, 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    user, system, children_user, children_system = map(int, words[11:15])
    return (user + system) / ticks, (children_user + children_system) / ticks


@contextmanager
def cluster(folder: Path, environment: Mapping[str, str], workers: int) -> Iterator[Cluster]:
    """A scheduler and so many workers on this machine."""
    found = Cluster(folder, environment)
    try:
        found.start_scheduler()
        for number in range(workers):
            found.start_worker(f"n{number + 1}")
        wait_for_workers(found, workers)
        yield found
    finally:
        found.stop()


def wait_for_workers(found: Cluster, count: int) -> None:
    """Wait until so many workers have come to the scheduler."""
    code = "import sys; from distributed import Client; c = Client(scheduler_file=sys.argv[1]); "
    code += "c.wait_for_workers(int(sys.argv[2]), timeout=60)"
    command = [*in_namespace(found.namespace), sys.executable, "-c", code, str(found.file), str(count)]
    subprocess.run(command, check=True, env={**found.environment, **SETTINGS}, stderr=subprocess.DEVNULL)


class NodeLinks:
    """Namespaces for nodes and sites. Each node has a line of its own to each site; or all have one together.

    `hub` is where coordinator and scheduler are: it has a local line to each node, and none to a site.
    """

    def __init__(
        self, folder: Path, nodes: int, sites: Sequence[str], line: Link, *, shared: bool, mtu: int = MTU
    ) -> None:
        self.nodes = [f"n{number + 1}" for number in range(nodes)]
        self.sites = list(sites)
        self.line = line
        self._shared = shared
        self._mtu = mtu
        self._playing: list[int] = []  # processes that play lines
        self._folder = folder
        self._stack = ExitStack()
        self._number = 0

    def namespace(self, name: str) -> str:
        return f"pmarep-{os.getpid()}-{name}"

    def address(self, site: str) -> str:
        return FAR.format(self.sites.index(site) + 1)

    def host(self, node: str) -> str:
        """Return the address of a node in the institute's network."""
        return f"10.78.{self.nodes.index(node) + 1}.2"

    def __enter__(self) -> NodeLinks:
        self._program = link_program(self._folder, self._mtu)
        with ExitStack() as stack:
            self._lay_all(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _lay_all(self, stack: ExitStack) -> None:
        routers = ["near", "far"] if self._shared else []
        for name in ("hub", *self.nodes, *self.sites, *routers):
            add_namespace(self.namespace(name), stack)
        inside(self.namespace("hub"), "ip", "addr", "add", HUB, "dev", "lo")
        for node in self.nodes:  # their numbers are those of `host`
            _, there = self._lay(LOCAL, "hub", node, stack)
            inside(self.namespace(node), "ip", "route", "replace", HUB, "dev", there)
        for site in self.sites:
            inside(self.namespace(site), "ip", "addr", "add", self.address(site), "dev", "lo")
        if not self._shared:
            for node in self.nodes:
                for site in self.sites:
                    here, _ = self._lay(self.line, node, site, stack)
                    self._route(node, site, here)
            return
        for router in routers:
            inside(self.namespace(router), "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _, far = self._lay(self.line, "near", "far", stack)
        inside(self.namespace("far"), "ip", "route", "replace", "default", "dev", far)
        for node in self.nodes:
            here, _ = self._lay(LOCAL, node, "near", stack)
            for site in self.sites:
                self._route(node, site, here)
        for site in self.sites:
            here, there = self._lay(LOCAL, "far", site, stack)
            self._route("far", site, here)
            inside(self.namespace(site), "ip", "route", "replace", "default", "dev", there)
            near = f"to{self._first_line}"
            self._route("near", site, near)

    def _lay(self, link: Link, near: str, far: str, stack: ExitStack) -> tuple[str, str]:
        """Lay a line, and return the names of the devices at both ends."""
        self._number += 1
        if link is self.line and self._shared:
            self._first_line = self._number
        spaces = self.namespace(near), self.namespace(far)
        self._playing.append(lay(link, self._number, *spaces, self._program, stack, self._mtu).pid)
        return f"to{self._number}", f"site{self._number}"

    @property
    def cpu(self) -> float:
        """CPU seconds of the lines so far."""
        return sum(cpu_of(process)[0] for process in self._playing)

    def _route(self, name: str, site: str, device: str) -> None:
        inside(self.namespace(name), "ip", "route", "replace", self.address(site), "dev", device)


@contextmanager
def linked_cluster(folder: Path, environment: Mapping[str, str], links: NodeLinks, workers: int) -> Iterator[Cluster]:
    """A scheduler in the hub, and workers in the first so many nodes."""
    found = Cluster(folder, environment, HUB, links.namespace("hub"))
    try:
        found.start_scheduler()
        for node in links.nodes[:workers]:
            found.start_worker(node, links.host(node), links.namespace(node))
        wait_for_workers(found, workers)
        yield found
    finally:
        found.stop()
