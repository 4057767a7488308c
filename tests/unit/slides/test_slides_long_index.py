"""An index may name a path of any length; no disk has it."""

from __future__ import annotations

import os
from pathlib import Path

from pmarep.slides.companions import Companions, add_files_by_path
from pmarep.slides.folder import Folder


def test_a_path_of_a_million_folders(tmp_path: Path) -> None:
    """Looking for each of its levels would take time in proportion to its square: days."""
    parts = Companions()
    add_files_by_path(parts, Folder(str(tmp_path), os.scandir), ["a/" * 1_000_000 + "x.tif"])
    assert parts.files == []
    assert len(parts.problems) == 1
    assert len(parts.problems[0]) < 500
