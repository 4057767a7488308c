"""What a pull is asked to do, checked: one frozen object that everyone reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..engine.options import PATIENCE, Existing
from ..timetable import Timetable


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """`folder` is DIR, into which everything goes. `include`, `exclude`: patterns for a slide's path below its place.

    `existing`: what becomes of a slide that is here already and differs. `connections`: None means as each site says.
    `bwlimit` is for all sites together. `patience`: seconds that a site may stay away before it is given up.
    `max_duration`: seconds after which no slide is begun any more. `audit`: a file to append to. `config`: the book
    that a command which goes on with the pull has to name. `arguments`: the words after `pmarep` that go on with it.
    """

    folder: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    existing: Existing = Existing.FAIL
    connections: int | Literal["auto"] | None = None
    bwlimit: Timetable | None = None
    patience: float = PATIENCE
    max_duration: float | None = None
    dry_run: bool = False
    audit: Path | None = None
    config: Path | None = None
    arguments: tuple[str, ...] = ()
