"""Turn options of a run, and `[hooks]`, into the observers that go along with it, each imported only if asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ..sites.models import HooksTable
    from ..slides.shard import Shard
    from .run_observers import RunObserver


class LogOptions(NamedTuple):
    """What `-v` and the options of the log file say. `rounds`: a round in which nothing happens is one line."""

    verbose: int
    file: Path | None
    max_size: str
    max_backups: int
    rounds: bool = False


@contextmanager
def logging_run(options: LogOptions) -> Iterator[list[RunObserver]]:
    """Log what happens inside as the options say. Gives the observers that this needs. Raises UsageError."""
    from .log_output import start_logging

    if options.file is None:
        start_logging(options.verbose)
        yield []
        return
    from ..units import parse_size
    from .log_file import logging_to_file
    from .option_values import parse_option

    size = 0 if options.max_size == "off" else parse_option("--log-file-max-size", parse_size, options.max_size)
    file, backups = options.file.expanduser(), options.max_backups
    with logging_to_file(file, size, backups, options.verbose, rounds=options.rounds) as observer:
        yield [observer]


def metrics_observers(
    path: Path | None, labels: Sequence[str], sites: Sequence[str], *, dry_run: bool = False
) -> list[RunObserver]:
    """Return what writes the metrics of `--metrics`; nothing without it, or in a dry run. Raises UsageError."""
    if path is None or dry_run:
        return []
    from .metrics import MetricsObserver, parse_labels

    return [MetricsObserver(path.expanduser(), parse_labels(labels), sites)]


def hook_observers(
    hooks: HooksTable, command: str, sites: Sequence[str], *, dry_run: bool = False
) -> list[RunObserver]:
    """Return what runs the hooks of the site book; nothing where it has none, or in a dry run."""
    if dry_run or not (hooks.on_start or hooks.on_success or hooks.on_failure):
        return []
    from .hooks import HooksObserver

    return [HooksObserver(hooks, command, sites, os.environ)]


def idle_record_observers(state_dir: Path | None, shard: Shard | None, *, rounds: bool) -> list[RunObserver]:
    """Return what removes the records of rounds in which nothing happened; nothing for a run of its own."""
    if not rounds:
        return []
    from .config_files import state_path
    from .rounds import IdleRecordRemover

    state = state_path(state_dir)
    return [IdleRecordRemover((state if shard is None else state / shard.folder) / "runs")]
