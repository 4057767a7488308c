"""Measure the peak memory of a push. Linux; needs nginx.

    .venv/bin/python benchmarks/memory.py [--size 0.1]

A file of 5 GiB to three file-system sites, 1 GiB in eight slides to four and to eight S3 sites. Peak is resident memory
of the client's process (`ru_maxrss`).
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path

from _harness import MB, Client, Site, machine, scratch_folder, size_of, table, write

GIB = 1024**3


def push(folder: Path, kind: str, count: int, files: list[int]) -> list[object]:
    folder.mkdir()
    client = Client(folder)
    for number, size in enumerate(files):
        write(client.source / f"slide{number}.svs", size, sparse=True)
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(f"s{number}", kind, folder / "servers")) for number in range(count)]
        client.sites(sites)
        run = client.push()
        assert len(run.sites) == count
    assert {site.report["bytes"] for site in sites} == {size_of(client.source)}
    return [f"{sum(files) / MB:.0f} MB, {kind}, {count} sites", f"{run.peak / MB:.0f} MB", f"{run.seconds:.0f} s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=1.0, help="factor on the size of every file")
    parser.add_argument("--dir", type=Path, help="where the slides are made")
    options = parser.parse_args()
    print(machine())
    one, several = [int(5 * GIB * options.size)], [int(GIB / 8 * options.size)] * 8
    with scratch_folder(options.dir) as folder:
        rows = [
            push(folder / "large", "filesystem", 3, one),
            push(folder / "four", "s3", 4, several),
            push(folder / "eight", "s3", 8, several),
        ]
    table(["", "peak", "took"], rows)


if __name__ == "__main__":
    main()
