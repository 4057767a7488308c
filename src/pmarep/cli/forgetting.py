"""Find what `pmarep forget` is asked to forget: entries of the journal, runs, and their records."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import NamedTuple

from ..errors import ConfigError, TargetBusyError, UsageError
from ..sites import validators
from ..sites.site_names import did_you_mean, quoted
from ..state.journal_cleaner import JournalCleaner, KnownEntry
from ..state.records import BROKEN, DIFFERS, SENDING, UNREADABLE, RemotePath, Run
from ..state.run_progress import RunProgress, read_progress
from ..state.run_records import RunFile, RunRecordError, records_in
from ..state.target_locks import hold_targets
from ..state.unfinished import kept_and_left
from .site_targets import Target, name_of, targets_of_book, targets_of_runs

ALL_RUNS = 1_000_000
_FOUND_WRONG = (BROKEN, DIFFERS, UNREADABLE)


class Criteria(NamedTuple):
    """What is to be forgotten: what fits all that are given. `before`: seconds since the epoch.

    `damaged`: also that a look has found a slide damaged, another one or unreadable. Without that knowledge the next
    push goes by names and sizes, and calls such a slide there.
    """

    sites: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    sources: tuple[Path, ...] = ()
    before: float | None = None
    damaged: bool = False


@dataclass(slots=True)
class Forgettable:
    """What fits. By name of the site, else URL of the server: `known` slides there, partly sent ones, bytes kept,
    `damaged` ones that are forgotten, and those that `stay` known as such.
    """

    entries: list[KnownEntry] = field(default_factory=list)
    known: Counter[str] = field(default_factory=Counter)
    unfinished: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    damaged: Counter[str] = field(default_factory=Counter)
    stay: Counter[str] = field(default_factory=Counter)
    runs: list[int] = field(default_factory=list)
    records: list[RunFile] = field(default_factory=list)

    def add(self, more: Forgettable) -> None:
        """Add what fits in another state folder."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(more, one.name))


class _RecordedRun(NamedTuple):
    file: RunFile
    progress: RunProgress


async def find_in_all(
    journals: Mapping[Path, JournalCleaner], criteria: Criteria, config: Path | None
) -> dict[Path, Forgettable]:
    """Find what fits in several state folders; what is known in two of them is counted once.

    Raises UsageError for a site or source that nothing is known of in any.
    """
    recorded = {folder: list(_recorded_runs(folder / "runs")) for folder in journals}
    everything = [one for some in recorded.values() for one in some]
    targets = [*targets_of_book(config), *targets_of_runs([one.progress for one in everything])]
    _check_sites(criteria.sites, targets)
    criteria = criteria._replace(servers=tuple({_normalized(url) for url in criteria.servers}))
    places = places_of(criteria.sources, everything) if criteria.sources else None
    counted: set[RemotePath] = set()
    return {
        folder: await _find(journal, criteria, recorded[folder], targets, places, counted)
        for folder, journal in journals.items()
    }


async def _find(
    journal: JournalCleaner,
    criteria: Criteria,
    recorded: Sequence[_RecordedRun],
    targets: Sequence[Target],
    places: set[RemotePath] | None,
    counted: set[RemotePath],
) -> Forgettable:
    """Find what fits in one state folder; count what is not in `counted`, and put it there."""

    def wanted(entry: KnownEntry) -> bool:
        return (
            (criteria.before is None or entry.last < criteria.before)
            and (not criteria.servers or entry.place.server in criteria.servers)
            and (places is None or entry.place in places)
            and (not criteria.sites or name_of(entry.place, targets) in criteria.sites)
        )

    found = Forgettable()
    for entry in await journal.entries(wanted):
        name = name_of(entry.place, targets) or entry.place.server
        first = entry.place not in counted
        counted.add(entry.place)
        if entry.state in _FOUND_WRONG and not criteria.damaged:
            found.stay[name] += first
            continue
        found.entries.append(entry)
        if not first:
            continue
        if entry.state in _FOUND_WRONG:
            found.damaged[name] += 1
            continue
        if entry.state != SENDING:
            found.known[name] += 1
            continue
        found.unfinished[name] += 1
        if (more := await journal.entry(entry.place)) is not None:
            found.kept[name] += (kept_and_left(more) or (0, 0))[0]
    _add_runs(found, await journal.runs(ALL_RUNS), recorded, criteria)
    return found


def _add_runs(found: Forgettable, runs: Sequence[Run], recorded: Sequence[_RecordedRun], criteria: Criteria) -> None:
    """Add runs that fit, and their records, but for those that go on."""
    running = {one.file.number for one in recorded if one.file.is_running()}
    for run in runs:
        of_it = (one.progress for one in recorded if one.file.is_of(run))
        if run.number not in running and _fits(criteria, run.started, run.sources, next(of_it, None)):
            found.runs.append(run.number)
    for one in recorded:
        started = one.progress.started.timestamp()
        if one.file.number not in running and _fits(criteria, started, one.progress.sources, one.progress):
            found.records.append(one.file)


def _fits(criteria: Criteria, started: float, sources: Sequence[str], progress: RunProgress | None) -> bool:
    """Return whether all of a run fits. Without a record nobody knows which sites it was for."""
    sites = {} if progress is None else progress.sites
    return (
        (criteria.before is None or started < criteria.before)
        and (not criteria.sources or all(_is_within(source, criteria.sources) for source in sources))
        and (not criteria.sites or (bool(sites) and sites.keys() <= set(criteria.sites)))
        and (not criteria.servers or (bool(sites) and {site.url for site in sites.values()} <= set(criteria.servers)))
    )


def _recorded_runs(folder: Path) -> Iterator[_RecordedRun]:
    for file in records_in(folder):
        with suppress(RunRecordError):
            yield _RecordedRun(file, read_progress(file, only_head=True))


def places_of(sources: Sequence[Path], recorded: Sequence[_RecordedRun]) -> set[RemotePath]:
    """Return where the slides of some folders or main files went, as records of runs have it.

    Raises UsageError where no record has anything of them.
    """
    places: set[RemotePath] = set()
    for file, run in recorded:
        if run.folder is not None:  # of a pull, which has sent nothing
            continue
        for line in file.lines():
            if line["event"] != "slides":
                continue
            whole = _is_within(line["folder"], sources)
            for name, _kind, _size, _files, *local in line["slides"]:
                if whole or _is_within(f"{line['folder']}/{(local or [name])[0]}", sources):
                    below = f"{line['below']}{name}"
                    places |= {
                        RemotePath(site.url, "/".join(filter(None, (site.target, run.to, below))))
                        for site in run.sites.values()
                    }
    if not places:
        named = ", ".join(map(str, sources))
        raise UsageError(f"no slide of {named} is in the record of a run; say where they went with --site or --server")
    return places


def _is_within(path: str, folders: Sequence[Path]) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in folders)


def _check_sites(names: Sequence[str], targets: Sequence[Target]) -> None:
    known = list(dict.fromkeys(target.name for target in targets))
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"; known: {', '.join(known) or 'none'}"
            raise ConfigError(f"no site {quoted(name)} is in the site book or in the record of a run{hint}")


def _normalized(url: str) -> str:
    try:
        return validators.url(url)
    except ValueError as error:
        raise UsageError(f"--server: {error}") from None


@contextmanager
def held(folder: Path, found: Forgettable) -> Iterator[None]:
    """Hold the root-directories in which something is to be forgotten. Raises TargetBusyError where a run has one."""
    entries = {(one.place.server, one.place.path.partition("/")[0]) for one in found.entries}
    places = [(f"{url}{root}", unicodedata.normalize("NFC", url + root).casefold()) for url, root in sorted(entries)]
    try:
        with hold_targets(folder / "locks", places) as busy:
            if busy:
                raise next(iter(busy.values()))
            yield
    except TargetBusyError as error:
        words = str(error).removesuffix("; nothing was sent")
        raise TargetBusyError(f"{words}; nothing was forgotten") from None
