"""Show that memory stays flat over many rounds of `push --every`, and what a round costs in which nothing happens.

    .venv/bin/python benchmarks/rounds.py                       # 1000 rounds of 20 slides, a minute or two
    .venv/bin/python benchmarks/rounds.py --slides 100000 --rounds 3

Rounds begin one after the other, without a pause, in this process, against a sandbox in another.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from unittest.mock import patch

from _harness import Client, Site, machine, scratch_folder, table, write

from pmarep.cli import main as pmarep
from pmarep.cli.replication_run import PreparedRun
from pmarep.cli.rounds import Rounds
from pmarep.events import RoundReason

LINES = 10
"""Of the table; the growth is that between the first and the last."""


class Probe:
    """Begins the next round at once, and notes memory and CPU now and then."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.rows: list[tuple[int, float, float, int]] = []
        self._began = time.perf_counter(), time.process_time()

    def wait(
        self, rounds: Rounds, prepared: PreparedRun, _due: float, _reason: RoundReason
    ) -> tuple[RoundReason | None, PreparedRun]:
        """Stand in for Rounds._wait."""
        done: int = getattr(rounds, "done", 0)
        rounds.done = done + 1  # type: ignore[attr-defined]
        if done and (done % max(self.rounds // LINES, 1) == 0 or done == self.rounds):
            seconds, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
            self.rows.append((done, seconds, cpu, resident_bytes()))
        return (None if done >= self.rounds else RoundReason.TIME), prepared


def resident_bytes() -> int:
    """Return the memory of this process that is in use now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=1000)
    options = parser.parse_args()
    print(machine())
    probe = Probe(options.rounds)
    with scratch_folder() as folder, Site("a", "filesystem", folder) as site:
        client = Client(folder)
        client.sites([site])
        for number in range(options.slides):
            write(client.source / f"{number // 100}" / f"{number}.svs", 1000)
        with (
            patch.object(Rounds, "_wait", lambda *arguments: probe.wait(*arguments)),
            patch.object(sys, "argv", ["pmarep", *client.command("--every", "1h", "--quiet")[3:]]),
            patch.dict(os.environ, client.environment),
        ):
            try:
                pmarep()
            except SystemExit as end:
                print(f"exit code {end.code}")
    first, last = probe.rows[0], probe.rows[-1]
    rows = [
        (done, f"{s / done * 1000:.0f}", f"{c / done * 1000:.0f}", f"{m / 1e6:.1f}") for done, s, c, m in probe.rows
    ]
    table(("rounds", "ms each", "CPU ms each", "MB"), rows)
    print(f"{(last[3] - first[3]) / 1e6:+.1f} MB from round {first[0]} to round {last[0]}")


if __name__ == "__main__":
    main()
