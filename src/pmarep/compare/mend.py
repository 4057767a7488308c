"""Write the commands that bring missing slides to where they are missing, quoted for the shell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..sites.place import Place
from ..system.shell_words import option_words, shell_line
from ..system.windows_names import path_below
from .rows import Pattern, State
from .sides import Side


@dataclass(frozen=True)
class Mend:
    """A command that brings slides: `slides` at least of those that are missing. `None`: no command can, and why."""

    command: str | None
    slides: int
    why: str = ""


def commands(
    patterns: Counter[Pattern], sides: Sequence[Side], singles: Sequence[bool], options: Sequence[str] = ()
) -> list[Mend]:
    """Return the commands that bring what is missing, with `options` such as --include, --exclude, --config.

    `singles`: sides that are one slide, below whose folder nothing is brought. Where sides have different slides of one
    name, a person decides first which is the right one: no command for those.
    """
    found: list[Mend] = []
    together: dict[tuple[Side, str], list[tuple[str, int]]] = {}
    for side in sides:
        for source, slides in _sources(patterns, side, sides):
            if singles[side.number]:
                continue
            if isinstance(side.at, Path):
                if isinstance(source.at, Place):
                    words = ["pmarep", "pull", source.text, side.text, *options]
                    found.append(Mend(shell_line(words), slides))
                continue
            below = path_below(side.at.site.target, side.at.path)
            if below is None:
                why = f"{side.text} lies outside of the target of {side.at.site.name}, so nothing can be sent there"
                found.append(Mend(None, slides, why))
            else:
                together.setdefault((source, below), []).append((side.at.site.name, slides))
    for (source, below), sites in together.items():
        names = ",".join(name for name, _ in sites)
        to = option_words("--to", below) if below else []
        verb = "push" if source.is_local else "copy"
        words = ["pmarep", verb, source.text, "--sites", names, *to, *options]
        found.append(Mend(shell_line(words), max(slides for _, slides in sites)))
    return found


def _sources(patterns: Counter[Pattern], side: Side, sides: Sequence[Side]) -> list[tuple[Side, int]]:
    """Return the sides that have what is missing at one, as few as possible, each with the number of slides it brings.

    The side that has the most of it comes first, then the one that has the most of what is left.
    """
    left = {
        pattern: count
        for pattern, count in patterns.items()
        if pattern[side.number][0] is State.MISSING and max(group for _, group in pattern) == 1
    }
    found: list[tuple[Side, int]] = []
    while left:
        has = {other: sum(count for pattern, count in left.items() if pattern[other.number][1]) for other in sides}
        best = max(sides, key=lambda one: (has[one], -one.number))
        found.append((best, has[best]))
        left = {pattern: count for pattern, count in left.items() if not pattern[best.number][1]}
    return found
