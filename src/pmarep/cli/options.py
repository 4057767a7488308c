"""Declare the options and arguments that several commands share. Their values: `option_values`, `config_files`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import completion

SourcesArgument = Annotated[list[Path], typer.Argument(metavar="SRC...", help="Folders, or main files of slides.")]
PathsOrPlacesArgument = Annotated[
    list[str],
    typer.Argument(metavar="SRC...", help="Folders, or main files of slides; or such at a site, written SITE:folder."),
]
PlacesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PLACE...",
        help="Folders or slides at a site: SITE:folder or SITE:/Root/folder.",
        autocompletion=completion.place,
    ),
]
SpoolOption = Annotated[
    Path | None,
    typer.Option(
        "--spool", metavar="DIR", help="Where what comes from a site waits for the slowest; default: the state folder."
    ),
]
SpoolSizeOption = Annotated[
    str | None, typer.Option("--spool-size", metavar="SIZE", help="How much may wait there; default: 2G, or what fits.")
]
SitesOption = Annotated[
    list[str],
    typer.Option(
        metavar="NAME[,NAME...]",
        help="Sites, patterns of sites ('box-*') and groups; repeatable.",
        autocompletion=completion.site_or_group,
    ),
]
ToOption = Annotated[str, typer.Option(metavar="PATH", help="Sub-folder below every site's target.")]
IncludeOption = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Only slides that match, as in .gitignore; repeatable.")
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option(metavar="PATTERN", help="Leave out slides that match, as in .gitignore; repeatable.")
]
MapOption = Annotated[
    Path | None,
    typer.Option(
        "--map",
        metavar="FILE.csv",
        help="Other names for slides at sites: a CSV file with the columns slide, site and to.",
    ),
]
MapOnlyOption = Annotated[
    bool, typer.Option("--map-only", help="Leave out at each site the slides that --map does not name there.")
]
MirrorOption = Annotated[
    bool,
    typer.Option("--mirror", help="List the slides below the target folder that SRC has not; with --yes delete them."),
]
MirrorYesOption = Annotated[bool, typer.Option("--yes", "-y", help="Delete what --mirror lists.")]
MaxDeleteOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=0,
        help="Delete nothing at a site where --mirror lists more; default: half of the slides there.",
    ),
]
ConnectionsOption = Annotated[
    str | None, typer.Option(metavar="auto|N", help="Parallel requests per site; default: what the site book says.")
]
PatienceOption = Annotated[
    str,
    typer.Option(
        metavar="T", help="How long to wait for a site that does not answer before giving it up; 0: not at all."
    ),
]
AuditOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Append a JSON line for each slide and site: hashes of what was read, times, who ran it."
    ),
]


def _empty_early(context: typer.Context, file: Path | None) -> Path | None:
    """Empty the list before other options are looked at: nobody deletes by an old list because a new run was refused.

    Raises UsageError.
    """
    if file is not None and not context.resilient_parsing:
        from ..state.file_list import empty_list

        empty_list(file)
    return file


AtAllSitesOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        is_eager=True,
        callback=_empty_early,
        help="List the source files that are verified at every site, with NULs between them, for a clean-up script.",
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write a report when the run has ended: HTML, or what FILE ends in (.json, .csv)."
    ),
]
MetricsOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write Prometheus metrics for node_exporter's textfile collector (FILE.prom)."),
]
MetricsLabelOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="A label for all of them, where several jobs have files; repeatable."),
]
LogFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Append log lines and the lines of the run; with -vv every request too."),
]
LogFileMaxSizeOption = Annotated[
    str,
    typer.Option(metavar="SIZE|off", help="Begin a new log file at this size; the old one becomes FILE.1."),
]
LogFileMaxBackupsOption = Annotated[
    int, typer.Option(metavar="N", help="How many old log files to keep.", min=1, max=1000)
]
JsonEventsOption = Annotated[
    bool, typer.Option("--json", help="Events as JSON lines on stdout, and nothing else there.")
]
JsonListOption = Annotated[bool, typer.Option("--json", help="One JSON list on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what went wrong or needs attention.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The site book; default: PMAREP_CONFIG, else the user's own."),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir", metavar="DIR", help="Folder of the journal; default: PMAREP_STATE_DIR, else the user's own."
    ),
]
StateDirsOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="Folder of the journal; default: PMAREP_STATE_DIR, else the user's own. Repeatable, for several nodes.",
    ),
]
VerboseOption = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Log more on stderr; -vv: every request too.")
]
NewerThanOption = Annotated[
    str | None,
    typer.Option(metavar="T", help="Only slides changed within 7d (or 12h), or since 2026-11-01 (local time)."),
]
MinSizeOption = Annotated[
    str, typer.Option(metavar="SIZE", help="Only slides of at least this size, all their files together (such as 10M).")
]
AllowEmptyOption = Annotated[
    bool,
    typer.Option(
        "--allow-empty", help="Do not fail when a SRC has no slide at all, as a drive that is not mounted has none."
    ),
]
AnnotationsOption = Annotated[
    bool,
    typer.Option(
        "--annotations", help="Also add the annotations of slides that are missing at a site; author and date are new."
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(metavar="K/N", help="Only the slides of shard K of N, for several nodes; 0/N is N/N. See the manual."),
]
SchedulerOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS|local",
        help="Send from the workers of a Dask scheduler, such as tcp://host:8786; local: from some on this machine.",
    ),
]
SchedulerFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The same, with the file in which a Dask scheduler says its address."),
]
FollowLinksOption = Annotated[bool, typer.Option("--follow-links", help="Also follow links that lead out of SRC.")]
EveryOption = Annotated[
    str | None,
    typer.Option(
        metavar="T", help="Stay, and do it again T (10m) after each round, at once where a folder on this disk changes."
    ),
]
BetweenOption = Annotated[
    str | None,
    typer.Option(metavar="HH:MM-HH:MM", help="Begin rounds of --every only then (local time), such as 19:00-07:00."),
]
NoInputOption = Annotated[bool, typer.Option("--no-input", help="Ask nothing; fail where a question would be asked.")]
