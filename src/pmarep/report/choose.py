"""Find the records of the run that a person means: one, or those of shards that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import UsageError
from ..slides.shard import Shard
from ..state.run_groups import grouped
from ..state.run_progress import RunProgress, read_progress
from ..state.run_records import RunFile, RunRecordError, records_in
from ..state.state_folders import StateFolder
from .merge import merge_reports
from .model import Report, build_report

SHOWN = 5


class Record(NamedTuple):
    """A record, and the state folder that it lies in."""

    file: RunFile
    folder: StateFolder


def choose_runs(folders: Sequence[StateFolder], wanted: str | None) -> list[RunFile]:
    """Return the records of a run, the oldest first: of one of shards, those of the others that belong to it, too.

    The last run, or that with this number, id or start in local time: `2026-11-27T21:42` is enough of a start where no
    other run began in that minute. A number counts in the folders that were named, before those of shards below them.
    Raises UsageError.
    """
    records = [Record(file, folder) for folder in folders for file in records_in(folder.path / "runs")]
    records.sort(key=lambda one: (one.file.started, one.file.number), reverse=True)
    if not records:
        where = ", ".join(dict.fromkeys(str(folder.root) for folder in folders)) or "that folder"
        raise UsageError(f"there is no record of any run in {where}; every push, verify and pull leaves one")
    found = records[:1] if wanted is None else _matching(records, wanted)
    if not found:
        raise UsageError(f"there is no run {wanted}; the last ones are {_list(records)}")
    groups = _groups(records, found)
    chosen = [group for group in groups if any(one.file == other.file for one in group for other in found)]
    if len(chosen) > 1:
        how = "its start or name its state folder" if (wanted or "").isdecimal() else "its number"
        raise UsageError(f"{len(found)} runs are {wanted}: {_list(found)}; name one by {how}")
    return sorted((one.file for one in chosen[0]), key=lambda file: (file.started, file.number))


def _matching(records: Sequence[Record], wanted: str) -> list[Record]:
    if wanted.isdecimal() and len(wanted) < 8:  # more is a date
        found = [one for one in records if one.file.number == int(wanted)]
        newest = {one.folder: one for one in reversed(found)}  # a new journal counts from 1 again
        named = [one for one in newest.values() if one.folder.path == one.folder.root]
        return named or list(newest.values())
    start = wanted.replace("T", " ")
    exact = [one for one in records if wanted == one.file.id]
    return exact or [one for one in records if started_text(one.file).startswith(start)]


def _groups(records: Sequence[Record], found: Sequence[Record]) -> list[list[Record]]:
    """Return the groups of records that those which were found are in."""
    heads = {one: _head(one) for one in found}
    counts = {head.shard.count for head in heads.values() if head is not None and head.shard is not None}
    if not counts:
        return [[one] for one in found]
    # Only folders of shards of that N can have more of them; no other record is opened.
    near = [one for one in records if one in heads or (one.folder.shard and one.folder.shard.count in counts)]
    heads |= {one: _head(one) for one in near if one not in heads}

    def about(one: Record) -> tuple[str | None, Shard | None]:
        head = heads[one]
        return (None, None) if head is None else (head.scope, head.shard)

    return grouped(near, about)


def _head(one: Record) -> RunProgress | None:
    try:
        return read_progress(one.file, only_head=True)
    except RunRecordError:
        return None  # said when it is the one that is wanted


def started_text(record: RunFile) -> str:
    """Return when a run began, in local time, as people see it and may type it."""
    return record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def report_of(*records: RunFile) -> Report:
    """Make the report of one record, or of several that belong together. Raises RunRecordError, DamagedRecordError."""
    reports = []
    for record in records:
        running = record.is_running()  # before it is read: what ends meanwhile has a summary
        reports.append(build_report(record.lines(), running))
    return merge_reports(reports)


def _list(records: Sequence[Record]) -> str:
    def name(one: Record) -> str:
        shard = "" if one.folder.shard is None else f", shard {one.folder.shard}"
        return f"{one.file.number} ({started_text(one.file)}{shard})"

    some = [name(one) for one in records[:SHOWN]]
    return ", ".join(some) + (f" and {len(records) - SHOWN} more" if len(records) > SHOWN else "")
