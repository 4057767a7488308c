"""Measure the start-up time: `pmarep --help`, and a push of one small slide over loopback. Linux.

.venv/bin/python benchmarks/startup.py [--repeat 5] [--imports]
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys

from _harness import Client, Site, machine, measure, scratch_folder, table, write

HELP = [sys.executable, "-m", "pmarep", "--help"]


def imports(title: str, command: list[str], environment: dict[str, str]) -> None:
    """Print the modules that take longest to import, by themselves and with what they import."""
    lines = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], env=environment, capture_output=True, text=True, check=True
    ).stderr.splitlines()
    found = [m.groups() for line in lines if (m := re.match(r"import time:\s+(\d+) \|\s+(\d+) \| +(\S+)", line))]
    print(f"== {title}: {len(found)} modules, {sum(int(own) for own, _, _ in found) / 1000:.0f} ms")
    for column, words in ((0, "by itself"), (1, "with what it imports")):
        top = sorted(found, key=lambda one: -int(one[column]))[:15]
        table([words, "ms"], [[name, f"{int((own, whole)[column]) / 1000:.1f}"] for own, whole, name in top])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--imports", action="store_true", help="15 modules that take longest")
    options = parser.parse_args()
    print(machine())
    with scratch_folder() as folder:
        client = Client(folder)
        write(client.source / "slide.svs", 100_000)
        with Site("lan", "filesystem", folder) as site:
            client.sites([site])
            pushes = []
            for turn in range(options.repeat + 1):
                client.forget()
                run = client.push("--to", f"turn{turn}")
                assert run.sites["lan"]["sent"] == 1
                pushes.append(run)
            helps = [measure(HELP, client.environment, events=False) for _ in range(options.repeat + 1)]
            if options.imports:
                imports("pmarep --help", HELP, client.environment)
                client.forget()
                imports("pmarep push", client.command("--to", "imports"), client.environment)
        rows = []
        for title, runs, wanted in (("pmarep --help", helps, 0.25), ("pmarep push, one slide", pushes, 0.6)):
            runs = runs[1:]  # the first one fills the caches
            seconds, cpu = (statistics.median(getattr(run, what) for run in runs) for what in ("seconds", "cpu"))
            rows.append([title, f"{seconds:.2f} s", f"{cpu:.2f} s", f"<= {wanted} s"])
        table(["", f"median of {options.repeat}", "CPU", "wanted"], rows)
        last = pushes[-1]
        marks = [("first event", last.events[0][0]), ("slide started", last.first("slide_started", "lan"))]
        marks += [("site done", last.done_at("lan")), ("summary", last.events[-1][0]), ("ended", last.seconds)]
        print("the last push:", ", ".join(f"{name} at {at:.2f} s" for name, at in marks))


if __name__ == "__main__":
    main()
