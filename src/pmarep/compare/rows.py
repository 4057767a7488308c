"""Judge one slide: which sides have the same, which another one, where it is missing. A function of what was listed."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from .table import Gap, GapKind, Stored, Told, slide_key

T = TypeVar("T")

GapAt = Callable[[int, bytes], Gap | None]
Excluded = Callable[[int, Stored], bool]


class State(StrEnum):
    """The state of a slide at one side."""

    SAME = "same"  # as at the other sides of the largest group that agrees
    THERE = "there"  # nobody agrees with it: others have another one, or none
    DIFFERS = "differs"  # from the group that is the largest, or from the first side that has it
    MISSING = "missing"
    UNKNOWN = "unknown"  # the side does not tell
    PROBLEM = "problem"  # it lies in a folder of this machine, and could not be sent
    IGNORED = "ignored"  # a .pmarepignore leaves it out; not counted
    EXCLUDED = "excluded"  # the site does not take it, by its keys in the site book


class Verdict(StrEnum):
    """What is true of a slide over all sides; where several are, the first one."""

    DIFFERS = "differs"
    MISSING = "missing"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    IGNORED = "ignored"  # one side has it, all others ignore it
    EXCLUDED = "excluded"  # the same at all sides that take it
    SAME = "same"

    @property
    def is_fine(self) -> bool:
        return self in (Verdict.SAME, Verdict.IGNORED, Verdict.EXCLUDED)


@dataclass(frozen=True, slots=True)
class Cell:
    """A slide at one side. `group`: sides of one number have the same, the largest group is 1; 0: it is not there.

    `differs`: in what it differs from group 1, of `files`, `size`, `bytes`, `fingerprint`; `details`: how, for people.
    """

    state: State
    group: int = 0
    files: int | None = None
    bytes: int | None = None
    differs: tuple[str, ...] = ()
    why: str = ""
    details: tuple[str, ...] = ()

    @property
    def has_it(self) -> bool:
        return self.group > 0


@dataclass(frozen=True, slots=True)
class Row:
    """A slide at all sides. `path` as the first side of group 1 spells it."""

    path: str
    verdict: Verdict
    cells: tuple[Cell, ...]

    @property
    def pattern(self) -> Pattern:
        return tuple((cell.state, cell.group) for cell in self.cells)


Pattern = tuple[tuple[State, int], ...]
"""State and group of each side: many slides have the same."""


class ContentKind(StrEnum):
    """What is compared besides names and sizes."""

    FINGERPRINT = "fingerprint"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Content:
    """What was found out about the content of a slide: digests by file, or why there are none."""

    digests: Mapping[str, bytes] = field(default_factory=dict)
    error: str = ""

    def pack(self) -> bytes:
        return marshal.dumps((sorted(self.digests.items()), self.error))

    @classmethod
    def unpack(cls, packed: bytes) -> Content:
        digests, error = marshal.loads(packed)  # noqa: S302  (nobody else can open this file)
        return cls(dict(digests), error)


def judge(
    stored: Sequence[Stored],
    sides: int,
    gap_at: GapAt,
    labels: Sequence[str],
    content: ContentKind | None = None,
    excluded: Excluded = lambda _side, _one: False,
) -> Row:
    """Return the row of one slide, of which `stored` has what was listed: at least one, in the order of the sides.

    `excluded`: whether a side does not take a slide that it has not.
    """
    groups = _groups(stored)
    reference = groups[0][0] if groups else stored[0]
    cells = [_absent(None)] * sides
    at = {one.side for one in stored}
    for side in set(range(sides)) - at:
        cells[side] = _absent(gap_at(side, stored[0].key))
        if cells[side].state is State.MISSING and excluded(side, reference):
            cells[side] = Cell(State.EXCLUDED)
    for one in stored:
        cells[one.side] = _not_told(one)
    for number, group in enumerate(groups, 1):
        for one in group:
            if number == 1:
                cells[one.side] = Cell(State.SAME if len(group) > 1 else State.THERE, 1, one.count, one.size)
            else:
                differs, details = differences(one, reference, labels[reference.side], content)
                cells[one.side] = Cell(State.DIFFERS, number, one.count, one.size, differs, details=details)
    return Row(reference.path, verdict_of(cells), tuple(cells))


def _groups(stored: Sequence[Stored]) -> list[list[Stored]]:
    told = [one for one in stored if one.told is Told.FILES and not (one.content and Content.unpack(one.content).error)]
    return group_equal(told, lambda one: (one.digest, one.content), lambda one: one.side)


def group_equal(things: Sequence[T], token: Callable[[T], Hashable], side: Callable[[T], int]) -> list[list[T]]:
    """Return what is the same together: the largest group first, of equal ones that with the first side."""
    by_token: dict[Hashable, list[T]] = {}
    for one in things:
        by_token.setdefault(token(one), []).append(one)
    return sorted(by_token.values(), key=lambda group: (-len(group), side(group[0])))


def _absent(gap: Gap | None) -> Cell:
    """Return the cell of what was not listed. A gap is said once by itself, and not for each slide again."""
    if gap is None:
        return Cell(State.MISSING)
    return Cell(State.IGNORED if gap.kind is GapKind.IGNORED else State.UNKNOWN)


def _not_told(one: Stored) -> Cell:
    if one.told is Told.PROBLEM:
        return Cell(State.PROBLEM, why=one.why)
    if one.told is Told.NOTHING:
        return Cell(State.UNKNOWN, why=one.why)
    why = Content.unpack(one.content).error if one.content else ""
    return Cell(State.UNKNOWN, 0, one.count, one.size, why=why)


def verdict_of(cells: Sequence[Cell]) -> Verdict:
    """Return what is true over all sides."""
    states = {cell.state for cell in cells}
    if not any(cell.has_it for cell in cells):  # so it is missing nowhere
        return Verdict.PROBLEM if State.PROBLEM in states else Verdict.UNKNOWN
    for state in (State.DIFFERS, State.MISSING, State.PROBLEM, State.UNKNOWN):
        if state in states:
            return Verdict(state.value)
    if State.EXCLUDED in states:
        return Verdict.EXCLUDED
    return Verdict.IGNORED if State.SAME not in states else Verdict.SAME


def differences(
    one: Stored, other: Stored, label: str, content: ContentKind | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return in what a slide differs from another one, and how, file by file; `label`: the side of the other."""
    if one.digest == other.digest:
        return _other_content(one, other, label, content)
    ours = {slide_key(file.path): file for file in one.files}
    theirs = {slide_key(file.path): file for file in other.files}
    missing = [f"{theirs[key].path} is not there" for key in theirs if key not in ours]
    more = [f"{ours[key].path} is not at {label}" for key in ours if key not in theirs]
    sizes = [
        f"{ours[key].path} has {ours[key].size:,} bytes, and {theirs[key].size:,} at {label}"
        for key in ours
        if key in theirs and ours[key].size != theirs[key].size
    ]
    kinds = (*(["files"] if missing or more else []), *(["size"] if sizes else []))
    return kinds, (*missing, *more, *sizes)


def _other_content(
    one: Stored, other: Stored, label: str, content: ContentKind | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if content is ContentKind.FINGERPRINT:
        return ("fingerprint",), (f"the server gives it another fingerprint than {label}; --deep compares the bytes",)
    ours, theirs = (Content.unpack(each.content or b"").digests for each in (one, other))
    spelled = {slide_key(file.path): file.path for file in one.files}
    names = [spelled[key] for key in ours if ours[key] != theirs.get(key)]
    return ("bytes",), tuple(f"{name} has other bytes than at {label}" for name in names)
