"""Find the record of the run that a person means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import UsageError
from ..state.run_records import RunFile, records_in
from .model import Report, build_report

SHOWN = 5


def choose_run(state_dir: Path, wanted: str | None) -> RunFile:
    """Return the record of a run: the last one, or that with this number, id or start in local time. Raises UsageError.

    `2026-11-27T21:42` is enough of a start where no other run began in that minute.
    """
    records = records_in(state_dir / "runs")
    if not records:
        raise UsageError(f"there is no record of any run in {state_dir}; every push, verify and pull leaves one")
    if wanted is None:
        return records[0]
    if wanted.isdecimal() and len(wanted) < 8:  # more is a date
        found = [record for record in records if record.number == int(wanted)][:1]
    else:
        start = wanted.replace("T", " ")
        found = [r for r in records if wanted == r.id] or [r for r in records if started_text(r).startswith(start)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} runs began at {wanted}: {_list(found)}; name one by its number")
    raise UsageError(f"there is no run {wanted}; the last ones are {_list(records)}")


def started_text(record: RunFile) -> str:
    """Return when a run began, in local time, as people see it and may type it."""
    return record.started.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def report_of(record: RunFile) -> Report:
    """Make the report of one record. Raises RunRecordError, DamagedRecordError."""
    running = record.is_running()  # before it is read: what ends meanwhile has a summary
    return build_report([(record.lines(), running)])


def _list(records: Sequence[RunFile]) -> str:
    some = [f"{record.number} ({started_text(record)})" for record in records[:SHOWN]]
    return ", ".join(some) + (f" and {len(records) - SHOWN} more" if len(records) > SHOWN else "")
