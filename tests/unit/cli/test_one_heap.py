"""The threads of a push share one heap, where the C library can be told."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

WORK = """
import ctypes, sys, threading
if sys.argv[1] == "shared":
    from pmarep.cli.run import share_one_heap
    share_one_heap()
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
    told = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")  # what the machine's owner says counts
    environment = {name: value for name, value in os.environ.items() if name not in told}
    command = [sys.executable, "-c", WORK, heaps]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert (done.stderr.count("Arena ") == 1) == (heaps == "shared")
