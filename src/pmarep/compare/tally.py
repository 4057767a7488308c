"""Count the rows of a comparison, and say in words who agrees with whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .rows import Pattern, Row, State, Verdict

_PATTERNS_SHOWN = 12


@dataclass
class SideCounts:
    """The slides of one side: what it has, in bytes too, and how many are in which state."""

    slides: int = 0
    bytes: int = 0
    states: Counter[State] = field(default_factory=Counter)


class Tally:
    """The counts of a comparison: slides by verdict, by pattern, and of each side."""

    def __init__(self, sides: int) -> None:
        self.verdicts: Counter[Verdict] = Counter()
        self.patterns: Counter[Pattern] = Counter()
        self.sides = [SideCounts() for _ in range(sides)]
        self.untold = 0
        """Folders and the like that sides do not tell of."""

    def add(self, row: Row) -> None:
        self.verdicts[row.verdict] += 1
        self.patterns[row.pattern] += 1
        for counts, cell in zip(self.sides, row.cells, strict=True):
            counts.states[cell.state] += 1
            if cell.has_it:
                counts.slides += 1
                counts.bytes += cell.bytes or 0

    @property
    def slides(self) -> int:
        return self.verdicts.total()

    @property
    def is_fine(self) -> bool:
        """True if all slides are the same at all sides, and there are some."""
        return self.slides > 0 and not self.untold and all(verdict.is_fine for verdict in self.verdicts)


def verdict_words(tally: Tally) -> list[str]:
    """Return how many are the same, missing and so on, in words."""
    words = {
        Verdict.SAME: "the same everywhere",
        Verdict.MISSING: "missing somewhere",
        Verdict.DIFFERS: "different somewhere",
        Verdict.PROBLEM: "a problem here",
        Verdict.UNKNOWN: "not told",
        Verdict.IGNORED: "ignored by a .pmarepignore",
        Verdict.EXCLUDED: "where the site book wants them",
    }
    return [f"{tally.verdicts[one]:,} {text}" for one, text in words.items() if tally.verdicts[one]]


def agreement_lines(tally: Tally, labels: Sequence[str]) -> list[str]:
    """Return the lines of who agrees with whom, the commonest first; what is the same everywhere has none."""
    alike = same_everywhere(len(labels))
    patterns = [(pattern, count) for pattern, count in tally.patterns.most_common() if pattern != alike]
    lines = [f"{count:>8,}  {in_words(pattern, labels)}" for pattern, count in patterns[:_PATTERNS_SHOWN]]
    more = sum(count for _, count in patterns[_PATTERNS_SHOWN:])
    return [*lines, *([f"{more:>8,}  in other ways"] if more else [])]


def same_everywhere(sides: int) -> Pattern:
    """Return the pattern of a slide that all sides have, all the same."""
    return ((State.SAME, 1),) * sides


def in_words(pattern: Pattern, labels: Sequence[str]) -> str:
    """Return what a pattern says: `tokyo and ghent agree, saopaulo has another`."""
    by_group: dict[int, list[str]] = {}
    for label, (_, group) in zip(labels, pattern, strict=True):
        if group:
            by_group.setdefault(group, []).append(label)
    groups = [by_group[number] for number in sorted(by_group)]
    missing = _at(pattern, labels, State.MISSING)
    if pattern == same_everywhere(len(labels)):
        return "the same everywhere"
    if len(groups) == 1 and len(missing) == len(labels) - 1:
        return f"only at {groups[0][0]}"
    if groups:
        parts = [f"missing at {_and(missing)}"] if missing else []
        parts += _agreement(groups)
    else:
        parts = []
    parts += [f"{words} {_and(found)}" for state, words in _ASIDE.items() if (found := _at(pattern, labels, state))]
    return ", ".join(parts)


_ASIDE = {
    State.PROBLEM: "a problem at",
    State.UNKNOWN: "not told by",
    State.IGNORED: "ignored at",
    State.EXCLUDED: "excluded at",
}


def _agreement(groups: Sequence[Sequence[str]]) -> list[str]:
    if not groups:
        return []
    if len(groups) == 1:
        return [f"the same at {_and(groups[0])}" if len(groups[0]) > 1 else f"there at {groups[0][0]}"]
    if all(len(group) == 1 for group in groups):
        return [f"{_and([group[0] for group in groups])} each have another"]
    first = [f"{_and(groups[0])} agree"]
    return first + [
        f"{group[0]} has another" if len(group) == 1 else f"{_and(group)} agree on another" for group in groups[1:]
    ]


def _at(pattern: Pattern, labels: Sequence[str], wanted: State) -> list[str]:
    return [label for label, (state, _) in zip(labels, pattern, strict=True) if state is wanted]


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
