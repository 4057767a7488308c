"""`pmarep pull`: bring slides from sites into a folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .config_files import load_book, named_book, state_path, warn_unverified_tls
from .option_values import parse_option, selection_options
from .options import (
    AuditOption,
    ConfigOption,
    ConnectionsOption,
    ExcludeOption,
    IncludeOption,
    JsonEventsOption,
    LogFileMaxBackupsOption,
    LogFileMaxSizeOption,
    LogFileOption,
    MetricsLabelOption,
    MetricsOption,
    PatienceOption,
    PlacesArgument,
    QuietOption,
    ReportOption,
    StateDirOption,
    VerboseOption,
)


class _Existing(StrEnum):
    skip = "skip"
    overwrite = "overwrite"
    fail = "fail"


def pull(
    ctx: typer.Context,
    sources: PlacesArgument,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder for them; made if it is not there.")],
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    existing: Annotated[
        _Existing,
        typer.Option(metavar="skip|overwrite|fail", help="What to do with a slide that is here already and differs."),
    ] = _Existing.fail,
    connections: ConnectionsOption = None,
    bwlimit: Annotated[
        str | None, typer.Option(metavar="SPEC", help="All sites together: 20M, or '08:00,2M 19:00,off' (bytes/s).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come; pull nothing.")] = False,
    max_duration: Annotated[
        str | None, typer.Option(metavar="T", help="End after T (6h): begin no slide after that, finish those begun.")
    ] = None,
    patience: PatienceOption = "10m",
    audit: AuditOption = None,
    report: ReportOption = None,
    metrics: MetricsOption = None,
    metrics_label: MetricsLabelOption = None,
    log_file: LogFileOption = None,
    log_file_max_size: LogFileMaxSizeOption = "10M",
    log_file_max_backups: LogFileMaxBackupsOption = 5,
    json: JsonEventsOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Bring slides from one or several sites into a folder of this machine, with all their files.

    What is in a folder that is named lands in DIR, sub-folders kept. Run it again after anything went wrong: it gets
    what is missing. Ends with 0 if every slide is here, 1 if not, 2 for wrong usage, 3 if another pull goes into DIR,
    130 if interrupted.
    """
    import os
    from collections.abc import Coroutine
    from typing import TYPE_CHECKING, Any

    from ..engine import Existing
    from ..pull import PullOptions
    from ..pull import pull as run_pull
    from ..sites import Credentials
    from ..sites.place import needed_place
    from ..timetable import Timetable
    from ..units import parse_duration
    from .observer_options import LogOptions, hook_observers, logging_run, metrics_observers
    from .option_values import parse_connections
    from .render import output_for
    from .repeat import repeatable_arguments
    from .replication_run import always_emit_summary, run_to_end
    from .report import report_observers

    if TYPE_CHECKING:
        from asyncio import Event

        from ..events import Listener, Summary

    logs = LogOptions(verbose, log_file, log_file_max_size, log_file_max_backups)
    with always_emit_summary(json), logging_run(logs) as log_observers:
        book = load_book(config)
        chosen = [needed_place(text, book) for text in sources]
        warn_unverified_tls([place.site for place in chosen])
        options = PullOptions(
            folder=folder.expanduser(),
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            existing=Existing(existing.value),
            connections=parse_connections(connections),
            bwlimit=parse_option("--bwlimit", Timetable.parse, bwlimit) if bwlimit else None,
            patience=parse_option("--patience", parse_duration, patience),
            max_duration=parse_option("--max-duration", parse_duration, max_duration) if max_duration else None,
            dry_run=dry_run,
            audit=audit,
            config=named_book(config),
            arguments=repeatable_arguments(ctx, chosen),
        )
        passwords, state = Credentials(os.environ), state_path(state_dir)
        names = list(dict.fromkeys(place.site.name for place in chosen))
        observers = [
            *report_observers(report, state_dir, dry_run=dry_run),
            *metrics_observers(metrics, metrics_label or (), names, dry_run=dry_run),
            *log_observers,
            *hook_observers(book.hooks, "pull", names, dry_run=dry_run),
        ]

        def run(listener: Listener, stop: Event) -> Coroutine[Any, Any, Summary]:
            return run_pull(options, chosen, passwords=passwords, listener=listener, state_dir=state, stop=stop)

        selection = selection_options(include, exclude, None, "0")
        output = output_for(json=json, quiet=quiet, verbose=verbose, selection=selection)
        code = run_to_end(run, output, observers)
    raise typer.Exit(code)
