"""Gather what `pmarep status` shows: from the journal, the records of runs, and the site book for names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...state.run_progress import RunProgress, RunState, read_progress
from ...state.run_records import RunRecordError, records_in
from ...state.unfinished import kept_and_left
from ..site_targets import name_of, targets_of_book, targets_of_runs

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run as the journal has it, and its progress where it has a record."""

    run: Run
    progress: RunProgress | None

    @property
    def state(self) -> RunState:
        if self.run.summary is not None:
            return RunState.ENDED
        return RunState.UNKNOWN if self.progress is None else self.progress.state

    @property
    def command(self) -> str:
        """Return `push` or `verify`."""
        summary = self.run.summary or {}
        return self.progress.command if self.progress else "verify" if summary.get("verify_only") else "push"

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
    """All that is shown. `to_go_on`: the arguments that go on with runs that left something, by their numbers.

    `latest`: the numbers of runs that no other of the same slides to the same sites has followed.
    """

    runs: list[RecordedRun] = field(default_factory=list)
    unfinished: list[UnfinishedSlide] = field(default_factory=list)
    to_go_on: dict[int, tuple[str, ...]] = field(default_factory=dict)
    latest: frozenset[int] = frozenset()


async def look(folder: Path, count: int, config: Path | None) -> Overview:
    """Look at the state folder `folder`, and at the last `count` runs. Contacts nobody and writes nothing."""
    from ...state.journal import Journal

    if not (folder / "journal.sqlite").exists():
        return Overview()
    journal = Journal(folder, read_only=True)
    try:
        runs = with_progress(await journal.runs(count), folder / "runs")
        places = await journal.unfinished()
        targets = []
        if places:  # a book takes long to load
            recorded = [one.progress for one in runs if one.progress is not None]
            targets = [*targets_of_book(config), *targets_of_runs(recorded)]
        slides = [await _unfinished(journal, place, since, name_of(place, targets)) for place, since in places.items()]
    finally:
        journal.close()
    return Overview(runs, slides, to_go_on(runs), latest(runs))


def with_progress(runs: Sequence[Run], records: Path) -> list[RecordedRun]:
    """Return runs with their progress; of those that have ended only what was asked for is read."""
    by_number: dict[int, list[Any]] = {}
    for record in records_in(records):
        by_number.setdefault(record.number, []).append(record)
    found = []
    for run in runs:
        progress = None
        for record in by_number.get(run.number, ()):
            if record.is_of(run):
                with suppress(RunRecordError):
                    progress = read_progress(record, only_head=run.summary is not None)
        found.append(RecordedRun(run, progress))
    return found


def to_go_on(runs: Sequence[RecordedRun]) -> dict[int, tuple[str, ...]]:
    """Return the arguments that go on with runs, newest first, that left something and were not followed by another."""
    last = latest(runs)
    return {
        one.run.number: one.arguments for one in runs if one.run.number in last and one.incomplete and one.arguments
    }


def latest(runs: Iterable[RecordedRun]) -> frozenset[int]:
    """Return the numbers of recorded runs, given newest first, that were not followed by another.

    Another run of the same slides to the same sites has the say, whatever its other options.
    """
    found: dict[str, int] = {}
    for one in runs:
        if one.progress is not None:
            found.setdefault(one.progress.scope, one.run.number)
    return frozenset(found.values())


async def _unfinished(journal: Journal, place: RemotePath, since: float, site: str | None) -> UnfinishedSlide:
    entry = await journal.entry(place)
    if entry is None:  # finished meanwhile by a run that goes on
        return UnfinishedSlide(place, site, since)
    kept, left = kept_and_left(entry) or (None, None)
    parts = sum(len(numbers) for numbers in entry.parts.values())
    return UnfinishedSlide(place, site, since, len(entry.files), parts, kept, left)
