"""Which slides are wanted: `--include` and `--exclude`, globs on a slide's path from its source; age and size.

- `*` and `?` stop at a "/", `**` as a whole part goes across: `2024/**/*.svs`.
- A pattern without "/" is for the main file's name, in whatever folder (`*.svs`). One with "/" is for the whole path
  from the source (`2024/*.svs`), as in .gitignore; a leading "/" says just that (`/a.svs`: only at the top).
- A trailing "/" means all below: `old/` is `old/**`.
- `[abc]`, `[a-z]` and `[!abc]` are one character; `[*]` is a star, `[[]` a bracket.
- Case does not matter, as it does not on PMA.core's Windows and in `.SVS`; composed and decomposed letters are the
  same (a Mac's disk has `a` plus dots where a keyboard types `ä`).
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Sequence

from ..errors import UsageError
from .model import SlideFile
from .wildcards import PathPattern


class Glob:
    """One pattern. Raises UsageError if it can never match."""

    def __init__(self, pattern: str) -> None:
        if not pattern.strip("/"):
            raise UsageError("an empty pattern for --include or --exclude; write one such as '*.svs'")
        if "\\" in pattern:
            raise UsageError(f"cannot use the pattern {pattern!r}; write / between folders, and [*] for a star itself")
        parts = unicodedata.normalize("NFC", pattern).lstrip("/").split("/")
        if "/" not in pattern:
            parts.insert(0, "**")
        if parts[-1] == "":
            parts[-1] = "**"
        if parts[-1] == "**":  # what is below a folder, not the folder
            parts[-1:] = ["*", "**"]
        self._pattern = PathPattern([None if part == "**" else _one_part(part) for part in parts])

    def matches(self, path: str) -> bool:
        """True if the whole path matches."""
        return self._pattern.matches(unicodedata.normalize("NFC", path))


def _one_part(part: str) -> re.Pattern[str]:
    # fnmatch.translate() makes regular expressions that do not backtrack across stars.
    return re.compile(fnmatch.translate(part), re.IGNORECASE)


class Selection:
    """Which slides are wanted: those that match an include (where there are some) and no exclude, new and large enough.

    `newer_than` is a time in seconds since the epoch, `min_size` a number of bytes.
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        newer_than: float | None = None,
        min_size: int = 0,
    ) -> None:
        self._include = [Glob(pattern) for pattern in include]
        self._exclude = [Glob(pattern) for pattern in exclude]
        self._newer_than_ns = None if newer_than is None else int(newer_than * 1e9)
        self._min_size = min_size

    def refusal(self, path: str) -> str | None:
        """Why a slide is not wanted, or None."""
        if self._exclude and self.excludes(path):
            return "matches an --exclude"
        if self._include and not any(glob.matches(path) for glob in self._include):
            return "matches no --include"
        return None

    def refusal_of_folder(self, path: str, folder: str) -> str | None:
        """The same of a slide that people know by the name of its folder: patterns are for either path."""
        if self.excludes(path) or self.excludes(folder):
            return "matches an --exclude"
        return self.refusal(path) and self.refusal(folder)

    def excludes(self, path: str) -> bool:
        return any(glob.matches(path) for glob in self._exclude)

    def too_old(self, files: Sequence[SlideFile]) -> str | None:
        """Why the files of a slide are not wanted: the newest of them counts."""
        if self._newer_than_ns is None or max(file.mtime_ns for file in files) > self._newer_than_ns:
            return None
        return "older than --newer-than"

    def too_small(self, files: Sequence[SlideFile]) -> str | None:
        if not self._min_size or sum(file.size for file in files) >= self._min_size:
            return None
        return "smaller than --min-size"
