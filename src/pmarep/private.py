"""Folders that only their owner may look into."""

from __future__ import annotations

from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder that is not there with mode 0700; those above it get the usual one. Raises OSError."""
    # With parents=True, mkdir() would give the mode to the last folder only.
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
