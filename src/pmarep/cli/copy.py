"""`pmarep copy`: replicate slides from one PMA.core to sites, without a folder in between."""

from __future__ import annotations

import typer

from .options import (
    AllowEmptyOption,
    AnnotationsOption,
    AuditOption,
    BetweenOption,
    ConfigOption,
    ConnectionsOption,
    EveryOption,
    ExcludeOption,
    IncludeOption,
    JsonEventsOption,
    LogFileMaxBackupsOption,
    LogFileMaxSizeOption,
    LogFileOption,
    MaxDeleteOption,
    MetricsLabelOption,
    MetricsOption,
    MinSizeOption,
    MirrorOption,
    MirrorYesOption,
    NewerThanOption,
    PatienceOption,
    PlacesArgument,
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
from .push import (
    BwlimitOption,
    DryRunOption,
    ExistingChoice,
    ExistingOption,
    FreshOption,
    HardOption,
    MaxDurationOption,
    RecheckOption,
    StopAtOption,
    VerifyChoice,
    VerifyOption,
    push,
)


def copy(
    ctx: typer.Context,
    sources: PlacesArgument,
    sites: SitesOption,
    to: ToOption = "",
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    newer_than: NewerThanOption = None,
    min_size: MinSizeOption = "0",
    allow_empty: AllowEmptyOption = False,
    shard: ShardOption = None,
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
    spool: SpoolOption = None,
    spool_size: SpoolSizeOption = None,
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
    """Replicate the slides at PLACE, a folder at a PMA.core, to several sites at once.

    Each byte is downloaded once and sent to all sites, each at its own pace: what the slowest has not had yet waits in
    a spool on this machine. Otherwise it is what pmarep push does, with the same exit codes.
    """
    push(**locals())
