"""Folders that only their owner may look into."""

from __future__ import annotations

import sys
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make a folder that is not there with mode 0700; those above it get the usual one. Raises OSError.

    Windows has no modes. Newer Pythons take 0700 there for "owner and administrators", and the owner of what is made in
    an elevated shell may be the administrators: the same person without their rights could not look into it.
    """
    # With parents=True, mkdir() would give the mode to the last folder only.
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o777 if sys.platform == "win32" else 0o700, exist_ok=True)
