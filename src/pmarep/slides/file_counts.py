"""Counts of the files of a source: sent, reported as a problem, or left out; they add up to all."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Kind, LeftOut, Slide, Why


@dataclass(slots=True)
class FileCounts:
    """Numbers of files. `system` and `excluded` also count folders that nobody looks into, as one each.

    `unknown`: what may be a slide or a part of one; `other`: what is known to be none.
    """

    sent: int = 0
    reported: int = 0
    unknown: int = 0
    other: int = 0
    system: int = 0
    excluded: int = 0

    def add(self, thing: Slide | LeftOut) -> None:
        if isinstance(thing, Slide):
            self.sent += len(thing.files)
        elif thing.why is Why.EXCLUDED:
            self.excluded += thing.files or 1
        elif thing.why.is_problem or thing.kind is Kind.REPORTED:
            self.reported += thing.files
        elif thing.kind is Kind.SYSTEM:
            self.system += thing.files or 1
        elif thing.kind is Kind.OTHER:
            self.other += thing.files
        else:
            self.unknown += thing.files or 1

    def merge(self, more: FileCounts) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(more, name))

    @property
    def left_out(self) -> dict[str, int]:
        """Return the files that are neither sent nor reported as a problem, as the summary of a run has them."""
        return {"unknown": self.unknown, "other": self.other, "system": self.system, "excluded": self.excluded}
