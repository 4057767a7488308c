"""Measure how full long-distance links get, over the kernel's TCP (cubic). Needs root, Linux, ip, gcc and nginx.

    sudo .venv/bin/python benchmarks/wan.py [SCENARIO|all] [--size 0.1] [--timeline]

s3          1 GB per site (2 x 300 MB, 8 x 40 MB, a MIRAX slide of 80 MB) to Tokyo and São Paulo at once
filesystem  24 slides of 40 MB and the MIRAX slide, the same links
large       one file of 200 MB to file-system root-directories: one stream, by cubic, by bbr, by auto
slow        12 slides of 20 MB to file-system root-directories over 4 and 8 Mbit/s, and what a kill would cost
four        the files of s3 to four sites, 20 to 250 ms
official    the files of s3 by the official client, one process per site, against pmarep in the same run
uplink      250 MB to each of four sites through one uplink of 100 Mbit/s that they share
copy        the files of s3 from a site to an S3, an Azure and a file-system site at once, by push from here and by copy
pull        1 GB in 16 slides (one is a MIRAX slide) from Tokyo into a folder, equal ones and with one of 300 MB among
            them; one of the equal ones by the official client
small       one slide of 100 kB over 200 ms: how many round trips it takes

At stake: bytes that a kill at a random moment of the run would have cost on average, and at most: sent, and not of use
to the next run (from the client's events, once a second).

Share: bytes of slides * 8 / seconds / link, from the start of the process until the site has everything, verified. Of a
full link, headers of TCP and IP take 3.5 %.
"""

from __future__ import annotations

import argparse
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from _harness import MB, Client, Run, Site, cost, machine, scratch_folder, size_of, table, write, write_mirax
from _links import Link, Links

SLOW = [Link("village", 60, 4, 0), Link("island", 220, 8, 0.02)]
TWO = [Link("tokyo", 180, 200, 0.01), Link("saopaulo", 220, 100, 0.05)]
UPLINK = Link("uplink", 20, 100, 0)
COPY = [Link("ghent", 20, 300, 0), *TWO, Link("boston", 80, 100, 0.01)]
FOUR = [
    Link("ghent", 20, 300, 0),
    Link("boston", 80, 200, 0.01),
    Link("tokyo", 180, 100, 0.02),
    Link("sydney", 250, 50, 0.1),
]


def gigabyte(folder: Path, scale: float) -> None:
    for number, size in enumerate([300] * 2 + [40] * 8):
        write(folder / f"slide{number:02}.svs", int(size * MB * scale))
    write_mirax(folder / "mirax.mrxs", int(80 * MB * scale))


def quarter(folder: Path, scale: float) -> None:
    gigabyte(folder, scale / 4)


def many(folder: Path, scale: float) -> None:
    for number in range(24):
        write(folder / f"slide{number:02}.svs", int(40 * MB * scale))
    write_mirax(folder / "mirax.mrxs", int(80 * MB * scale))


def sixteen(folder: Path, scale: float) -> None:
    for number in range(15):
        write(folder / f"slide{number:02}.svs", int(62.5 * MB * scale))
    write_mirax(folder / "mirax.mrxs", int(62.5 * MB * scale))


def one_among_small(folder: Path, scale: float) -> None:
    sixteen(folder, scale * 700 / 937.5)
    write(folder / "slide00.svs", int(300 * MB * scale))


def twelve(folder: Path, scale: float) -> None:
    for number in range(12):
        write(folder / f"slide{number:02}.svs", int(20 * MB * scale))


def large(folder: Path, scale: float) -> None:
    write(folder / "slide.svs", int(200 * MB * scale))


@dataclass
class Traffic:
    """Sampler of the bytes that reached each site's device, second by second, whatever a client believes."""

    sites: Sequence[Site]
    links: Links
    column: int = 1  # of /proc/net/dev: 1 for what was received, 9 for what was sent
    samples: list[list[int]] = field(default_factory=list)

    def __enter__(self) -> Traffic:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        start = time.monotonic()
        while not self._stop.wait(max(0.0, start + len(self.samples) - time.monotonic())):
            self.samples.append([self._received(site) for site in self.sites])

    def _received(self, site: Site) -> int:
        device = self.links.device(site.name) + ":"
        lines = Path(f"/proc/{site.pid}/net/dev").read_text().splitlines()
        return int(next(line.split()[self.column] for line in lines if line.split()[0] == device))

    def print(self, run: Run | None) -> None:
        """Print the Mbit/s of each second, and the client's requests in flight then."""
        at: dict[tuple[str, int], int] = {}
        for when, event in run.events if run else ():
            if event["event"] == "progress":
                at[event["site"], round(when)] = event["connections"]
        rows = []
        for second, (before, now) in enumerate(pairwise(self.samples), 1):
            rates = [(b - a) * 8 / MB for a, b in zip(before, now, strict=True)]
            flying = [at.get((site.name, second), "") for site in self.sites]
            rows.append([second, *(f"{r:.0f} [{f}]" for r, f in zip(rates, flying, strict=True))])
        table(["second", *(site.name for site in self.sites)], rows)


class Testbed:
    """Links with a server at the end of each, and a client to push from; new servers for each run."""

    def __init__(self, folder: Path, links: Links, options: argparse.Namespace) -> None:
        self._folder = folder
        self._links = links
        self._timeline: bool = options.timeline
        self._spool: str | None = options.spool_size
        self._scale: float = options.size
        self._beside: bool = options.beside
        self._keys = {} if options.connections is None else {"connections": options.connections}
        self._keys |= {} if options.own_congestion is None else {"congestion": options.own_congestion}
        self._runs = 0
        self.client = Client(folder, links.client)

    def shared(self) -> None:
        """Print how full the shared uplink gets, and how it is shared while all sites still have something to send."""
        line = self._links.uplink
        assert line is not None
        with self._servers("s3") as sites:
            self.client.sites(sites, **self._keys)
            with Traffic(sites, self._links) as traffic:
                run = self.client.push()
                done = {name: run.done_at(name) for name in run.sites}
        size = size_of(self.client.source)
        share = size * 8 * len(sites) / max(done.values()) / (line.rate * MB)
        print(f"== uplink: {size / MB:.0f} MB to each of {len(sites)} sites through {line}; {share:.0%} full")
        until = min(len(traffic.samples) - 1, int(min(done.values())))
        moved = [now - before for before, now in zip(traffic.samples[0], traffic.samples[until], strict=True)]
        rows = [
            [site.name, str(self._links.links[site.name]), f"{bytes_ / sum(moved):.0%}", f"{done[site.name]:.1f} s"]
            for site, bytes_ in zip(sites, moved, strict=True)
        ]
        table(["site", "link", f"part of the first {until} s", "done"], rows)
        print(f"{cost(run)}\n", flush=True)
        if self._timeline:
            traffic.print(run)

    def round_trips(self, kind: str) -> None:
        """Print what a push costs in round trips: before, for, and after its one slide."""
        (link,) = self._links.links.values()
        with self._servers(kind) as sites:
            self.client.sites(sites, **self._keys)
            run = self.client.push()
            assert run.sites
        begun = next(at for at, e in run.events if e["event"] == "site_state")
        slide = next(e for _, e in run.events if e["event"] == "slide_finished")
        whole = [begun, run.first("slide_started", link.site), run.done_at(link.site), run.seconds]
        steps = [(b - a) * 1000 / link.rtt for a, b in pairwise(whole)]
        print(f"== one small slide on {kind} over {link.rtt:g} ms")
        rows = [
            ["log in and look, until it is begun", f"{steps[0]:.1f}"],
            ["announce, send, verify", f"{slide['seconds'] * 1000 / link.rtt:.1f}"],
            ["log out and end", f"{steps[2]:.1f}"],
        ]
        table(["", "round trips"], rows)
        print(f"requests: {sites[0].report['requests']}, PUTs: {sites[0].report['puts']}; {cost(run)}\n")

    def pull(self, title: str, slides: Callable[[Path, float], None], *, official: int = 0) -> float:
        """Pull slides into a folder, print what it took, and return the share of the link.

        `official`: so many of them by the official client instead.
        """
        self._runs += 1
        run_folder = self._folder / f"run{self._runs}"
        data, folder = run_folder / "source", run_folder / "pulled"
        slides(data / "Slides" / "in", self._scale)
        (link,) = self._links.links.values()
        host, namespace = self._links.address(link.site), self._links.namespace(link.site)
        with Site(link.site, "source", run_folder, host=host, namespace=namespace, data=data) as site:
            self.client.sites([site], **self._keys)
            client = self.client
            run = client.official_pull(site, folder, official) if official else client.pull([site], folder)
        came, size = size_of(folder), size_of(data / "Slides")
        if not official and (not run.sites or came != size):
            raise SystemExit(f"{came} bytes of {size} have come")
        share = came * 8 / run.seconds / (link.rate * MB)
        who = "the official client" if official else "pmarep"
        print(f"== pull of {title} by {who}: {came / MB:.0f} MB over {link}: {run.seconds:.1f} s, {share:.1%}")
        report = site.report
        print(
            f"{cost(run)}; server: CPU {report['cpu']:.1f} s, {sum(report['requests'].values())} requests", flush=True
        )
        if self._timeline and not official:
            for at, event in run.events:
                if event["event"] == "progress":
                    print(f"{at:6.1f} s  {event['rate'] * 8 / MB:6.0f} Mbit/s  {event['connections']} downloads")
        shutil.rmtree(run_folder)
        return share

    def run(self, title: str, kind: str, *, official: bool = False, **keys: object) -> dict[str, float]:
        """Send everything to all sites, print a table, and return the share of each link."""
        one: Run | None = None
        with self._servers(kind) as sites:
            self.client.sites(sites, **{**self._keys, **keys})
            with Traffic(sites, self._links) as traffic:
                if official:
                    seconds = {name: run.seconds for name, run in self.client.official(sites).items()}
                else:
                    one = self.client.push()
                    assert one.sites
                    seconds = {site.name: one.done_at(site.name) for site in sites}
        size = size_of(self.client.source)
        for site in sites:
            if site.report["bytes"] != size:
                raise SystemExit(f"{site.name} has {site.report['bytes']} bytes of {size}")
        shares = {name: size * 8 / seconds[name] / (self._links.links[name].rate * MB) for name in seconds}
        print(f"== {title}: {size / MB:.0f} MB per site, {kind}")
        rows = [
            [
                *(name, str(self._links.links[name]), f"{s:.1f} s", f"{shares[name]:.0%}"),
                *("" if one is None else _at_stake(one, name, size), self._connections(name, sites)),
            ]
            for name, s in seconds.items()
        ]
        table(["site", "link", "time", "share", "at stake", "storage"], rows)
        if one is not None:
            print(cost(one))
        if self._timeline:
            traffic.print(one)
        print(flush=True)
        return shares

    @contextmanager
    def _servers(self, kind: str) -> Iterator[list[Site]]:
        """Start an empty server at the end of each link."""
        self._runs += 1
        folder = self._folder / f"run{self._runs}"
        self.client.forget()
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    Site(name, kind, folder, host=self._links.address(name), namespace=self._links.namespace(name))
                )
                for name in self._links.links
            ]

    def copy(self, kinds: dict[str, str]) -> None:
        """Send the slides by push, then copy them from a site that holds them; print both and what the source sent.

        `kinds`: of the sites. The link of the source is the one that has no kind.
        """
        (source,) = set(self._links.links) - set(kinds)
        size = size_of(self.client.source)
        bounded = [] if self._spool is None else [f"--spool-size={self._spool}"]
        shares: dict[str, dict[str, float]] = {}
        for how in ("push", "copy"):
            with ExitStack() as stack:
                sites = [stack.enter_context(self._site(name, kind)) for name, kind in kinds.items()]
                holder = stack.enter_context(self._site(source, "source", data=self._folder / "held"))
                self.client.forget()
                self.client.sites([holder, *sites], **self._keys)
                sent = stack.enter_context(Traffic([holder], self._links, column=9))
                traffic = stack.enter_context(Traffic(sites, self._links))
                if how == "push":
                    if self._beside:
                        rate = max(self._links.links[name].rate for name in kinds) * MB / 8
                        stack.enter_context(self.client.downloading(holder, "Slides/cases", int(rate)))
                    run = self.client.push("--sites", ",".join(kinds))
                else:
                    run = self.client.copy(f"{source}:/Slides/cases", sites, *bounded)
                assert run.sites
                shares[how] = {
                    name: size * 8 / run.done_at(name) / (self._links.links[name].rate * MB) for name in kinds
                }
            if self._timeline:
                traffic.print(run)
                sent.print(None)
            if any(site.report["bytes"] != size for site in sites):
                raise SystemExit(f"a site has not {size} bytes: {[site.report['bytes'] for site in sites]}")
            summary = run.events[-1][1]
            beside = " beside a download by curl" if how == "push" and self._beside else ""
            print(f"== {how}{beside}: {size / MB:.0f} MB to each; {cost(run)}")
            servers = ", ".join(f"{site.name} {site.report['cpu']:.1f} s" for site in (holder, *sites))
            print(f"CPU of the servers: {servers}")
            if how == "copy":
                device = (sent.samples[-1][0] - sent.samples[0][0]) / size
                came, answered = summary["bytes_downloaded"] / size, holder.report["sent"] / size
                print(f"spool: {run.spool / MB:.0f} MB at most, bound {self._spool or '2G'}")
                print(f"downloaded {came:.3f} times; sent {answered:.3f} times by the source, {device:.3f} on the line")
        rows = [
            [name, kind, str(self._links.links[name]), f"{shares['push'][name]:.0%}", f"{shares['copy'][name]:.0%}"]
            for name, kind in kinds.items()
        ]
        table(["site", "kind", "link", "push", "copy"], rows)

    def _site(self, name: str, kind: str, **options: Any) -> Site:
        self._runs += 1
        folder = self._folder / f"run{self._runs}"
        address, namespace = self._links.address(name), self._links.namespace(name)
        return Site(name, kind, folder, host=address, namespace=namespace, **options)

    def _connections(self, name: str, sites: Sequence[Site]) -> str:
        report = next(site.report for site in sites if site.name == name)
        return f"{report['puts']} PUTs on {report['connections']}" if report["puts"] else ""


def _at_stake(run: Run, site: str, size: int) -> str:
    """Return what a kill would have cost, mean and most, in MB and in per cent of all that the site is to get."""
    done = run.done_at(site)
    events = [e for at, e in run.events if at < done and e["event"] == "progress" and e["site"] == site]
    seen = [e["bytes_under_way"] for e in events]
    if not seen:
        return ""
    mean = sum(seen) / len(seen)
    return f"{mean / MB:.0f} MB ({mean / size:.0%}), most {max(seen) / MB:.0f} MB"


def s3(testbed: Testbed, _links: Links) -> None:
    testbed.run("s3", "s3")


def four(testbed: Testbed, _links: Links) -> None:
    testbed.run("four", "s3")


def filesystem(testbed: Testbed, _links: Links) -> None:
    testbed.run("filesystem", "filesystem")


def one_large(testbed: Testbed, _links: Links) -> None:
    for name in ("cubic", "bbr", "auto"):
        testbed.run(f"large, congestion = {name}", "filesystem", congestion=name)


def slow(testbed: Testbed, _links: Links) -> None:
    testbed.run("slow", "filesystem")


def official(testbed: Testbed, _links: Links) -> None:
    ours = testbed.run("pmarep", "s3")
    theirs = testbed.run("official client", "s3", official=True)
    table(["site", "pmarep / official"], [[name, f"{ours[name] / theirs[name]:.1f}x"] for name in ours])


def copied(testbed: Testbed, _links: Links) -> None:
    testbed.copy({"tokyo": "s3", "saopaulo": "azure", "boston": "filesystem"})


def pull(testbed: Testbed, _links: Links) -> None:
    ours = testbed.pull("equal slides", sixteen)
    testbed.pull("one of 300 MB among small ones", one_among_small)
    theirs = testbed.pull("one of the equal slides", sixteen, official=1)
    print(f"pmarep / official: {ours / theirs:.1f}x\n")


def small(testbed: Testbed, _links: Links) -> None:
    testbed.round_trips("s3")
    testbed.round_trips("filesystem")


def uplink(testbed: Testbed, _links: Links) -> None:
    testbed.shared()


SCENARIOS: dict[str, tuple[Callable[[Testbed, Links], None], Sequence[Link], Callable[[Path, float], None]]] = {
    "s3": (s3, TWO, gigabyte),
    "filesystem": (filesystem, TWO, many),
    "large": (one_large, TWO, large),
    "slow": (slow, SLOW, twelve),
    "four": (four, FOUR, gigabyte),
    "official": (official, TWO, gigabyte),
    "uplink": (uplink, FOUR, quarter),
    "copy": (copied, COPY, gigabyte),
    "pull": (pull, TWO[:1], lambda _folder, _scale: None),
    "small": (small, [Link("far", 200, 100, 0)], lambda folder, _: write(folder / "slide.svs", 100_000)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", nargs="?", default="s3", choices=[*SCENARIOS, "all"])
    parser.add_argument(
        "--size", type=float, default=1.0, help="factor on the size of every file; 0.1 for a quick look"
    )
    parser.add_argument("--timeline", action="store_true", help="rate of each second at the link [requests in flight]")
    parser.add_argument("--connections", type=int, help="a fixed number of requests per site, to compare with")
    parser.add_argument(
        "--beside",
        action="store_true",
        help="beside the push of `copy`, curl downloads the slides as fast as one site could take them",
    )
    parser.add_argument("--spool-size", help="of a copy, as pmarep takes it; 2G is usual")
    parser.add_argument("--congestion", default="cubic", help="of both ends: cubic, bbr, reno")
    parser.add_argument(
        "--own-congestion", help="the key `congestion` of all sites (not set otherwise): auto, bbr, cubic"
    )
    parser.add_argument("--dir", type=Path, help="where the slides are made")
    options = parser.parse_args()
    print(machine())
    for name in SCENARIOS if options.scenario == "all" else [options.scenario]:
        work, links, slides = SCENARIOS[name]
        shared = UPLINK if name == "uplink" else None
        with scratch_folder(options.dir) as folder, Links(links, folder, options.congestion, shared) as running:
            testbed = Testbed(folder, running, options)
            if name == "copy":  # the site that holds them has them in its root-directory
                testbed.client.source = folder / "held" / "Slides" / "cases"
                testbed.client.source.mkdir(parents=True)
            slides(testbed.client.source, options.size)
            work(testbed, running)


if __name__ == "__main__":
    main()
