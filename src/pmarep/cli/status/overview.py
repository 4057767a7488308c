"""Gather what `pmarep status` shows: from the journal, the records of runs, and the site book for names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...state.run_groups import grouped
from ...state.run_progress import RunProgress, RunState, read_progress
from ...state.run_records import RunRecordError, records_in
from ...state.state_folders import StateFolder
from ...state.unfinished import kept_and_left
from ..site_targets import name_of, targets_of_book, targets_of_runs

if TYPE_CHECKING:
    from ...slides.shard import Shard
    from ...state.journal import Journal
    from ...state.records import RemotePath, Run


@dataclass(frozen=True, slots=True)
class UnfinishedSlide:
    """A slide that is partly at a site. `site`: its name, None where nobody knows it; `since`: seconds since the epoch.

    `files`, `parts`, `kept`: what the site has of it; `left`: bytes still to be sent. Bytes are None where the journal
    does not know them: from an older pmarep, or of a slide that was damaged.
    """

    place: RemotePath
    site: str | None
    since: float
    files: int = 0
    parts: int = 0
    kept: int | None = None
    left: int | None = None


RunKey = tuple[Path, int]
"""The state folder of a run, and its number there."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run as the journal has it, its progress where it has a record, and its state folder."""

    run: Run
    progress: RunProgress | None
    folder: StateFolder

    @property
    def key(self) -> RunKey:
        return self.folder.path, self.run.number

    @property
    def shard(self) -> Shard | None:
        return self.folder.shard if self.progress is None else self.progress.shard

    @property
    def state(self) -> RunState:
        if self.run.summary is not None:
            return RunState.ENDED
        return RunState.UNKNOWN if self.progress is None else self.progress.state

    @property
    def command(self) -> str:
        """Return `push`, `verify` or `pull`."""
        if self.progress is not None:
            return self.progress.command
        summary = self.run.summary or {}
        return "verify" if summary.get("verify_only") else "pull" if summary.get("pull") else "push"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the words after `pmarep` that go on with it; empty where nobody has recorded them."""
        return self.progress.arguments if self.progress else ()

    @property
    def undecided(self) -> int:
        """Return how many slides the same command would be refused again, at all sites together."""
        return sum(site.get("needs_decision", 0) for site in (self.run.summary or {}).get("sites", {}).values())

    @property
    def incomplete(self) -> bool:
        """Return whether the same command has something left to do."""
        if (summary := self.run.summary) is None:
            return self.state is RunState.KILLED
        if self.command == "verify":
            return bool(summary.get("error"))
        sites: Iterable[dict[str, Any]] = summary["sites"].values()
        left = any(
            site["failed"] - site.get("needs_decision", 0) or site.get("not_begun") or site.get("error")
            for site in sites
        )
        return bool(left or summary.get("error"))


@dataclass(frozen=True, slots=True)
class Overview:
    """All that is shown. `rows`: runs, newest first; those of shards that belong together in one row.

    `to_go_on`: the arguments that go on with runs that left something, by their keys. `latest`: the keys of runs that
    no other of the same slides to the same sites has followed.
    """

    rows: list[list[RecordedRun]] = field(default_factory=list)
    unfinished: list[UnfinishedSlide] = field(default_factory=list)
    to_go_on: dict[RunKey, tuple[str, ...]] = field(default_factory=dict)
    latest: frozenset[RunKey] = frozenset()

    @property
    def runs(self) -> list[RecordedRun]:
        """Return all runs, newest first."""
        return sorted((one for row in self.rows for one in row), key=lambda one: one.run.started, reverse=True)


async def look(folders: Sequence[StateFolder], count: int, config: Path | None) -> Overview:
    """Look at state folders, and at the last `count` rows of runs. Contacts nobody and writes nothing."""
    from ...state.journal import Journal

    with ExitStack() as stack:
        journals: dict[StateFolder, Journal] = {}
        for folder in folders:
            if (folder.path / "journal.sqlite").exists():
                journals[folder] = stack.enter_context(closing(Journal(folder.path, read_only=True)))
        runs: list[RecordedRun] = []
        for folder, journal in journals.items():
            runs += with_progress(await journal.runs(count), folder)
        runs.sort(key=lambda one: (one.run.started, one.run.number), reverse=True)
        rows = grouped(runs, lambda one: (one.progress and one.progress.scope, one.shard))[:count]
        runs = [one for row in rows for one in row]
        runs.sort(key=lambda one: (one.run.started, one.run.number), reverse=True)
        slides = await _all_unfinished(journals, runs, config)
    return Overview(rows, slides, to_go_on(runs), latest(runs))


async def _all_unfinished(
    journals: Mapping[StateFolder, Journal], runs: Sequence[RecordedRun], config: Path | None
) -> list[UnfinishedSlide]:
    """Return the slides that are partly sent; of one that several journals know, what is in the one that was last."""
    places = {folder: await journal.unfinished() for folder, journal in journals.items()}
    if not any(places.values()):
        return []  # a book takes long to load
    targets = [*targets_of_book(config), *targets_of_runs([one.progress for one in runs if one.progress is not None])]
    found: dict[RemotePath, tuple[float, UnfinishedSlide]] = {}
    for folder, unfinished in places.items():
        for place, since in unfinished.items():
            if place in found and found[place][0] > since:
                continue
            others = [journal for one, journal in journals.items() if one is not folder and place not in places[one]]
            if not await _is_known_since(others, place, since):
                slide = await _unfinished(journals[folder], place, since, name_of(place, targets))
                if place not in found or found[place][0] < since or (found[place][1].kept or 0) < (slide.kept or 0):
                    found[place] = since, slide
    return [slide for _, slide in found.values()]


async def _is_known_since(journals: Sequence[Journal], place: RemotePath, since: float) -> bool:
    """Return whether a journal has recorded something else of a slide since it was partly sent."""
    for journal in journals:
        last = await journal.not_checked_since(place.server, [place.path], math.inf)
        if last.get(place.path, 0.0) > since:
            return True
    return False


def with_progress(runs: Sequence[Run], folder: StateFolder) -> list[RecordedRun]:
    """Return runs with their progress; of those that have ended only what was asked for is read."""
    by_number: dict[int, list[Any]] = {}
    for record in records_in(folder.path / "runs"):
        by_number.setdefault(record.number, []).append(record)
    found = []
    for run in runs:
        progress = None
        for record in by_number.get(run.number, ()):
            if record.is_of(run):
                with suppress(RunRecordError):
                    progress = read_progress(record, only_head=run.summary is not None)
        found.append(RecordedRun(run, progress, folder))
    return found


def to_go_on(runs: Sequence[RecordedRun]) -> dict[RunKey, tuple[str, ...]]:
    """Return the arguments that go on with runs, newest first, that left something and were not followed by another."""
    last = latest(runs)
    return {one.key: one.arguments for one in runs if one.key in last and one.incomplete and one.arguments}


def latest(runs: Iterable[RecordedRun]) -> frozenset[RunKey]:
    """Return the keys of recorded runs, given newest first, that were not followed by another.

    Another run of the same slides to the same sites has the say, whatever its other options; a run of all slides, or
    runs of all shards, over any before them.
    """
    found: set[RunKey] = set()
    followed: set[str] = set()
    shards: dict[tuple[str, int], set[int]] = {}
    for one in runs:
        if one.progress is None or (scope := one.progress.scope) in followed:
            continue
        if one.shard is None:
            followed.add(scope)
            found.add(one.key)
            continue
        numbers = shards.setdefault((scope, one.shard.count), set())
        if one.shard.number not in numbers:
            found.add(one.key)
            numbers.add(one.shard.number)
            if len(numbers) == one.shard.count:
                followed.add(scope)
    return frozenset(found)


async def _unfinished(journal: Journal, place: RemotePath, since: float, site: str | None) -> UnfinishedSlide:
    entry = await journal.entry(place)
    if entry is None:  # finished meanwhile by a run that goes on
        return UnfinishedSlide(place, site, since)
    kept, left = kept_and_left(entry) or (None, None)
    parts = sum(len(numbers) for numbers in entry.parts.values())
    return UnfinishedSlide(place, site, since, len(entry.files), parts, kept, left)
