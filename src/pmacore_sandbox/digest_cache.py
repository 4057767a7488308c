"""A cache of SHA-256 digests of stored files that outlives a restart."""

from __future__ import annotations

from pathlib import Path

from .models import StoredFile
from .state_log import StateLog


class DigestCache:
    """SHA-256 of files, valid as long as size and time of change are the same.

    Kept in the state log because with --discard the bytes are gone: there the digest is all that a fingerprint can use.
    """

    def __init__(self, log: StateLog, data: Path) -> None:
        self._log = log
        self._data = data
        self._known: dict[str, tuple[int, int, bytes]] = {}
        for record in log.records():
            if "sha256" in record:
                digest = bytes.fromhex(record["sha256"])
                self._known[record["file"]] = (record["size"], record["mtime_ns"], digest)

    def get(self, where: Path, file: StoredFile) -> bytes | None:
        """Return the digest of a file on disk, or None if it is unknown or the file has changed."""
        size, mtime_ns, digest = self._known.get(self._key(where), (-1, -1, b""))
        return digest if (size, mtime_ns) == (file.size, file.mtime_ns) else None

    def put(self, where: Path, file: StoredFile, digest: bytes) -> None:
        """Remember the digest of a file."""
        key = self._key(where)
        self._known[key] = (file.size, file.mtime_ns, digest)
        self._log.append({"file": key, "size": file.size, "mtime_ns": file.mtime_ns, "sha256": digest.hex()})

    def forget(self, where: Path) -> None:
        """Drop the digest of a deleted file."""
        self._known.pop(self._key(where), None)

    def _key(self, where: Path) -> str:
        return where.relative_to(self._data).as_posix()
