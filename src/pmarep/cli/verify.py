"""`pmarep verify`: looks at what the sites have, and sends nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .config_files import load_book, named_book, state_path, warn_unverified_tls
from .option_values import parse_newer_than, parse_option, parse_shard, selection_options
from .options import (
    AllowEmptyOption,
    AtAllSitesOption,
    AuditOption,
    ConfigOption,
    ConnectionsOption,
    ExcludeOption,
    FollowLinksOption,
    IncludeOption,
    JsonEventsOption,
    LogFileMaxBackupsOption,
    LogFileMaxSizeOption,
    LogFileOption,
    MapOnlyOption,
    MapOption,
    MetricsLabelOption,
    MetricsOption,
    MinSizeOption,
    NewerThanOption,
    PathsOrPlacesArgument,
    PatienceOption,
    QuietOption,
    ReportOption,
    ShardOption,
    SitesOption,
    SpoolOption,
    SpoolSizeOption,
    StateDirOption,
    ToOption,
    VerboseOption,
)


class _Level(StrEnum):
    size = "size"
    fingerprint = "fingerprint"
    deep = "deep"


def verify(
    ctx: typer.Context,
    sources: PathsOrPlacesArgument,
    sites: SitesOption,
    level: Annotated[
        _Level,
        typer.Option(
            metavar="size|fingerprint|deep",
            help="All files there, with their sizes, readable; also the same fingerprint at all sites; or everything "
            "read back and compared.",
        ),
    ] = _Level.size,
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
    connections: ConnectionsOption = None,
    patience: PatienceOption = "10m",
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
    """Compare the slides in SRC with what the sites have; send nothing.

    A slide of ours that is damaged now is sent again by the next push, unless somebody has written to it at the site
    since: then the push leaves it and says what helps. Ends with 0 if every slide is at every site as it should be,
    1 if not, 2 for wrong usage, 3 if other runs hold all sites, 4 if only rules of sites leave slides out, 130 if
    interrupted.
    """
    import os

    from ..engine import Options, Verify
    from ..sites import Credentials
    from ..units import parse_duration, parse_size
    from .observer_options import LogOptions, hook_observers, logging_run, metrics_observers
    from .option_values import parse_connections, parse_sources, parse_spool_size, parse_sub_folder, read_names
    from .render import output_for
    from .repeat import repeatable_arguments
    from .replication_run import always_emit_summary, run_replication
    from .report import report_observers

    logs = LogOptions(verbose, log_file, log_file_max_size, log_file_max_backups)
    with always_emit_summary(json), logging_run(logs) as log_observers:
        part = parse_shard(shard)
        book = load_book(config)
        chosen = book.resolve(sites)
        warn_unverified_tls(chosen)
        found = parse_sources(sources, book)
        options = Options(
            sources=found,
            to=parse_sub_folder(to),
            names=read_names(map_file, book, only=map_only),
            only_named=map_only,
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            newer_than=parse_newer_than(newer_than),
            min_size=parse_option("--min-size", parse_size, min_size),
            verify=Verify(level.value),
            verify_only=True,
            connections=parse_connections(connections),
            patience=parse_option("--patience", parse_duration, patience),
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
        output = output_for(json=json, quiet=quiet, verbose=verbose, selection=selection)
        names = [site.name for site in chosen]
        observers = [
            *report_observers(report, state_dir, part),
            *metrics_observers(metrics, metrics_label or (), names),
            *log_observers,
            *hook_observers(book.hooks, "verify", names),
        ]
        code = run_replication(options, chosen, Credentials(os.environ), state_path(state_dir), output, observers)
    raise typer.Exit(code)
