"""What a run is asked to do, checked: one frozen object that everyone reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ..timetable import Timetable


class Existing(StrEnum):
    """What to do with a slide that is at the site already and differs."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    FAIL = "fail"


class Verify(StrEnum):
    """How sure to be after sending. `SIZE`: all files there with their sizes, and the server can read the slide."""

    NONE = "none"
    SIZE = "size"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`to` is a sub-folder below every site's target. `connections` None means automatic. `max_duration` in seconds."""

    sources: tuple[Path, ...]
    to: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    existing: Existing = Existing.FAIL
    verify: Verify = Verify.SIZE
    connections: int | None = None
    bwlimit: Timetable | None = None
    dry_run: bool = False
    fresh: bool = False
    max_duration: float | None = None
