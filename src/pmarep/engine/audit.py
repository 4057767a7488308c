"""Keep the audit file of a regulated laboratory: a JSON line for each slide and site, with hashes, times, user."""

from __future__ import annotations

import asyncio
import errno
import getpass
import json
import os
import platform
import sys
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol

from filelock import FileLock

from ..errors import PmarepError, Remedy, UsageError
from ..remote.tree import RemoteSlide, name_below
from ..sites import Site
from ..slides import Slide
from ..version import __version__

NOT_FINISHED = "not finished"
"""The note of a slide that a run has not come to the end of."""

Deletion = Literal["deleting", "deleted", "not_deleted"]
"""The status of a slide that is to be deleted: right before, so that a run that is killed leaves a trace, and after."""


class AuditError(PmarepError):
    """The record cannot be kept, so nothing more is sent."""

    remedy = Remedy.STOP_RUN


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who runs pmarep, where, and since when this run goes on."""

    user: str
    machine: str
    started: datetime

    @classmethod
    def here(cls) -> Auditor:
        try:
            user = getpass.getuser()
        except (KeyError, OSError, ImportError):  # a container's user without a name
            user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
        return cls(user, platform.node(), datetime.now(UTC))

    def line(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return a line of the file: now, who runs it, and `entry`."""
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "run": self.started.isoformat(timespec="milliseconds"),
            "user": self.user,
            "machine": self.machine,
            "pmarep": __version__,
            **entry,
        }


class Audit(Protocol):
    """Where the lines go: a file here, or another node that has it."""

    async def record(self, entry: Mapping[str, Any], *, on_disk: bool) -> None:
        """Append a line. `on_disk`: wait until it is. Raises AuditError."""

    async def write(self, line: Mapping[str, Any], *, on_disk: bool) -> None:
        """Append a whole line, as `record` does."""

    def close(self) -> None:
        """Close it."""


class AuditLog:
    """Appends to a file, one line at a time.

    Several runs may append to one file. Raises UsageError, when it is made, for a file that cannot be written.
    """

    def __init__(self, path: Path, auditor: Auditor) -> None:
        self._path = path
        self._auditor = auditor
        try:
            # File names may be patients' names: nobody else reads them.
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            raise UsageError(
                f"cannot write the audit file {path}: {error.strerror}; name another with --audit"
            ) from None
        self._begin = b"\n" if _ends_within_a_line(path) else b""
        self._file: BinaryIO = open(handle, "ab", buffering=0)  # noqa: PTH123, SIM115  (of a descriptor)
        self._ours = threading.Lock()  # threads would wait for the file's lock in steps of 50 ms
        # Windows has no writes that append: there, whoever writes first looks for the end.
        self._turn: AbstractContextManager[object] = (
            FileLock(f"{path}.lock") if sys.platform == "win32" else nullcontext()
        )

    def close(self) -> None:
        self._file.close()

    async def record(self, entry: Mapping[str, Any], *, on_disk: bool) -> None:
        """Append one line: the time, who runs it, and `entry`. `on_disk`: wait until it is. Raises AuditError.

        A run that is being stopped writes it all the same: what has happened is on record.
        """
        await self.write(self._auditor.line(entry), on_disk=on_disk)

    async def write(self, line: Mapping[str, Any], *, on_disk: bool) -> None:
        """Append a whole line, as `record` does."""
        # ASCII: a slide's name can hold what is no text, and a line break in one must not look like a line's end.
        data, self._begin = self._begin + json.dumps(line).encode() + b"\n", b""
        writing = asyncio.ensure_future(asyncio.to_thread(self._append, data, on_disk))
        try:
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing
                raise
        except OSError as error:
            words = f"cannot write the audit file {self._path}: {error.strerror}"
            raise AuditError(f"{words}; mend that and start again, what has arrived is skipped") from None

    def _append(self, data: bytes, on_disk: bool) -> None:
        with self._ours, self._turn:
            # O_APPEND and one write: on POSIX, lines of several runs never mix.
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if on_disk:
            os.fsync(self._file.fileno())


def deletion_entry(
    site: Site, slide: str, at: RemoteSlide, status: Deletion, error: str | None = None, source: str | None = None
) -> dict[str, Any]:
    """Return what the audit has of a slide that is deleted at a site, with the files that it had there."""
    return {
        "site": site.name,
        "url": site.url,
        "slide": slide,
        "to": at.path,
        "source": source,
        "status": status,
        "error": error,
        "note": None,
        "verify": "none",
        "bytes_sent": 0,
        "bytes_resumed": 0,
        "seconds": 0.0,
        "files": [{"path": name_below(at, file), "bytes": file.size, "sha256": None} for file in at.files],
    }


def unfinished_entry(site: Site, slide: Slide, to: str, verify: str, why: str) -> dict[str, Any]:
    """Return what the audit has of a slide of which nothing was said when a run ended."""
    return {
        "site": site.name,
        "url": site.url,
        "slide": slide.path,
        "to": to,
        "source": slide.folder_name,
        "status": "failed",
        "error": why,
        "note": NOT_FINISHED,
        "verify": verify,
        "bytes_sent": 0,
        "bytes_resumed": 0,
        "seconds": 0.0,
        "files": [{"path": file.path, "bytes": file.size, "sha256": None} for file in slide.files],
    }


def _ends_within_a_line(path: Path) -> bool:
    """Return whether a full disk or a crash has left half a line at the end, which must not swallow the next one."""
    try:
        with path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # no plain file
        return False
