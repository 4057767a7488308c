"""Measure how fast one machine can send without a network that limits it. Linux; needs curl and nginx.

    .venv/bin/python benchmarks/loopback.py [s3|four|filesystem|all] [--size 1024M] [--repeat 3] [--profile]

s3          one file to one S3 site, digests on, against curl PUTting it to the same nginx
four        the same file to four S3 sites: the total against the same curl; and how often each byte was read
filesystem  the same file to a file-system site: the official client against pmarep

Medians of runs that take turns. Client, servers and the kernel's loopback share this machine's CPUs, so ratios count
and not rates. Reads are bytes that read(2) and its relatives gave the client, less those of a push of one small slide,
over the size of the source; mmap(2) would escape it.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from _harness import MB, Client, Run, Site, cost, machine, scratch_folder, table, write

from pmarep.units import parse_size


def curl(site: Site, file: Path) -> float:
    """PUT the file with curl and return the seconds that it took."""
    start = time.perf_counter()
    url = f"{site.storage}/curl/slide"
    subprocess.run(["curl", "-sSf", "-o", "/dev/null", "-T", str(file), "-H", "Expect:", url], check=True)
    return time.perf_counter() - start


def md5_rate(size: int) -> float:
    """Return the bytes per second that one thread digests: each digest of the client costs this much of a CPU."""
    block, digest = bytes(1 << 20), hashlib.md5(usedforsecurity=False)
    start = time.perf_counter()
    for _ in range(max(1, size // len(block))):
        digest.update(block)
    return size / (time.perf_counter() - start)


def push(folder: Path, client: Client, kind: str, count: int, size: int, **keys: object) -> tuple[Run, float]:
    """Push to new servers. Return the run, and the seconds from its first to its last event about slides."""
    client.forget()
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(f"s{number}", kind, folder / "servers")) for number in range(count)]
        client.sites(sites, **keys)
        run = client.push()
        assert len(run.sites) == count
    for site in sites:
        if site.report["bytes"] != size:
            sys.exit(f"{site.name} has {site.report['bytes']} bytes of {size}")
    first = min(run.first("slide_started", site.name) for site in sites)
    return run, max(run.done_at(site.name) for site in sites) - first


def against_curl(folder: Path, size: int, repeat: int, count: int) -> None:
    client = Client(folder)
    slide = client.source / "slide.svs"
    write(slide, 1_000_000)
    small = push(folder / "small", client, "s3", count, 1_000_000)[0].read
    write(slide, size)
    curls, md5s, ours, runs = [], [], [], []
    for turn in range(repeat):
        with Site("curl", "s3", folder / f"curl{turn}") as site:
            curls.append(size / curl(site, slide))
        md5s.append(md5_rate(size))
        run, seconds = push(folder / f"turn{turn}", client, "s3", count, size)
        ours.append(size * count / seconds)
        runs.append(run)
    c, o = statistics.median(curls), statistics.median(ours)
    print(f"== {size / MB:.0f} MB to {count} S3 site{'s' * (count > 1)}, digests on")
    table(
        ["", "MB/s", "of curl"],
        [
            ["curl, one", f"{c / MB:.0f}", ""],
            ["MD5 alone, one thread", f"{statistics.median(md5s) / MB:.0f}", ""],
            [f"pmarep, {count} together", f"{o / MB:.0f}", f"{o / c:.2f}"],
        ],
    )
    reads = statistics.median((run.read - small) / size for run in runs)
    print(f"each byte of the source was read {reads:.2f} times; {cost(runs[-1])}\n", flush=True)


def against_official(folder: Path, size: int, repeat: int) -> None:
    client = Client(folder)
    write(client.source / "slide.svs", size)
    ours, theirs = [], []
    for turn in range(repeat):
        ours.append(push(folder / f"turn{turn}", client, "filesystem", 1, size)[0].seconds)
        with Site("official", "filesystem", folder / f"official{turn}") as site:
            theirs.append(client.official([site])["official"].seconds)
    o, t = statistics.median(ours), statistics.median(theirs)
    print(f"== {size / MB:.0f} MB to a file-system site, whole processes")
    rows = [["official client", f"{size / t / MB:.0f}", ""], ["pmarep", f"{size / o / MB:.0f}", f"{t / o:.1f}x"]]
    table(["", "MB/s", "faster"], rows)


def profile(folder: Path, size: int) -> None:
    client = Client(folder)
    write(client.source / "slide.svs", size)
    with Site("s0", "s3", folder / "server") as site:
        client.sites([site])
        client.profile()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="all", choices=("s3", "four", "filesystem", "all"))
    parser.add_argument("--size", default="1024M", help="of the file")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="one S3 push under cProfile instead")
    parser.add_argument("--dir", type=Path, help="where the slide is made")
    options = parser.parse_args()
    size = parse_size(options.size)
    print(machine())
    with scratch_folder(options.dir) as folder:
        if options.profile:
            profile(folder, size)
            return
        if options.what in ("s3", "all"):
            against_curl(folder, size, options.repeat, 1)
        if options.what in ("four", "all"):
            against_curl(folder, size, options.repeat, 4)
        if options.what in ("filesystem", "all"):
            against_official(folder, size, options.repeat)


if __name__ == "__main__":
    main()
