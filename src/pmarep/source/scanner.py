"""Find the slides of one source, and look again at one that was found there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..slides import ClaimedFile, LeftOut, Slide, Why, find_again, find_slides
from ..slides.folder import error_text
from ..slides.links import LinkPolicy
from ..slides.pma_start import PmaStart
from ..slides.selection import OptionValue
from ..slides.stability import IncompleteSnapshot, expected_main_path, snapshot_incomplete


class ScanOptions(Protocol):
    """What has to be known to look through sources on this disk; the options of a run have it all."""

    @property
    def include(self) -> tuple[str, ...]: ...
    @property
    def exclude(self) -> tuple[str, ...]: ...
    @property
    def newer_than(self) -> float | None: ...
    @property
    def min_size(self) -> int: ...
    @property
    def follow_links(self) -> bool: ...
    @property
    def ask_pma_start(self) -> bool: ...
    @property
    def trust_pma_start(self) -> bool: ...


class SourceScanner:
    """Raises UsageError when it is made, not only when it is read, for a source that is none."""

    def __init__(
        self, source: Path, options: ScanOptions, pma_start: PmaStart | None, matched: set[OptionValue] | None = None
    ) -> None:
        self.source = source
        self._folder = source if source.is_dir() else source.parent
        self._pma_start = pma_start
        self._wanted: dict[str, Any] = {
            "include": options.include,
            "exclude": options.exclude,
            "newer_than": options.newer_than,
            "min_size": options.min_size,
            "lookup": pma_start.lookup if pma_start else None,
            "follow_links": options.follow_links,
        }
        self._found = find_slides(source, matched=matched, **self._wanted)

    def close(self) -> None:
        """Close the client of PMA.start, without waiting for a thread that still looks."""
        if self._pma_start is not None:
            self._pma_start.close()

    def find(self) -> Iterator[Slide | LeftOut]:
        """Find everything, once."""
        return self._found

    def again(self, before: Slide | LeftOut) -> Slide | LeftOut | ClaimedFile:
        """Find the same slide as it is now. Blocks."""
        path = before.path if isinstance(before, Slide) else expected_main_path(self._folder, before)
        if isinstance(before, LeftOut) and path == before.path and os.path.isdir(self._folder / path):  # noqa: PTH112
            return before  # a companion folder whose main file has not come
        try:
            return find_again(self.source, path, **self._wanted)
        except (OSError, ValueError) as error:
            return LeftOut(path, Why.UNREADABLE, error_text(error))

    def snapshot_incomplete(self, found: LeftOut) -> IncompleteSnapshot | None:
        """Take a snapshot of something incomplete. Blocks."""
        return snapshot_incomplete(self._folder, found)


def scanners(
    paths: Sequence[Path], options: ScanOptions, matched: set[OptionValue] | None = None
) -> list[SourceScanner]:
    """Return the scanners of all sources on this disk, each once. They ask one PMA.start.

    Patterns of --include and --exclude that match something are added to `matched`.
    """
    pma_start = PmaStart(trust_anybody=options.trust_pma_start) if options.ask_pma_start else None
    sources = {source.resolve(): source for source in paths}.values()
    return [SourceScanner(source, options, pma_start, matched) for source in sources]


def roots_of(sources: Sequence[Path]) -> list[str]:
    """Return the real paths of the folders and files that links may lead to."""
    return [root for source in sources for root in LinkPolicy.for_source(source).roots]
