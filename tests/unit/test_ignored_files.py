"""What git ignores is left out of the wheel too, so nothing of the sources may be ignored."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="not a clone")
def test_no_file_of_the_sources_is_ignored() -> None:
    files = [str(path.relative_to(ROOT)) for top in ("src", "tests", "docs") for path in (ROOT / top).rglob("*.*")]
    text = "\n".join(file for file in files if "__pycache__" not in file)
    ignored = ["git", "check-ignore", "--no-index", "--stdin"]
    assert subprocess.run(ignored, cwd=ROOT, input=text, capture_output=True, encoding="utf-8").stdout == ""
