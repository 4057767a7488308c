"""No more functions of ours stand behind the first byte of a slide than benchmarks/frames.py allows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FRAMES = Path(__file__).parents[2] / "benchmarks" / "frames.py"


@pytest.mark.parametrize("kind", ["filesystem", "s3"])  # to Azure it is the same way as to S3
def test_a_slide_has_no_longer_way_to_the_wire_than_before(kind: str) -> None:
    shown = subprocess.run([sys.executable, str(FRAMES), kind], capture_output=True, text=True, timeout=100)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert " frames in " in shown.stdout
