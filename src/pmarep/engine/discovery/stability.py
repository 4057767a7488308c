"""Slides that may still be being written: they wait aside until they stand still."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...slides import ClaimedFile, LeftOut, Slide, Why
from ...slides.in_use import find_file_in_use
from ...slides.stability import is_unchanged
from ...source.scanner import SourceScanner
from ...text import printable
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


@dataclass(slots=True)
class Claimants:
    """The main files that may claim others before they stand still: those of all unstable slides with several files.

    An index that was half written when its folder was read names some of its files only; the others were found as
    slides of their own. `names` are main files, `folders` those in which they are; both with the numbers of sources.
    """

    names: set[tuple[int, str]] = field(default_factory=set)
    folders: set[tuple[int, str]] = field(default_factory=set)

    def add(self, unstable: UnstableSlide) -> None:
        """Add an unstable slide, unless it is one file that is whole."""
        found = unstable.found
        if isinstance(found, LeftOut) or len(found.files) > 1:
            folder, _, name = found.path.rpartition("/")
            self.names.add((unstable.source, name))
            self.folders.add((unstable.source, folder))

    def may_claim(self, unstable: UnstableSlide) -> bool:
        """Return whether something in its folder, or in one above, may have claimed it since it was found."""
        folder = unstable.found.path
        while folder:
            folder = folder.rpartition("/")[0]
            if (unstable.source, folder) in self.folders:
                return True
        return False


def look_at(
    scanner: SourceScanner, unstable: UnstableSlide, claimants: Claimants
) -> Slide | LeftOut | UnstableSlide | None:
    """Look again: a slide or something left out if it has not changed since the last look, else an UnstableSlide.

    None for a file that belongs to one of `claimants` by now, which is looked at itself. Blocks.
    """
    before = unstable.found
    now: Slide | LeftOut | ClaimedFile
    if (
        isinstance(before, Slide)
        and len(before.files) == 1
        and is_unchanged(before)
        and not claimants.may_claim(unstable)
    ):
        now = before  # nothing could have been added to it
    else:
        now = scanner.again(before)
    if isinstance(now, ClaimedFile):
        if (unstable.source, now.owner) in claimants.names:
            return None
        words = f"belongs to {printable(now.owner)} by now, which came while its folder was read; push again"
        return LeftOut(before.path, Why.UNFINISHED, words)
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
