"""Paths against patterns with `*`, `?`, `[...]` and `**`, in time that grows with pattern times path and no faster.

Who may put a file into a folder may give it any name and any pattern; a regular expression for `*a*a*a*a*b` tries
hundreds of billions of ways on one name of 200 characters, and one for `**/a/**/a/**/b` as many on one deep path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Segment = str | re.Pattern[str] | None
"""One part of a path: as it is; a pattern for all of it; None for `**`, which is any number of parts."""


class PathPattern:
    """A pattern for a whole path."""

    def __init__(self, parts: Sequence[Segment]) -> None:
        # One `**` after another says no more than one does.
        self._parts = [
            part for at, part in enumerate(parts) if part is not None or at == 0 or parts[at - 1] is not None
        ]

    def matches(self, path: str) -> bool:
        """True if the whole path matches. Time is proportional to pattern times path."""
        at = self._past_any({0})
        for name in path.split("/"):
            following: set[int] = set()
            for index in at:
                if index == len(self._parts):
                    continue
                wanted = self._parts[index]
                if wanted is None:
                    following.add(index)
                elif wanted == name if isinstance(wanted, str) else wanted.match(name):
                    following.add(index + 1)
            if not following:
                return False
            at = self._past_any(following)
        return len(self._parts) in at

    def _past_any(self, at: set[int]) -> set[int]:
        """Also the positions behind each `**`, which may stand for nothing."""
        return at | {index + 1 for index in at if index < len(self._parts) and self._parts[index] is None}


def part_of_rule(text: str) -> Segment:
    """A part of a path in a .gitignore. Raises ValueError, in words, for one that git would never match with anything.

    As in git's wildmatch.c: a backslash makes the next character mean itself, `[!a-z]` or `[^a-z]` is one other
    character.
    """
    if text == "**":
        return None
    pieces, at, plain = [""], 0, True  # regular expressions for a fixed number of characters, with stars between
    while at < len(text):
        character = text[at]
        at += 1
        if character == "*":
            plain = False
            if pieces[-1] or len(pieces) == 1:
                pieces.append("")
        elif character == "?":
            plain = False
            pieces[-1] += "."
        elif character == "[":
            plain = False
            piece, at = _one_of(text, at)
            pieces[-1] += piece
        else:
            if character == "\\":
                character, at = _escaped(text, at)
            pieces[-1] += re.escape(character)
    if plain:
        return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
    first, *others = pieces
    if not others:
        return re.compile(first + r"\Z", re.DOTALL)
    # The nearest place for each piece is as good as any other, so that none is ever tried again.
    middle = "".join(f"(?>.*?{piece})" for piece in others[:-1])
    return re.compile(rf"{first}{middle}.*{others[-1]}\Z", re.DOTALL)


def _escaped(text: str, at: int) -> tuple[str, int]:
    if at == len(text):
        raise ValueError("a backslash at the end, with nothing that it could stand before")
    return text[at], at + 1


def _one_of(text: str, at: int) -> tuple[str, int]:
    """What stands in brackets, as a regular expression, and where it ends. `at`: behind the opening one."""
    inverse = text[at : at + 1] in ("!", "^")
    at += inverse
    found, first = "", True
    while first or text[at : at + 1] != "]":
        first = False
        low, at = _member(text, at)
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("]", ""):
            high, at = _member(text, at + 1)
            if high < low:
                raise ValueError(f"the range [{low}-{high}], which is empty")
            found += f"{re.escape(low)}-{re.escape(high)}"
        else:
            found += re.escape(low)
    return f"[{'^' if inverse else ''}{found}]", at + 1


def _member(text: str, at: int) -> tuple[str, int]:
    if at >= len(text):
        raise ValueError("a [ without its ]; write \\[ for the character")
    if text.startswith("[:", at):
        raise ValueError("a class such as [:alpha:]; write the characters, such as [a-z]")
    return _escaped(text, at + 1) if text[at] == "\\" else (text[at], at + 1)
