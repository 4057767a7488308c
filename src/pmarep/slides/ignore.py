"""`.pmarepignore`: which slides and folders are not wanted, written where they lie. The rules are those of .gitignore.

pathspec says what a rule means. A file's rules count for its folder and all below; the nearest file that has a rule for
something decides, and in it the last such rule. They are matched against slides' main files and against folders, never
against other files of a slide: a slide goes whole or not at all. Case does not matter, nor composed or decomposed
letters (as for --include and --exclude).
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from pathlib import Path

from pathspec import GitIgnoreSpec

from .names import loose_key
from .parts import IndexFileError, read_text

NAME = ".pmarepignore"
REASON = f"matches a rule in a {NAME}"
_LIMIT = 1024 * 1024  # bytes


class IgnoreFileError(Exception):
    """A `.pmarepignore` that cannot be used. The text says why, in one line."""


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
        lines = text.splitlines()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of `[[`, about Python versions to come
                self._spec = GitIgnoreSpec.from_lines(map(loose_key, lines))
        except (ValueError, re.error) as error:
            raise IgnoreFileError(f"a rule in it cannot be understood: {str(error).splitlines()[0][:200]}") from None

    def ignores(self, path: str) -> bool:
        """Whether a main file is not wanted, or a folder (its path ends with "/"). Paths are from the source."""
        found = self._spec.check_file(loose_key(path[len(self._prefix) :])).include
        if found is None:
            return self._above is not None and self._above.ignores(path)
        return found


def read_ignore(folder: str, prefix: str, above: Ignore | None) -> Ignore:
    """Raises OSError and IgnoreFileError."""
    return Ignore(str(Path(folder, NAME)), prefix, above)
