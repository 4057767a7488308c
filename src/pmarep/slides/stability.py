"""Stability of files: which ones changed recently, and may still be being written.

A scanner, a copy or a download writes for a while, and nothing in a file says that more is to come. So whatever changed
a short time ago is looked at twice before it counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from .folder import info_of
from .formats import companion_mains
from .model import LeftOut, Slide, Why

RECENT_SECONDS = 60.0
WATCH_SECONDS = 10.0

_DEEPEST = 3  # folders below a companion folder that are looked into; cellSens has one
_MOST = 10_000  # files that are looked at: what is called like a companion folder may be anything


@dataclass(frozen=True, slots=True)
class StabilityPolicy:
    """How long files must stay unchanged before their slide counts as finished.

    Files that changed less than `recent_seconds` ago are watched for `watch_seconds`.
    """

    recent_seconds: float = RECENT_SECONDS
    watch_seconds: float = WATCH_SECONDS

    @classmethod
    def from_option(cls, settle: float | None) -> Self | None:
        """Return the policy that `--settle` asks for: the default for None, none at all (never wait) for 0."""
        if settle is None:
            return cls()
        return cls(max(RECENT_SECONDS, settle), settle) if settle > 0 else None

    def is_recent(self, mtime_ns: int, now: float) -> bool:
        """Return whether a modification time is recent, by `now` in seconds since the epoch.

        A time in the future is recent: some clock is wrong, and nobody knows which.
        """
        return mtime_ns > (now - self.recent_seconds) * 1e9


def newest_mtime_ns(slide: Slide) -> int:
    """Return the latest mtime of a slide's files, in nanoseconds since the epoch, as of discovery."""
    return max([file.mtime_ns for file in slide.files])


@dataclass(frozen=True, slots=True)
class IncompleteSnapshot:
    """The state of an incomplete slide, whose files are unknown: the latest mtime and a digest of what is around it."""

    newest_mtime_ns: int
    digest: int


def snapshot_incomplete(source: Path, found: LeftOut) -> IncompleteSnapshot | None:
    """Take a snapshot of the main file, its folder and the content of its companion folders. Blocks.

    None for what no waiting can make a slide: only incomplete and unreadable ones may become one.
    """
    if found.why not in (Why.INCOMPLETE, Why.UNREADABLE, Why.BAD_RULES) or found.path == ".":
        return None
    main = source / found.path
    seen = sorted(set(islice(_look_around(main), _MOST)))
    return IncompleteSnapshot(max((mtime for _, _, mtime in seen), default=0), hash(tuple(seen)))


def _look_around(main: Path) -> Iterator[tuple[str, int, int]]:
    """Yield paths, sizes and mtimes; what cannot be read is passed over."""
    for path in (main, main.parent):
        with suppress(OSError, ValueError):
            info = path.stat()
            yield os.fspath(path), info.st_size, info.st_mtime_ns
    companions = (main.with_name(name) for name in (main.name, main.stem, f"_{main.stem}_"))
    for companion in companions:
        yield from _below(os.fspath(companion), _DEEPEST)


def _below(folder: str, depth: int) -> Iterator[tuple[str, int, int]]:
    with suppress(OSError, ValueError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                info = info_of(entry)
                yield entry.path, info.st_size, info.st_mtime_ns
                if depth and entry.is_dir():
                    yield from _below(entry.path, depth - 1)


def expected_main_path(source: Path, found: LeftOut) -> str:
    """Return the path of the main file that an incomplete slide has or lacks: `n.mrxs` for a folder `n/` alone."""
    path = source / found.path
    # Not Path's own, which raises what os.path takes for "no": no right to look, a path that is too long.
    if os.path.isdir(path):  # noqa: PTH112
        above = found.path.rpartition("/")[0]
        for _, _, main in companion_mains(path.name):
            if os.path.isfile(path.parent / main):  # noqa: PTH113
                return f"{above}/{main}" if above else main
    return found.path


def is_unchanged(slide: Slide) -> bool:
    """Return whether a slide's files have the size and mtime that they had when it was found. Blocks."""
    try:
        for file in slide.files:
            info = slide.local(file).stat()
            if (info.st_size, info.st_mtime_ns) != (file.size, file.mtime_ns):
                return False
    except OSError:
        return False
    return True
