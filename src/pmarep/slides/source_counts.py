"""Counts of what is in a source: its slides, and its files, which are sent, reported as a problem, or left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .model import Kind, LeftOut, Slide, Why


@dataclass(slots=True)
class SourceCounts:
    """Numbers of slides, of their bytes, and of files, which add up to all files of the source.

    Files: `sent` are those of slides; `unknown` may be a slide or a part of one; `other` are known to be none;
    `annotations` are side files with those of slides. `system` and `excluded` also count folders that nobody looks
    into, as one each. `reasons` counts what was left out, whether one file or many, by why.
    """

    slides: int = 0
    bytes: int = 0
    reasons: Counter[Why] = field(default_factory=Counter)
    sent: int = 0
    reported: int = 0
    unknown: int = 0
    other: int = 0
    annotations: int = 0
    system: int = 0
    excluded: int = 0

    def add(self, thing: Slide | LeftOut) -> None:
        """Count a slide, or what was left out."""
        if isinstance(thing, Slide):
            self.slides += 1
            self.bytes += thing.size
            self.sent += len(thing.files)
            return
        self.reasons[thing.why] += 1
        if thing.why is Why.EXCLUDED:
            self.excluded += thing.files or 1
        elif thing.why.is_problem or thing.kind is Kind.REPORTED:
            self.reported += thing.files
        elif thing.kind is Kind.SYSTEM:
            self.system += thing.files or 1
        elif thing.kind is Kind.OTHER:
            self.other += thing.files
        elif thing.kind is Kind.ANNOTATIONS:
            self.annotations += thing.files
        else:
            self.unknown += thing.files or 1

    def merge(self, more: SourceCounts) -> None:
        """Add the counts of another part of the source."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(more, name))

    @property
    def problems(self) -> int:
        """Number of the things left out that are problems."""
        return sum(count for why, count in self.reasons.items() if why.is_problem)

    @property
    def left_out(self) -> dict[str, int]:
        """Files that are neither sent nor reported as a problem, as the summary of a run has them."""
        counts = {"unknown": self.unknown, "other": self.other, "system": self.system, "excluded": self.excluded}
        return {**counts, "annotations": self.annotations} if self.annotations else counts
