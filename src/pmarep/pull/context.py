"""What all sites of a pull share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..clock import Clock
from ..engine.audit import AuditLog
from ..events import Listener
from ..slides.selection import Selection
from ..state.run_record import RunRecord
from .claims import Claims
from .disk import Disk
from .local_folder import LocalFolder
from .options import PullOptions


@dataclass(frozen=True, slots=True)
class PullContext:
    """`deadline`: the clock's time after which no slide is begun. `others_work`: return whether other sites do.

    `stop_run` ends the run for all sites, and is told why.
    """

    options: PullOptions
    folder: LocalFolder
    disk: Disk
    claims: Claims
    selection: Selection
    listener: Listener
    clock: Clock
    audit: AuditLog | None
    deadline: float | None
    others_work: Callable[[str], bool]
    stop_run: Callable[[str], None]
    record: RunRecord | None = None  # none of a dry run
