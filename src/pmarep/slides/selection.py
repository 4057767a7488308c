"""The choice among slides: `--include` and `--exclude`, patterns for a slide's path from its source; age and size.

The patterns are those of .gitignore (patterns.py), as in a `.pmarepignore` in the source: `*.svs` and `old` are for a
name in any folder, `old/` for a folder with all that is in it, `2024/*.svs` for a path from the source. A "!" takes
back what a pattern before it has matched. They are compared with slides' main files and the folders above those.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from ..errors import UsageError
from ..system.windows_names import normalized_key
from ..text import printable
from .model import SlideFile
from .patterns import GitPattern

OPTIONS = ("--include", "--exclude", "--newer-than", "--min-size")
"""The names of the choices as they are typed."""

OptionValue = tuple[str, str]
"""An option and one of its patterns, such as ("--exclude", "old/")."""


class PatternList:
    """The patterns of one option, in order: the last one that matches a path decides, as in one .gitignore.

    Nothing in a folder that matches can be taken back by a "!". Raises UsageError for a pattern that can never match.
    Patterns that have matched something are added to `matched`.
    """

    def __init__(self, option: str, patterns: Sequence[str], matched: set[OptionValue]) -> None:
        self._patterns = [((option, text), _parse(option, text)) for text in patterns]
        self._matched = matched

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: str) -> bool:
        """Return whether a file, or a folder that it is in, matches; `path` is from the source, with "/"."""
        names = normalized_key(path).split("/")
        decided = [False] * len(names)
        for value, pattern in self._patterns:
            prefixes = pattern.matched_prefixes(names)
            if True in prefixes:
                self._matched.add(value)
                decided = [
                    was if not found else not pattern.negated for was, found in zip(decided, prefixes, strict=True)
                ]
        return True in decided


def _parse(option: str, text: str) -> GitPattern:
    if not text.removeprefix("!").strip("/"):
        raise UsageError(f"an empty pattern for {option}; write one such as '*.svs'")
    if "\\" in text.removeprefix("\\!"):  # more likely a Windows path than gitignore's escape
        raise UsageError(f"cannot use the pattern {text!r}; write / between folders, and [*] for a star itself")
    try:
        return GitPattern(text)
    except ValueError as error:
        raise UsageError(f"cannot use the pattern {text!r} of {option}: it has {error}") from None


class Selection:
    """Chooses slides: those that match an include (where there are some) and no exclude, new and large enough.

    `newer_than` is a time in seconds since the epoch, `min_size` a number of bytes. Patterns that have matched a slide,
    or what might have been one, are added to `matched`. `names`: what the four are called in reasons.
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        newer_than: float | None = None,
        min_size: int = 0,
        matched: set[OptionValue] | None = None,
        names: tuple[str, str, str, str] = OPTIONS,
    ) -> None:
        matched = set() if matched is None else matched
        include_name, exclude_name, newer_than_name, min_size_name = names
        self._include = PatternList(include_name, include, matched)
        self._exclude = PatternList(exclude_name, exclude, matched)
        self._excluded = f"matches an {exclude_name}"
        self._not_included = f"matches no {include_name}"
        self._old, self._small = f"older than {newer_than_name}", f"smaller than {min_size_name}"
        self._newer_than_ns = None if newer_than is None else int(newer_than * 1e9)
        self._min_size = min_size

    def refusal(self, path: str) -> str | None:
        """Return why a slide is not wanted, or None."""
        is_included = not self._include or self._include.matches(path)  # also of what is excluded: it has matched
        if self._exclude and self._exclude.matches(path):
            return self._excluded
        return None if is_included else self._not_included

    def excludes(self, path: str) -> bool:
        """Return whether a file, or a folder that it is in, matches an --exclude."""
        return bool(self._exclude) and self._exclude.matches(path)

    def excludes_folder(self, path: str) -> bool:
        """Return whether a folder, or anything that may be in it, matches an --exclude."""
        return self.excludes(path + "/\0")

    def too_old(self, files: Sequence[SlideFile]) -> str | None:
        """Return why a slide with these files is too old to be wanted, or None: the newest of them counts."""
        if self._newer_than_ns is None or max(file.mtime_ns for file in files) > self._newer_than_ns:
            return None
        return self._old

    def too_small(self, files: Sequence[SlideFile]) -> str | None:
        """Return why a slide with these files is too small to be wanted, or None: all of them count."""
        if not self._min_size or sum(file.size for file in files) >= self._min_size:
            return None
        return self._small


def describe_unmatched(include: Sequence[str], exclude: Sequence[str], matched: Container[OptionValue]) -> list[str]:
    """Return a line for each pattern that has matched no slide in all sources of a run: it may be mistyped."""
    values = [*(("--include", text) for text in include), *(("--exclude", text) for text in exclude)]
    return [
        f"{option} {printable(text)!r} matches no slide" for option, text in values if (option, text) not in matched
    ]
