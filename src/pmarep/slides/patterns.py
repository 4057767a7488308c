"""gitignore's patterns, for `.pmarepignore` (ignore_file.py) and for --include and --exclude (selection.py).

Matching takes time in proportion to pattern times path and no more. Who may put a file into a folder may give it any
name and any pattern; a regular expression for `*a*a*a*a*b` tries hundreds of billions of ways on one name of 200
characters, and one for `**/a/**/a/**/b` as many on one deep path. So pathspec, which makes regular expressions, is not
used; the tests compare with it and with git itself (docs/decisions/0006).

Other than in git, case does not matter, as it does not on PMA.core's Windows and in `.SVS`, and composed and decomposed
letters are the same (a Mac's disk has `a` plus dots where a keyboard types `ä`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..system.windows_names import normalized_key

Segment = str | re.Pattern[str] | None
"""One part of a path: as it is; a pattern for all of it; None for `**`, which is any number of parts."""


class GitPattern:
    """One pattern as in a .gitignore, relative to a folder. Raises ValueError, in words, for one that never matches.

    As in git's dir.c: one without a "/", but for one at its end, is for a name in any folder; one with it is for the
    path from the folder. A "/" at its end: folders only. `negated`: it begins with a "!", so what it matches is not
    meant.
    """

    def __init__(self, text: str) -> None:
        self.negated = text.startswith("!")
        text = normalized_key(text.removeprefix("!"))
        self.folders_only = text.endswith("/")
        text = text.removesuffix("/")
        if not text:
            raise ValueError("a rule without a name")
        self._name: str | re.Pattern[str] | None = None
        if "/" not in text:
            self._name = parse_segment("*" if text == "**" else text)
            return
        segments = [parse_segment(part) for part in text.removeprefix("/").split("/")]
        if segments[-1] is None:  # all that is in a folder, but not the folder
            segments[-1:] = [parse_segment("*"), None]
        self._path = PathMatcher(segments)

    def matches(self, names: Sequence[str], *, folder: bool) -> bool:
        """Return whether a file or folder matches, given the parts of its path as normalized_key() has them."""
        if self.folders_only and not folder:
            return False
        return self._path.matches(names) if self._name is None else self._matches_name(names[-1])

    def matched_prefixes(self, names: Sequence[str]) -> list[bool]:
        """Return for the path of a file, and each folder above it, whether that matches; the topmost folder first."""
        if self._name is None:
            found = self._path.matched_prefixes(names)
        else:
            found = [self._matches_name(name) for name in names]
        if self.folders_only:
            found[-1] = False
        return found

    def _matches_name(self, name: str) -> bool:
        wanted = self._name
        return wanted == name if isinstance(wanted, str) else wanted is not None and wanted.match(name) is not None


class PathMatcher:
    """Matches whole paths against the segments of a pattern."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        # One `**` after another says no more than one does.
        self._segments = [
            segment
            for at, segment in enumerate(segments)
            if segment is not None or at == 0 or segments[at - 1] is not None
        ]

    def matches(self, names: Sequence[str]) -> bool:
        """Return whether the whole path matches."""
        return self.matched_prefixes(names)[-1]

    def matched_prefixes(self, names: Sequence[str]) -> list[bool]:
        """Return for the first name, the first two, ... whether the whole pattern matches them."""
        found: list[bool] = []
        positions = self._past_double_stars({0})
        for name in names:
            following: set[int] = set()
            for position in positions:
                if position == len(self._segments):
                    continue
                wanted = self._segments[position]
                if wanted is None:
                    following.add(position)
                elif wanted == name if isinstance(wanted, str) else wanted.match(name):
                    following.add(position + 1)
            if not following:
                return found + [False] * (len(names) - len(found))
            positions = self._past_double_stars(following)
            found.append(len(self._segments) in positions)
        return found

    def _past_double_stars(self, positions: set[int]) -> set[int]:
        """Add the positions behind each `**`, which may stand for nothing."""
        end = len(self._segments)
        return positions | {at + 1 for at in positions if at < end and self._segments[at] is None}


def parse_segment(text: str) -> Segment:
    """Parse a part of a path in a pattern. Raises ValueError, in words, for one that git would match with nothing.

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
            piece, at = _parse_class(text, at)
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
    """Return the character behind a backslash, and the position behind that."""
    if at == len(text):
        raise ValueError("a backslash at the end, with nothing that it could stand before")
    return text[at], at + 1


def _parse_class(text: str, at: int) -> tuple[str, int]:
    """Return what stands in brackets as a regular expression, and where it ends. `at`: behind the opening one."""
    inverse = text[at : at + 1] in ("!", "^")
    at += inverse
    found, first = "", True
    while first or text[at : at + 1] != "]":
        first = False
        low, at = _class_member(text, at)
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("]", ""):
            high, at = _class_member(text, at + 1)
            if high < low:
                raise ValueError(f"the range [{low}-{high}], which is empty")
            found += f"{re.escape(low)}-{re.escape(high)}"
        else:
            found += re.escape(low)
    return f"[{'^' if inverse else ''}{found}]", at + 1


def _class_member(text: str, at: int) -> tuple[str, int]:
    """Return one character of a class, and the position behind it."""
    if at >= len(text):
        raise ValueError("a [ without its ]; write \\[ for the character")
    if text.startswith("[:", at):
        raise ValueError("a class such as [:alpha:]; write the characters, such as [a-z]")
    return _escaped(text, at + 1) if text[at] == "\\" else (text[at], at + 1)
