"""A short soak, so that `make soak`, the long one, works when it is wanted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import fault_kinds

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"
CYCLES = 2


@pytest.mark.slow
def test_some_cycles(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    command = [
        sys.executable,
        str(SOAK),
        "--cycles",
        str(CYCLES),
        "--seed",
        str(fault_kinds.seed(15)),
        "--dir",
        str(tmp_path),
    ]
    soak = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert soak.returncode == 0, soak.stdout + soak.stderr
    figure = soak.stdout.strip().rpartition("\n")[2]
    record_property("figure", f"soak: {figure}")
    assert "byte-identical" in figure
