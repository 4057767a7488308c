"""Slides that may still be being written: they wait aside until they stand still."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...slides import LeftOut, Slide, Why
from ...slides.in_use import find_file_in_use
from ...slides.stability import is_unchanged
from ...source.scanner import SourceScanner
from .disk_list import DiskList, pack_found, unpack_found


@dataclass(frozen=True, slots=True)
class UnstableSlide:
    """Something that changed a short time ago, as it was when last looked at.

    `source` is the number of its SourceScanner. `digest` stands for the files of something incomplete
    (stability.snapshot_incomplete). `reason` says why it does not count as finished, where that is not a change.
    """

    source: int
    found: Slide | LeftOut
    digest: int = 0
    reason: str = ""

    def unfinished(self, reason: str = "") -> LeftOut:
        """Describe it for the report of what was left for the next run."""
        why = reason or self.reason or "its files changed while they were watched"
        files = len(self.found.files) if isinstance(self.found, Slide) else self.found.files
        if isinstance(self.found, LeftOut):
            why = f"{self.found.detail}, and {why}"
        return LeftOut(self.found.path, Why.UNFINISHED, f"{why}; push again when it is finished", files=files)


def look_at(scanner: SourceScanner, unstable: UnstableSlide) -> Slide | LeftOut | UnstableSlide:
    """Look again: a slide or something left out if it has not changed since the last look, else an UnstableSlide.

    Blocks.
    """
    before = unstable.found
    if isinstance(before, Slide) and len(before.files) == 1 and is_unchanged(before):
        now: Slide | LeftOut = before  # nothing could have been added to it
    else:
        now = scanner.again(before)
    digest = 0
    if isinstance(now, LeftOut):
        around = scanner.snapshot_incomplete(now)
        if around is None:  # waiting will not help
            return now
        digest = around.digest
    if now != before or digest != unstable.digest:
        return UnstableSlide(unstable.source, now, digest)
    if isinstance(now, Slide) and (held := find_file_in_use(now)) is not None:
        path, how = held
        return UnstableSlide(unstable.source, now, digest, f"{path.name} is {how}")
    return now


def unstable_list() -> DiskList[UnstableSlide]:
    """Make a temporary list of unstable slides. Raises TemporaryFileError."""
    return DiskList(_pack, _unpack)


def _pack(unstable: UnstableSlide) -> tuple[Any, ...]:
    return unstable.source, pack_found(unstable.found), unstable.digest, unstable.reason


def _unpack(row: tuple[Any, ...]) -> UnstableSlide:
    source, found, digest, reason = row
    return UnstableSlide(source, unpack_found(found), digest, reason)
