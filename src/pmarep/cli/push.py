"""`pmarep push`: replicate slides to sites."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .config_files import load_book, named_book, state_path, warn_unverified_tls
from .option_values import parse_newer_than, parse_option, parse_shard, selection_options
from .options import (
    AllowEmptyOption,
    AnnotationsOption,
    AtAllSitesOption,
    AuditOption,
    BetweenOption,
    ConfigOption,
    ConnectionsOption,
    EveryOption,
    ExcludeOption,
    FollowLinksOption,
    IncludeOption,
    JsonEventsOption,
    LogFileMaxBackupsOption,
    LogFileMaxSizeOption,
    LogFileOption,
    MapOnlyOption,
    MapOption,
    MaxDeleteOption,
    MetricsLabelOption,
    MetricsOption,
    MinSizeOption,
    MirrorOption,
    MirrorYesOption,
    NewerThanOption,
    PathsOrPlacesArgument,
    PatienceOption,
    QuietOption,
    ReportOption,
    SchedulerFileOption,
    SchedulerOption,
    ShardOption,
    SitesOption,
    SpoolOption,
    SpoolSizeOption,
    StateDirOption,
    ToOption,
    VerboseOption,
)

if TYPE_CHECKING:
    from ..events import Event, RoundStarted


class ExistingChoice(StrEnum):
    """The values of --existing."""

    skip = "skip"
    overwrite = "overwrite"
    fail = "fail"


class VerifyChoice(StrEnum):
    """The values of --verify."""

    none = "none"
    size = "size"
    fingerprint = "fingerprint"
    deep = "deep"


ExistingOption = Annotated[
    ExistingChoice,
    typer.Option(
        metavar="skip|overwrite|fail", help="What to do with a slide that is at the site already and differs."
    ),
]
VerifyOption = Annotated[
    VerifyChoice,
    typer.Option(
        metavar="none|size|fingerprint|deep",
        help="After sending: all files there, with their sizes, readable; also the same fingerprint at all sites; "
        "or everything read back and compared.",
    ),
]
BwlimitOption = Annotated[
    str | None, typer.Option(metavar="SPEC", help="All sites together: 20M, or '08:00,2M 19:00,off' (bytes/s).")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would happen at each site; send nothing.")]
FreshOption = Annotated[
    bool,
    typer.Option(
        "--fresh",
        help="Begin partly sent slides again instead of resuming; send again what a server could not read.",
    ),
]
MaxDurationOption = Annotated[
    str | None,
    typer.Option(metavar="T", help="End after T (6h): begin only slides that can arrive by then, finish those begun."),
]
StopAtOption = Annotated[
    str | None, typer.Option(metavar="HH:MM", help="Break off at that time (local); what can be kept is kept.")
]
HardOption = Annotated[bool, typer.Option("--hard", help="Break off what is being sent at --max-duration too.")]
RecheckOption = Annotated[
    str,
    typer.Option(metavar="T|off", help="Compare the file sizes of every slide known to be at a site again within T."),
]


def push(
    ctx: typer.Context,
    sources: PathsOrPlacesArgument,
    sites: SitesOption,
    to: ToOption = "",
    map_file: MapOption = None,
    map_only: MapOnlyOption = False,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    newer_than: NewerThanOption = None,
    min_size: MinSizeOption = "0",
    allow_empty: AllowEmptyOption = False,
    follow_links: FollowLinksOption = False,
    shard: ShardOption = None,
    scheduler: SchedulerOption = None,
    scheduler_file: SchedulerFileOption = None,
    existing: ExistingOption = ExistingChoice.fail,
    verify: VerifyOption = VerifyChoice.size,
    mirror: MirrorOption = False,
    yes: MirrorYesOption = False,
    max_delete: MaxDeleteOption = None,
    connections: ConnectionsOption = None,
    bwlimit: BwlimitOption = None,
    dry_run: DryRunOption = False,
    annotations: AnnotationsOption = False,
    fresh: FreshOption = False,
    max_duration: MaxDurationOption = None,
    stop_at: StopAtOption = None,
    hard: HardOption = False,
    every: EveryOption = None,
    between: BetweenOption = None,
    patience: PatienceOption = "10m",
    recheck: RecheckOption = "7d",
    settle: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="Send a slide once its files are unchanged for T (default: 10s if younger than a minute); 0: at once.",
        ),
    ] = None,
    spool: SpoolOption = None,
    spool_size: SpoolSizeOption = None,
    audit: AuditOption = None,
    report: ReportOption = None,
    at_all_sites: AtAllSitesOption = None,
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
    """Replicate the slides in SRC to several sites at once.

    The contents of a folder land below each site's target, sub-folders kept. Run it again after anything went wrong:
    it sends what is missing. Ends with 0 if every slide is at every site, 1 if not, 2 for wrong usage, 3 if other
    runs hold all sites, 4 if only rules of sites left slides out, 130 if interrupted.
    """
    import os
    from dataclasses import replace

    from ..engine import Existing, Options, Verify
    from ..errors import UsageError
    from ..sites import Credentials
    from ..timetable import Timetable
    from ..units import parse_duration, parse_size, parse_time
    from .observer_options import LogOptions, hook_observers, idle_record_observers, logging_run, metrics_observers
    from .option_values import (
        check_mirror,
        parse_connections,
        parse_sources,
        parse_spool_size,
        parse_sub_folder,
        read_names,
    )
    from .render import output_for
    from .repeat import repeatable_arguments
    from .replication_run import PreparedRun, always_emit_summary, run_replication
    from .report import report_observers

    logs = LogOptions(verbose, log_file, log_file_max_size, log_file_max_backups, rounds=every is not None)
    with always_emit_summary(json), logging_run(logs) as log_observers:
        if hard and not (max_duration or stop_at):
            raise UsageError("--hard says how a run ends; say when with --max-duration T or --stop-at HH:MM")
        part = parse_shard(shard)
        on_nodes = scheduler is not None or scheduler_file is not None
        schedule = None
        if every is not None or between is not None:
            from .rounds import Rounds, parse_schedule, run_rounds

            schedule = parse_schedule(every, between, {"--dry-run": dry_run, "--fresh": fresh, "--scheduler": on_nodes})

        def prepare() -> PreparedRun:
            """Look at all that the command and the site book say; return what runs once, or one round."""
            book = load_book(config)
            chosen = book.resolve(sites)
            warn_unverified_tls(chosen)
            found = parse_sources(sources, book, only_places=ctx.info_name == "copy")
            folder = parse_sub_folder(to)
            check_mirror(book, chosen, folder, mirror=mirror, yes=yes, max_delete=max_delete)
            options = Options(
                sources=found,
                to=folder,
                names=read_names(map_file, book, only=map_only),
                only_named=map_only,
                include=tuple(include or ()),
                exclude=tuple(exclude or ()),
                existing=Existing(existing.value),
                verify=Verify(verify.value),
                connections=parse_connections(connections),
                bwlimit=parse_option("--bwlimit", Timetable.parse, bwlimit) if bwlimit else None,
                dry_run=dry_run,
                repeated=schedule is not None,
                fresh=fresh,
                annotations=annotations,
                mirror=mirror,
                mirror_deletes=mirror and yes,
                max_delete=max_delete,
                max_duration=parse_option("--max-duration", parse_duration, max_duration) if max_duration else None,
                stop_at=parse_option("--stop-at", parse_time, stop_at) if stop_at else None,
                hard=hard,
                settle=parse_option("--settle", parse_duration, settle) if settle else None,
                patience=parse_option("--patience", parse_duration, patience),
                recheck=None if recheck == "off" else parse_option("--recheck", parse_duration, recheck) or None,
                newer_than=parse_newer_than(newer_than),
                min_size=parse_option("--min-size", parse_size, min_size),
                ask_pma_start=book.slides.enumerate != "never",
                trust_pma_start=book.slides.enumerate == "always",
                allow_empty=allow_empty,
                follow_links=follow_links,
                shard=part,
                at_all_sites=at_all_sites,
                spool=spool,
                spool_size=parse_spool_size(spool_size),
                gate_timeout=book.gate.timeout,
                gate_cache=book.gate.cache,
                gate_cache_size=book.gate.cache_size,
                config=named_book(config),
                arguments=repeatable_arguments(ctx, found),
                audit=audit,
            )
            selection = selection_options(include, exclude, newer_than, min_size)
            names = [site.name for site in chosen]
            idle_record = idle_record_observers(state_dir, part, rounds=schedule is not None)

            def run(begins: RoundStarted | None = None) -> int:
                output = output_for(json=json, quiet=quiet, verbose=verbose, selection=selection, board=begins is None)
                observers = [
                    *report_observers(report, state_dir, part, dry_run=dry_run),
                    *metrics_observers(metrics, metrics_label or (), names, dry_run=dry_run),
                    *log_observers,
                    *hook_observers(book.hooks, str(ctx.info_name), names, dry_run=dry_run),
                    *idle_record,
                ]
                if scheduler is None and scheduler_file is None:
                    now = replace(
                        options,
                        newer_than=parse_newer_than(newer_than),
                        names=options.names if begins is None else read_names(map_file, book, only=map_only),
                    )
                    credentials = Credentials(os.environ)
                    return run_replication(now, chosen, credentials, state_path(state_dir), output, observers, begins)
                from .scheduled_run import SchedulerChoice, run_on_nodes

                choice = SchedulerChoice(scheduler, scheduler_file, config, state_dir)
                return run_on_nodes(options, chosen, choice, output, observers)

            return PreparedRun(run, options.paths)

        if schedule is None:
            code = prepare().run(None)
        else:

            def tell(event: Event) -> None:
                output_for(json=json, quiet=quiet, verbose=verbose, board=False).handle(event)
                for observer in log_observers:
                    observer.handle(event)

            written = [path for path in (audit, report, metrics, log_file, at_all_sites, spool) if path is not None]
            # Some of these take ~ for the home folder, as in --log-file=~/push.log, which a shell leaves alone.
            ours = [*written, *(path.expanduser() for path in written), state_path(state_dir)]
            code = run_rounds(Rounds(schedule, prepare, tell, json=json), ours)
    raise typer.Exit(code)
