"""Find and read the records of runs, and make room for the next one. What is in them: run_record.py.

A run that goes on holds the lock beside its record. One whose record has no summary, and whose lock nobody holds, was
killed.
"""

from __future__ import annotations

import json
import os
import platform
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ..errors import PmarepError

if TYPE_CHECKING:
    from .records import Run

VERSION = 1
"""Of records. A newer pmarep may write what this one does not know: new lines and keys are no new version."""

SUFFIX = ".jsonl.gz"

RUNS = 500
"""Records that are kept ..."""

TOTAL_BYTES = 256 * 1024 * 1024
"""... and their size together, as far as it depends on runs that have ended: the oldest go first, but not the last."""

CHUNK = 256 * 1024

_SAME_RUN = 60.0
"""Seconds between a run's start in the journal and in its record, at most: a new journal counts from 1 again."""


class RunRecordError(PmarepError):
    """A record cannot be read."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """One record on disk. `number`: the run's in the journal that it was in; `started`: in UTC, to the second."""

    path: Path
    number: int
    started: datetime

    @property
    def id(self) -> str:
        """The name of the run: its start and its number."""
        return self.path.name.removesuffix(SUFFIX)

    def is_of(self, run: Run) -> bool:
        """Return whether it is the record of a run that the journal has."""
        return self.number == run.number and abs(self.started.timestamp() - run.started) < _SAME_RUN

    def is_running(self) -> bool:
        """Return whether its run goes on, in whatever process on this machine."""
        lock = lock_of(self.path)
        if not lock.exists():
            return False
        try:
            with FileLock(lock, timeout=0, mode=0o600):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def lines(self) -> Iterator[dict[str, Any]]:
        """Return its lines as objects that have an `event`, as far as they are there: a killed run's end is missing.

        Raises RunRecordError for a file that cannot be read, or that a newer pmarep has written.
        """
        first = True
        for line in _unpacked_lines(self.path):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                return
            if not (isinstance(found, dict) and isinstance(found.get("event"), str)):
                return
            if first and found.get("record") != VERSION:
                raise RunRecordError(f"the record {self.path} was written by another pmarep; update this one")
            first = False
            yield found


def records_in(folder: Path) -> list[RunFile]:
    """Return the records in the folder `runs` of a state folder, the newest first; none where there is no folder."""
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        started, _, number = path.name.removesuffix(SUFFIX).partition("-")
        with suppress(ValueError):
            moment = datetime.strptime(started, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            found.append(RunFile(path, int(number), moment))
    return sorted(found, key=lambda record: (record.started, record.number), reverse=True)


def own_record(folder: Path, begun: float) -> RunFile | None:
    """Return the record of the last run of this process that began at `begun` (seconds since the epoch) or later."""
    me = os.getpid(), platform.node()
    for record in records_in(folder):
        if record.started.timestamp() < int(begun):
            return None
        first = next(record.lines(), {})
        if (first.get("pid"), first.get("machine")) == me:
            return record
    return None


def lock_of(path: Path) -> Path:
    """Return the file whose lock a run holds as long as it writes the record `path`."""
    return path.with_name(path.name.removesuffix(SUFFIX) + ".lock")


def make_room(folder: Path) -> None:
    """Remove the oldest records of runs that have ended, until there is room for one more."""
    remove_records(_superfluous(records_in(folder)))


def _superfluous(records: Sequence[RunFile]) -> Iterator[RunFile]:
    size = 0
    for index, record in enumerate(records):
        with suppress(OSError):
            size += record.path.stat().st_size
        if index >= RUNS - 1 or (index and size > TOTAL_BYTES):
            yield record


def remove_records(records: Iterable[RunFile]) -> None:
    """Remove records of runs that have ended."""
    for record in records:
        if not record.is_running():
            for path in (record.path, lock_of(record.path)):
                with suppress(OSError):
                    path.unlink()


def _unpacked_lines(path: Path) -> Iterator[bytes]:
    """Yield whole lines of a packed file, as far as it can be unpacked. Raises RunRecordError."""
    unpacker, rest = zlib.decompressobj(wbits=31), b""
    try:
        with path.open("rb") as file:
            while packed := file.read(CHUNK):
                lines = (rest + unpacker.decompress(packed)).split(b"\n")
                rest = lines.pop()
                yield from lines
    except zlib.error:
        return
    except OSError as error:
        raise RunRecordError(f"cannot read the record {path}: {error.strerror}") from None
