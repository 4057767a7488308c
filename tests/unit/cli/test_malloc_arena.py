"""The threads of a push share one heap, where the C library can be told."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import pytest

from pmarep import engine
from pmarep.cli import replication_run
from pmarep.cli.render import LinesOutput
from pmarep.events import Summary

WORK = """
import ctypes, sys, threading
if sys.argv[1] == "shared":
    from pmarep.cli.replication_run import use_one_malloc_arena
    use_one_malloc_arena()
at_once = threading.Barrier(4)
def work():
    kept = [bytes(5000) for _ in range(200)]
    at_once.wait()
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="glibc's malloc only"
)
@pytest.mark.parametrize("heaps", ["shared", "own"])
def test_heaps(heaps: str) -> None:
    variables = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")  # what the machine's owner says counts
    environment = {name: value for name, value in os.environ.items() if name not in variables}
    command = [sys.executable, "-c", WORK, heaps]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (done.stderr.count("Arena ") == 1) == (heaps == "shared")


def test_a_run_begins_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also before its output, which may have a thread for the terminal."""
    order = []

    class Opening(LinesOutput):
        def __enter__(self) -> Self:
            order.append("output")
            return self

    async def replicate(*_args: Any, **_options: Any) -> Summary:
        order.append("run")
        return Summary(exit_code=0, seconds=0.0, sites={})

    monkeypatch.setattr(engine, "replicate", replicate)
    monkeypatch.setattr(replication_run, "use_one_malloc_arena", lambda: order.append("heap"))
    monkeypatch.setattr("gc.freeze", lambda: order.append("freeze"))
    nothing: Any = None
    output = Opening(quiet=True, verbose=False)
    replication_run.run_replication(nothing, [], None, Path(), output)
    assert order == ["heap", "output", "freeze", "run"]
