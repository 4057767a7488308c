"""`pmarep verify`: looks at what the sites have, and sends nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from .options import (
    AllowEmptyOption,
    AuditOption,
    ConfigOption,
    ConnectionsOption,
    ExcludeOption,
    FollowLinksOption,
    IncludeOption,
    JsonEventsOption,
    MinSizeOption,
    NewerThanOption,
    PatienceOption,
    QuietOption,
    SitesOption,
    SourcesArgument,
    StateDirOption,
    ToOption,
    VerboseOption,
    choice_of,
    load_book,
    moment,
    read,
    start_logging,
    state_path,
    warn_of_unverified,
)


class _Level(StrEnum):
    size = "size"
    fingerprint = "fingerprint"
    deep = "deep"


def verify(
    sources: SourcesArgument,
    sites: SitesOption,
    level: Annotated[
        _Level,
        typer.Option(
            help="All files there, with their sizes, readable; also the same fingerprint at all sites; or everything "
            "read back and compared."
        ),
    ] = _Level.size,
    to: ToOption = "",
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    newer_than: NewerThanOption = None,
    min_size: MinSizeOption = "0",
    allow_empty: AllowEmptyOption = False,
    follow_links: FollowLinksOption = False,
    connections: ConnectionsOption = None,
    patience: PatienceOption = "10m",
    audit: AuditOption = None,
    json: JsonEventsOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = 0,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Compare the slides in SRC with what the sites have; send nothing.

    A slide that pmarep has sent and that is damaged now is sent again by the next push. Ends with 0 if every slide is
    at every site as it should be, 1 if not, 2 for wrong usage, 3 if other runs hold all sites, 130 if interrupted.
    """
    import os

    from ..engine import Options, Verify
    from ..sites import Credentials
    from ..units import parse_duration, parse_size
    from .render import output_for
    from .run import connections_of, run_to_the_end, sub_folder, summary_whatever_happens

    with summary_whatever_happens(json):
        start_logging(verbose)
        book = load_book(config)
        chosen = book.resolve(sites)
        warn_of_unverified(chosen)
        options = Options(
            sources=tuple(sources),
            to=sub_folder(to),
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            newer_than=moment(newer_than),
            min_size=read("--min-size", parse_size, min_size),
            verify=Verify(level.value),
            verify_only=True,
            connections=connections_of(connections),
            patience=read("--patience", parse_duration, patience),
            ask_pma_start=book.slides.enumerate != "never",
            trust_pma_start=book.slides.enumerate == "always",
            allow_empty=allow_empty,
            follow_links=follow_links,
            audit=audit,
        )
        choice = choice_of(include, exclude, newer_than, min_size)
        with output_for(json=json, quiet=quiet, verbose=verbose, choice=choice) as output:
            code = run_to_the_end(options, chosen, Credentials(os.environ), state_path(state_dir), output)
    raise typer.Exit(code)
