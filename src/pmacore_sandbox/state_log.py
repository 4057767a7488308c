"""What a sandbox remembers when it is restarted: `.sandbox/ledger.jsonl` in the data folder, one fact a line."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .roots.base import StoredFile


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can look into, and those above it that are missing. Raises OSError.

    Windows has no modes: there it gets the rights of the folder above.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o777 if sys.platform == "win32" else 0o700, exist_ok=True)


class StateLog:
    """Append-only; a last line cut by a crash is ignored."""

    def __init__(self, path: Path) -> None:
        make_private(path.parent)
        self._path = path
        self._lock = threading.Lock()
        self._file = open(path, "ab", opener=_for_us_only)  # noqa: SIM115
        old = path.read_bytes()
        if old and not old.endswith(b"\n"):
            self._file.write(b"\n")

    def facts(self) -> Iterator[dict[str, Any]]:
        for line in self._path.read_bytes().splitlines():
            try:
                fact = json.loads(line)
            except ValueError:
                continue
            yield fact

    def write(self, fact: dict[str, Any]) -> None:
        line = json.dumps(fact, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def _for_us_only(path: str, flags: int) -> int:
    """Open, or make, a file that nobody else can read; a link that somebody has laid there is not followed."""
    handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    if sys.platform != "win32":
        os.fchmod(handle, 0o600)
    return handle


class DigestCache:
    """SHA-256 of files, valid as long as size and time of change are the same.

    Kept in the ledger because with --discard the bytes are gone: there the hash is all that a fingerprint can use.
    """

    def __init__(self, ledger: StateLog, data: Path) -> None:
        self._ledger = ledger
        self._data = data
        self._known: dict[str, tuple[int, int, bytes]] = {}
        for fact in ledger.facts():
            if "sha256" in fact:
                self._known[fact["file"]] = (fact["size"], fact["mtime_ns"], bytes.fromhex(fact["sha256"]))

    def get(self, where: Path, file: StoredFile) -> bytes | None:
        size, mtime_ns, digest = self._known.get(self._key(where), (-1, -1, b""))
        return digest if (size, mtime_ns) == (file.size, file.mtime_ns) else None

    def put(self, where: Path, file: StoredFile, digest: bytes) -> None:
        key = self._key(where)
        self._known[key] = (file.size, file.mtime_ns, digest)
        self._ledger.write({"file": key, "size": file.size, "mtime_ns": file.mtime_ns, "sha256": digest.hex()})

    def forget(self, where: Path) -> None:
        self._known.pop(self._key(where), None)

    def _key(self, where: Path) -> str:
        return where.relative_to(self._data).as_posix()
