"""`.pmarepignore`: which slides and folders are not wanted, written where they lie. The rules are those of .gitignore.

A file's rules count for its folder and all below; the nearest file that has a rule for something decides, and in it the
last such rule. They are matched against slides' main files and against folders, never against other files of a slide: a
slide goes whole or not at all. Case does not matter, nor composed or decomposed letters (as for --include and
--exclude).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .companions import IndexFileError, read_text
from .file_names import normalized_key
from .wildcards import PathPattern, part_of_rule

NAME = ".pmarepignore"
REASON = f"matches a rule in a {NAME}"
_LIMIT = 1024 * 1024  # bytes
_LONGEST_RULE = 4096  # characters: as long as a path can be


class IgnoreFileError(Exception):
    """A `.pmarepignore` that cannot be used. The text says why, in one line."""


class Rule:
    """One line that is neither empty nor a comment. Raises ValueError, in words.

    `wanted`: it begins with a "!", so what it matches is kept. As in git's dir.c: a rule without a "/", but for one at
    its end, is for a name in any folder; one with it is for the path from the file's folder. A "/" at its end: folders
    only.
    """

    def __init__(self, line: str) -> None:
        self.wanted = line.startswith("!")
        line = line.removeprefix("!")
        self._folders_only = line.endswith("/")
        line = line.removesuffix("/")
        self._names_only = "/" not in line
        parts = [part_of_rule(part) for part in line.removeprefix("/").split("/")]
        if not line:
            raise ValueError("a rule without a name")
        if self._names_only:
            parts = [part_of_rule("*")] if parts == [None] else parts
        elif parts[-1] is None:  # all that is in a folder, but not the folder
            parts[-1:] = [part_of_rule("*"), None]
        self._pattern = PathPattern(parts)

    def matches(self, path: str, name: str, *, folder: bool) -> bool:
        return (folder or not self._folders_only) and self._pattern.matches(name if self._names_only else path)


class Ignore:
    """The rules of one file, and those of the files above it. `prefix` is its folder's path from the source."""

    def __init__(self, path: str, prefix: str, above: Ignore | None) -> None:
        self._prefix = prefix
        self._above = above
        if stat.S_IFMT(os.stat(path).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):  # noqa: PTH116
            raise IgnoreFileError("it is no file")  # a pipe would let us wait for ever
        try:
            text = read_text(path, _LIMIT)
        except IndexFileError:
            raise IgnoreFileError(f"larger than {_LIMIT // 1024 // 1024} MiB: this cannot be a list of rules") from None
        lines = enumerate(text.splitlines(), 1)
        self._rules = [rule for number, line in lines if (rule := _read(line, number)) is not None]
        self._rules.reverse()

    def ignores(self, path: str) -> bool:
        """Whether a main file is not wanted, or a folder (its path ends with "/"). Paths are from the source."""
        own = normalized_key(path[len(self._prefix) :].removesuffix("/"))
        name = own.rpartition("/")[2]
        for rule in self._rules:
            if rule.matches(own, name, folder=path.endswith("/")):
                return not rule.wanted
        return self._above is not None and self._above.ignores(path)


def _read(line: str, number: int) -> Rule | None:
    """Parse a line of a file: None where it has no rule. Raises IgnoreFileError, which names its `number`."""
    # Blanks at the end do not count, but for one with a backslash before it.
    rule = line.rstrip()
    if len(rule) < len(line) and (len(rule) - len(rule.rstrip("\\"))) % 2:
        rule = line[: len(rule) + 1]
    if not rule or rule.startswith("#") or rule == "/":
        return None
    if len(rule) > _LONGEST_RULE:
        length = f"{len(rule)} characters, and no path has more than {_LONGEST_RULE}"
        raise IgnoreFileError(f"line {number} is no valid rule: it has {length}")
    try:
        return Rule(normalized_key(rule))
    except ValueError as error:
        raise IgnoreFileError(f"line {number} is no valid rule: {rule[:100]!r} has {error}") from None


def read_ignore(folder: str, prefix: str, above: Ignore | None) -> Ignore:
    """Raises OSError and IgnoreFileError."""
    return Ignore(str(Path(folder, NAME)), prefix, above)
