"""The log of what a sandbox keeps over a restart: `.sandbox/state.jsonl` in the data folder, one JSON object a line."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class StateLog:
    """An append-only file of JSON objects that only its owner can read; a last line cut by a crash is ignored."""

    def __init__(self, path: Path) -> None:
        make_private_folder(path.parent)
        self._path = path
        self._lock = threading.Lock()
        self._file = open(path, "ab", opener=_open_private)  # noqa: SIM115
        old = path.read_bytes()
        if old and not old.endswith(b"\n"):
            self._file.write(b"\n")

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all records, oldest first."""
        for line in self._path.read_bytes().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            yield record

    def append(self, record: dict[str, Any]) -> None:
        """Write one record. Callable from any thread."""
        line = json.dumps(record, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can look into, and those above it that are missing. Raises OSError.

    Windows has no modes: there it has the rights of the folder above it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o777 if sys.platform == "win32" else 0o700, exist_ok=True)


def _open_private(path: str, flags: int) -> int:
    """Open, or make, a file with mode 0600; a symbolic link at `path` is not followed. Raises OSError."""
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    if sys.platform != "win32":
        os.fchmod(handle, 0o600)
    return handle
