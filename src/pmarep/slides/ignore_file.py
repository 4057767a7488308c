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

from .file_names import normalized_key
from .index_file import IndexFileError, read_text
from .patterns import GitPattern

NAME = ".pmarepignore"
REASON = f"matches a rule in a {NAME}"
_LIMIT = 1024 * 1024  # bytes
_LONGEST_RULE = 4096  # characters: as long as a path can be


class IgnoreFileError(Exception):
    """A `.pmarepignore` that cannot be used. The text says why, in one line."""


class IgnoreFile:
    """The rules of one file, and those of the files above it. `prefix` is its folder's path from the source."""

    def __init__(self, path: str, prefix: str, above: IgnoreFile | None) -> None:
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
        """Return whether a main file is not wanted, or a folder (its path ends with "/"). Paths are from the source."""
        names = normalized_key(path[len(self._prefix) :].removesuffix("/")).split("/")
        for rule in self._rules:
            if rule.matches(names, folder=path.endswith("/")):
                return not rule.negated
        return self._above is not None and self._above.ignores(path)


def _read(line: str, number: int) -> GitPattern | None:
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
        return GitPattern(rule)
    except ValueError as error:
        raise IgnoreFileError(f"line {number} is no valid rule: {rule[:100]!r} has {error}") from None


def read_ignore(folder: str, prefix: str, above: IgnoreFile | None) -> IgnoreFile:
    """Read the `.pmarepignore` of a folder. Raises OSError and IgnoreFileError."""
    return IgnoreFile(str(Path(folder, NAME)), prefix, above)
