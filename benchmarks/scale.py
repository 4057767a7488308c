"""Measure a push over many slides of which all but two are at their sites already. Linux; needs nginx.

    .venv/bin/python benchmarks/scale.py [--slides 100000] [--sites 4]

2,000 folders of 50 slides. The servers have them from the start, and the journal says that a run sent them a day ago:
both are written directly (that takes about two minutes), as if a first push had been done. Two slides are new, one in
the first folder and one in the last. Requests are counted at the servers.

Then the same by rclone, if it is installed: `rclone sync --size-only` of the same tree, with the same two new slides,
to WebDAV servers of its own, one rclone for each site, all at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import _rclone
from _harness import MB, TARGET, Client, Run, Site, age, cost, machine, scratch_folder, table, write

PER_FOLDER = 50
BYTES = 64


def lay_out(source: Path, slides: int) -> list[str]:
    """Write the slides, 50 folders of 50 slides in each case, and return their paths."""
    paths = []
    for number in range(slides // PER_FOLDER):
        folder = f"case{number // 50:04}/block{number % 50:02}"
        (source / folder).mkdir(parents=True)
        paths += [f"{folder}/slide{one:02}.svs" for one in range(PER_FOLDER)]
    for path in paths:
        (source / path).write_bytes(b"x" * BYTES)
        age(source / path)
    return paths


async def remember(client: Client, sites: list[Site], days: float) -> None:
    """Write the journal of a push that sent everything so many days ago."""
    from pmarep.slides import Slide, find_slides
    from pmarep.state.journal import Journal
    from pmarep.state.records import RemotePath, signature

    journal = Journal(client.state)
    try:
        slides = [slide for slide in find_slides(client.source) if isinstance(slide, Slide)]
        for start in range(0, len(slides), 500):  # which share commits
            await asyncio.gather(
                *(
                    journal.record_sent(RemotePath(site.url, f"{TARGET}/{slide.path}"), signature(slide))
                    for slide in slides[start : start + 500]
                    for site in sites
                )
            )
    finally:
        journal.close()
    with closing(sqlite3.connect(client.state / "journal.sqlite")) as db, db:
        db.execute("UPDATE slide SET changed = changed - ?", (days * 86400,))


def servers_cpu(sites: Sequence[Site]) -> float:
    """Return the CPU seconds of all servers together."""
    return sum(float(site.report["cpu"]) for site in sites)


def report(sites: Sequence[Site], paths: Sequence[str], run: Run) -> None:
    """Print the requests and times of each site, and what the push cost."""
    folders = len({path.rpartition("/")[0] for path in paths})
    print(f"== {len(paths):,} slides in {folders:,} folders at {len(sites)} sites, 2 slides are new")
    rows = []
    for site in sites:
        requests = site.report["requests"]
        listings = [requests.get(f"GET api/json/{name}", 0) for name in ("GetFiles", "GetDirectories", "GetFilenames")]
        first = site.report["first_put"] - run.started
        starts = [at for at, e in run.events if e["event"] == "slide_started" and e["site"] == site.name]
        rows.append(
            [site.name, sum(requests.values()), *listings, f"{first:.1f} s", f"{max(starts):.1f} s",
             f"{run.done_at(site.name):.1f} s"]
        )  # fmt: skip
    table(
        ["site", "requests", "GetFiles", "GetDirectories", "GetFilenames", "first byte", "last slide begun", "done"],
        rows,
    )
    print(f"{cost(run)}; servers: CPU {servers_cpu(sites):.1f} s in all")
    output = sum(len(str(event)) for _, event in run.events)
    print(f"{len(run.events):,} events, about {output / MB:.0f} MB of JSON lines")


def against_rclone(source: Path, copies: Sequence[Path], ours: Run, ours_servers: float) -> None:
    """Run rclone over the same tree and print it beside pmarep's run."""
    runs, servers = _rclone.sync(source, copies)
    seconds, cpu, peak = max(run.seconds for run in runs), sum(run.cpu for run in runs), sum(run.peak for run in runs)
    print(f"== beside it rclone {_rclone.version()}: sync --size-only to {len(copies)} WebDAV servers of its own")
    rows = [
        ["pmarep, one process", f"{ours.seconds:.1f} s", f"{ours.cpu:.1f} s", f"{ours.peak / MB:.0f} MB",
         f"{ours_servers:.1f} s"],
        [f"rclone, {len(copies)} processes", f"{seconds:.1f} s", f"{cpu:.1f} s", f"{peak / MB:.0f} MB",
         f"{servers:.1f} s"],
        ["pmarep / rclone", f"{ours.seconds / seconds:.2f}", f"{ours.cpu / cpu:.2f}", f"{ours.peak / peak:.2f}", ""],
    ]  # fmt: skip
    table(["", "time", "CPU", "peak", "servers' CPU"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=100_000)
    parser.add_argument("--sites", type=int, default=4)
    parser.add_argument(
        "--days", type=float, default=1.0, help="how long ago they were sent: see pmarep push --recheck"
    )
    parser.add_argument("--profile", action="store_true", help="one push under cProfile instead")
    parser.add_argument("--dir", type=Path, help="where the slides are made")
    options = parser.parse_args()
    print(machine())
    with scratch_folder(options.dir) as folder:
        client = Client(folder)
        start = time.perf_counter()
        paths = lay_out(client.source, options.slides)
        copies = [folder / f"webdav{number}" for number in range(options.sites if _rclone.version() else 0)]
        for copy in copies:
            _rclone.copy_tree(client.source, copy)
        holds = folder / "holds.txt"
        below = TARGET.partition("/")[2]
        holds.write_text("\n".join(f"{below}/{path}\t{BYTES}" for path in paths))
        with ExitStack() as stack:
            sites = [
                stack.enter_context(Site(f"s{number}", "s3", folder, holds=holds)) for number in range(options.sites)
            ]
            client.sites(sites)
            asyncio.run(remember(client, sites, options.days))
            fresh = [str(Path(paths[0]).with_name("a.svs")), str(Path(paths[-1]).with_name("z.svs"))]
            for path in fresh:
                write(client.source / path, 1_000_000)
            print(f"prepared in {time.perf_counter() - start:.0f} s")
            if options.profile:
                client.profile()
                return
            run = client.push()
            assert all(site["sent"] == 2 and site["skipped"] == len(paths) for site in run.sites.values())
        report(sites, paths, run)
        if copies:
            against_rclone(client.source, copies, run, servers_cpu(sites))
        else:
            print("rclone is not installed, so it is not measured beside: apt install rclone")


if __name__ == "__main__":
    main()
