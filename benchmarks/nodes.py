"""Measure a push on several nodes (`--scheduler`). Linux; links need root, ip and gcc; needs nginx.

    .venv/bin/python benchmarks/nodes.py there [--slides 100000] [--sites 4] [--nodes 4]
    sudo .venv/bin/python benchmarks/nodes.py far --slides 10000 --sites 1 --rtt 400
    sudo .venv/bin/python benchmarks/nodes.py links [--rate 100] [--size 1.0] [--mtu 9000] [--peer]
    sudo .venv/bin/python benchmarks/nodes.py uplink [--rate 100] [--size 1.0]
    .venv/bin/python benchmarks/nodes.py kill [--slides 500]

`there`: slides that are at their sites already, by one process and by nodes: CPU of all processes, and time. What a
scheduler and workers cost at their start, and in that time if they do nothing, is measured too and taken off.

`far`: the same at sites so far away that answers are waited for: time of 1, 2, 4 nodes.

`links`: each node has a line of its own to each of two sites; rates of one node and of all. `uplink`: all of them share
one line. With `--peer`, curl does the same in the same namespaces, as far as the machine lets it.

`kill`: a worker is killed by -9 five times, the scheduler once, and the run started again; then every byte is compared.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from _harness import (
    MB,
    PART_SIZE,
    TARGET,
    Client,
    Run,
    Site,
    in_namespace,
    machine,
    scratch_folder,
    size_of,
    table,
    write,
)
from _links import MTU, Link
from _nodes import Cluster, NodeLinks, cluster, linked_cluster, wait_for_workers
from scale import BYTES, lay_out, remember

from pmacore_sandbox import Sandbox, Settings
from pmacore_sandbox.app import App

IDLE_SECONDS = 8.0


def hold(paths: Sequence[str], folder: Path) -> Path:
    """Write the file that says what a server has from the start."""
    below = TARGET.partition("/")[2]
    holds = folder / "holds.txt"
    holds.write_text("\n".join(f"{below}/{path}\t{BYTES}" for path in paths))
    return holds


def there(options: argparse.Namespace, folder: Path) -> None:
    """Slides that are there already: what does it cost to say so on several nodes?"""
    client = Client(folder)
    paths = lay_out(client.source, options.slides)
    holds = hold(paths, folder)
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(f"s{n}", "s3", folder, holds=holds)) for n in range(options.sites)]
        client.sites(sites)
        asyncio.run(remember(client, sites, 0))
        rows = []
        alone = client.push("--recheck", "off")
        assert all(site["skipped"] == len(paths) for site in alone.sites.values())
        alone.events.clear()
        rows.append(["one process", f"{alone.seconds:.1f} s", f"{alone.cpu:.1f} s", "", "", "", _peak(alone), "", ""])
        for nodes in sorted({1, 2, options.nodes}):
            with cluster(folder, client.environment, nodes) as started:
                pass
            with cluster(folder, client.environment, nodes) as idle:
                time.sleep(IDLE_SECONDS)
            for turn in ("first", "next"):
                with cluster(folder, client.environment, nodes) as busy:
                    run = client.push("--recheck", "off", "--scheduler-file", str(busy.file))
                assert all(site["skipped"] == len(paths) for site in run.sites.values())
                others = {
                    name: busy.cpu[name]
                    - started.cpu[name]
                    - (idle.cpu[name] - started.cpu[name]) * run.seconds / IDLE_SECONDS
                    for name in ("scheduler", "workers", "nodes")
                }
                total = run.cpu + sum(others.values())
                run.events.clear()  # the next child's peak begins with this process's size
                rows.append(
                    [f"{nodes} {'node' if nodes == 1 else 'nodes'}, {turn} run", f"{run.seconds:.1f} s",
                     f"{run.cpu:.1f} s", *(f"{one:.1f} s" for one in others.values()), _peak(run),
                     f"{run.cpu / alone.cpu - 1:+.0%}", f"{total / alone.cpu - 1:+.0%}"]
                )  # fmt: skip
    print(f"== {len(paths):,} slides that are at {options.sites} sites")
    table(["", "time", "CPU", "scheduler", "workers", "nodes", "peak", "CPU: coordinator", "all"], rows)


def _peak(run: Run) -> str:
    return f"{run.peak / MB:.0f} MB"


@contextmanager
def servers(links: NodeLinks, folder: Path, kind: str) -> Iterator[list[Site]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(Site(name, kind, folder, host=links.address(name), namespace=links.namespace(name)))
            for name in links.sites
        ]


def far(options: argparse.Namespace, folder: Path) -> None:
    """Slides that are there already, at sites that are far away: does the time fall with nodes?"""
    names = [f"s{number}" for number in range(options.sites)]
    line = Link("", options.rtt, options.rate, options.loss)
    rows = []
    with NodeLinks(folder, options.nodes, names, line, shared=False, mtu=options.mtu) as links, ExitStack() as stack:
        client = Client(folder, links.namespace("hub"))
        paths = lay_out(client.source, options.slides)
        holds = hold(paths, folder)
        sites = [
            stack.enter_context(
                Site(name, "s3", folder, host=links.address(name), namespace=links.namespace(name), holds=holds)
            )
            for name in names
        ]
        client.sites(sites)
        asyncio.run(remember(client, sites, 0))
        nodes = 1
        while nodes <= options.nodes:
            for turn in ("first", "next"):
                with linked_cluster(folder, client.environment, links, nodes) as found, Busy() as busy:
                    run = client.push("--recheck", "off", "--scheduler-file", str(found.file))
                assert all(site["skipped"] == len(paths) for site in run.sites.values())
                rows.append([nodes, turn, f"{run.seconds:.1f} s", f"{busy.share:.0%}"])
            nodes *= 2
    print(f"== {len(paths):,} slides that are at {options.sites} sites, {line}")
    table(["nodes", "run", "time", "machine busy"], rows)


class Busy:
    """How busy all CPUs of the machine were while the block ran: `share`, from 0 to 1."""

    def __enter__(self) -> Self:
        self._before = self._ticks()
        return self

    def __exit__(self, *_: object) -> None:
        idle, total = (after - before for before, after in zip(self._before, self._ticks(), strict=True))
        self.share = 1 - idle / total

    @staticmethod
    def _ticks() -> tuple[int, int]:
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)


def rates(options: argparse.Namespace, folder: Path, *, shared: bool) -> None:
    """Rates of one node and of all, over lines of their own, or over one line; of pmarep and, if asked for, of curl."""
    line = Link("", options.rtt, options.rate, options.loss)
    found = dict[tuple[str, int], float]()
    rows = []
    for nodes in (1, options.nodes):
        with NodeLinks(folder, options.nodes, ("s1", "s2"), line, shared=shared, mtu=options.mtu) as links:
            client = Client(folder, links.namespace("hub"))
            size = int(options.rate * MB / 8 * options.seconds * (1 if shared else nodes) * options.size / 48)
            for number in range(48):
                write(client.source / f"case{number:02}" / "slide.svs", size)
            for what in ("pmarep", "curl") if options.peer else ("pmarep",):
                lines = links.cpu
                with servers(links, folder / f"{what}{nodes}", "s3") as sites, Busy() as busy:
                    if what == "curl":
                        sent, took, clients = curl(links, sites, nodes, folder, size_of(client.source))
                    else:
                        sent, took, clients = push(client, links, sites, nodes, folder)
                rate = found[what, nodes] = sent * 8 / MB / took
                cpus = clients, sum(site.report["cpu"] for site in sites), links.cpu - lines
                rows.append(
                    [what, nodes, f"{sent / MB:.0f} MB", f"{took:.1f} s", f"{rate:.0f} Mbit/s",
                     *(f"{cpu / sent * 1000 * MB:.1f} ms" for cpu in cpus), f"{busy.share:.0%}"]
                )  # fmt: skip
    print(f"== {'one line for all' if shared else 'a line of its own for each node and site'}: {line}")
    table(["", "nodes", "sent", "time", "rate", "CPU per MB", "servers'", "lines'", "machine busy"], rows)
    for what in ("pmarep", "curl") if options.peer else ("pmarep",):
        print(f"{what}, {options.nodes} nodes: {found[what, options.nodes] / found[what, 1]:.2f} times the rate of one")
    print(flush=True)


def push(client: Client, links: NodeLinks, sites: Sequence[Site], nodes: int, folder: Path) -> tuple[int, float, float]:
    """Push by so many nodes; return bytes, seconds from the first slide to the last, CPU seconds of all processes."""
    client.sites(sites)
    client.forget()
    with linked_cluster(folder, client.environment, links, nodes) as found:
        run = client.push("--scheduler-file", str(found.file))
    assert run.sites
    first = min(run.first("slide_started", site.name) for site in sites)
    last = max(at for at, event in run.events if event["event"] == "slide_finished")
    return size_of(client.source) * len(sites), last - first, run.cpu + sum(found.cpu.values())


def curl(links: NodeLinks, sites: Sequence[Site], nodes: int, folder: Path, size: int) -> tuple[int, float, float]:
    """PUT about `size` bytes to each site by curl, in files as large as a part, 8 at a time from each node to each.

    Returns bytes, seconds and CPU seconds.
    """
    part = folder / "part"
    write(part, PART_SIZE)
    count = max(1, round(size / nodes / PART_SIZE))
    commands = []
    for node in links.nodes[:nodes]:
        for site in sites:
            config = folder / f"{node}-{site.name}.curl"
            config.write_text(
                "".join(
                    f'upload-file = "{part}"\nurl = "{site.storage}/{node}-{number}/1"\noutput = "/dev/null"\n'
                    for number in range(count)
                )
            )
            words = ["curl", "--silent", "--fail", "--parallel", "--parallel-max", "8", "--config", str(config)]
            commands.append([*in_namespace(links.namespace(node)), *words])
    before, start = children_cpu(), time.perf_counter()
    processes = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands
    ]
    assert all(process.wait() == 0 for process in processes)
    return count * PART_SIZE * len(commands), time.perf_counter() - start, children_cpu() - before


def children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Posts:
    """Counts, at the server, how many requests send one slide at the same time."""

    def __init__(self) -> None:
        self.most = 0
        self._now: Counter[bytes] = Counter()

    def count(self) -> None:
        """Count from now on, in this process."""
        handle = App.__call__

        async def counted(app: App, scope: Any, receive: Any, send: Any) -> None:
            query = scope.get("query_string", b"")
            path = next((part for part in query.split(b"&") if part.startswith(b"path=")), b"")
            if scope.get("method") != "POST" or not path:
                await handle(app, scope, receive, send)
                return
            self._now[path] += 1
            self.most = max(self.most, self._now[path])
            try:
                await handle(app, scope, receive, send)
            finally:
                self._now[path] -= 1

        App.__call__ = counted  # type: ignore[method-assign]


def kill(options: argparse.Namespace, folder: Path) -> None:
    """Kill workers and the scheduler in the middle, start again, and compare every byte."""
    client = Client(folder)
    for number in range(options.slides):
        write(client.source / f"case{number // 10:02}" / f"slide{number:03}.svs", 200_000 + number)
    needed = size_of(client.source)
    posts = Posts()
    posts.count()
    settings = Settings(folder / "data", "secret", rate=needed / 45)
    with Sandbox(settings) as sandbox:
        client.book.write_text(
            f'[sites.s1]\nurl = "{sandbox.url}"\nusername = "seeder"\ntarget = "{TARGET}"\nlabel_images = "allow"\n'
        )
        client.environment["PMAREP_PASSWORD_S1"] = settings.password
        found = Cluster(folder, client.environment)
        try:
            _start(found, options.nodes, "n")
            deaths = _push_and_kill(client, found, options)
            found.stop()
            _start(found, options.nodes, "m")
            run = client.push("--scheduler-file", str(found.file))
        finally:
            found.stop()
        counts = run.sites["s1"]
        sent = sum(request.file_bytes for request in sandbox.requests)
        ours, theirs = (_hashes(one) for one in (client.source, settings.data / TARGET))
    print(f"== {options.slides} slides, {options.nodes} nodes\n{deaths}")
    print(f"the next run: {counts['sent']} sent, {counts['skipped']} skipped, {counts['failed']} failed")
    print(f"byte-identical: {ours == theirs}, {len(theirs)} of {len(ours)} slides")
    print(
        f"received {sent / MB:.2f} MB for {needed / MB:.2f} MB; requests for one slide at a time, at most: {posts.most}"
    )


def _start(found: Cluster, nodes: int, letter: str) -> None:
    found.start_scheduler()
    for number in range(nodes):
        found.start_worker(f"{letter}{number}")
    wait_for_workers(found, nodes)


def _push_and_kill(client: Client, found: Cluster, options: argparse.Namespace) -> str:
    """Push; kill a worker whenever another eighth has come, five of them, and start another; then the scheduler."""
    command = client.command("--json", "--scheduler-file", str(found.file))
    arrived, deaths, under_way = 0, [], 0
    with subprocess.Popen(command, env=client.environment, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            arrived += event["event"] == "slide_finished"
            if event["event"] == "progress":
                under_way = event["bytes_under_way"]
            if event["event"] == "notice":
                print(event["text"], flush=True)
            if "scheduler" in deaths or arrived < (len(deaths) + 1) * options.slides / 8:
                continue
            if len(deaths) < 5:
                name = next(name for name in found.processes if name != "scheduler")
                found.kill(name)
                found.start_worker(f"more{len(deaths)}")
                deaths.append(f"{name} after {arrived} slides, {under_way / MB:.2f} MB under way")
            else:
                found.kill("scheduler")
                deaths.append(f"scheduler after {arrived} slides, {under_way / MB:.2f} MB under way")
                deaths.append("scheduler")
    return f"killed {'; '.join(deaths[:-1])}\nthe run ended with {process.returncode}, {arrived} slides had come"


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.svs")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["there", "far", "links", "uplink", "kill"])
    parser.add_argument("--slides", type=int, default=None, help="100000; of kill: 500")
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--rate", type=float, default=100, help="Mbit/s of a line")
    parser.add_argument("--rtt", type=float, default=20, help="ms")
    parser.add_argument("--loss", type=float, default=0.0, help="per cent")
    parser.add_argument("--mtu", type=int, default=MTU, help="of the lines: with larger packets they take less CPU")
    parser.add_argument("--peer", action="store_true", help="the same bytes by curl too, in the same namespaces")
    parser.add_argument("--seconds", type=float, default=30, help="that one node needs")
    parser.add_argument("--size", type=float, default=1.0)
    parser.add_argument("--dir", type=Path)
    options = parser.parse_args()
    options.slides = options.slides or (500 if options.what == "kill" else 100_000)
    print(machine())
    with scratch_folder(options.dir) as folder:
        if options.what == "there":
            there(options, folder)
        elif options.what == "far":
            far(options, folder)
        elif options.what == "kill":
            kill(options, folder)
        else:
            rates(options, folder, shared=options.what == "uplink")


if __name__ == "__main__":
    main()
