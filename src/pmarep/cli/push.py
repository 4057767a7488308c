"""`pmarep push`: the main job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import complete
from .options import (
    ConfigOption,
    StateDirOption,
    VerboseOption,
    book_path,
    start_logging,
    state_path,
    warn_of_unverified,
)

if TYPE_CHECKING:
    from ..engine import Options
    from ..events import Summary
    from ..sites import Site
    from .render import Output


class _Existing(StrEnum):
    skip = "skip"
    overwrite = "overwrite"
    fail = "fail"


class _Verify(StrEnum):
    none = "none"
    size = "size"


def push(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC...", help="Folders, or main files of slides.")],
    sites: Annotated[
        list[str],
        typer.Option(
            metavar="NAME[,NAME...]",
            help="Sites, patterns of sites ('box-*') and groups; repeatable.",
            autocompletion=complete.site_or_group,
        ),
    ],
    to: Annotated[str, typer.Option(metavar="PATH", help="Sub-folder below every site's target.")] = "",
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only slides whose path from SRC matches; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="No slides whose path from SRC matches; repeatable.")
    ] = None,
    existing: Annotated[_Existing, typer.Option(help="A slide that is there already and differs.")] = _Existing.fail,
    verify: Annotated[
        _Verify, typer.Option(help="After sending: nothing, or that all files are there with their sizes and readable.")
    ] = _Verify.size,
    connections: Annotated[str, typer.Option(metavar="auto|N", help="Parallel requests per site.")] = "auto",
    bwlimit: Annotated[
        str | None, typer.Option(metavar="SPEC", help="All sites together: 20M, or '08:00,2M 19:00,off' (bytes/s).")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would happen at each site; send nothing.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin partly sent slides again instead of resuming.")] = False,
    max_duration: Annotated[
        str | None, typer.Option(metavar="T", help="Begin no slide after T (such as 6h); finish those begun.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Events as JSON lines on stdout, and nothing else there.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what went wrong.")] = False,
    verbose: VerboseOption = 0,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Replicate the slides in SRC to several sites at once.

    The contents of a folder land below each site's target, sub-folders kept. Run it again after anything went wrong:
    it sends what is missing. Ends with 0 if every slide is at every site, 1 if not, 2 for wrong usage, 3 if another
    run holds a site, 130 if interrupted.
    """
    import os

    from ..engine import Existing, Options, Verify
    from ..sites import Credentials, SiteBook
    from ..timetable import Timetable
    from ..units import parse_duration
    from .render import output_for

    with _summary_whatever_happens(json):
        start_logging(verbose)
        book = SiteBook.load(book_path(config))
        chosen = book.resolve(sites)
        warn_of_unverified(chosen)
        options = Options(
            sources=tuple(sources),
            to=_sub_folder(to),
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            existing=Existing(existing.value),
            verify=Verify(verify.value),
            connections=_connections(connections),
            bwlimit=Timetable.parse(bwlimit) if bwlimit else None,
            dry_run=dry_run,
            fresh=fresh,
            max_duration=parse_duration(max_duration) if max_duration else None,
        )
        with output_for(json=json, quiet=quiet, verbose=verbose) as output:
            summary = run_push(options, chosen, Credentials(os.environ), state_path(state_dir), output)
    raise typer.Exit(summary.exit_code)


@contextmanager
def _summary_whatever_happens(json: bool) -> Iterator[None]:
    """Scripts wait for the last line of `--json`: it comes too where a run cannot even begin."""
    from ..errors import PmarepError

    try:
        yield
    except PmarepError as error:
        if json:
            from ..events import Summary
            from .render import JsonOutput

            JsonOutput().hear(Summary(exit_code=error.exit_code, seconds=0.0, sites={}, error=str(error)))
        raise


def _sub_folder(to: str) -> str:
    from ..errors import UsageError
    from ..sites import fields

    try:
        return fields.target(to) if to else ""
    except ValueError as error:
        raise UsageError(f"--to {to!r}: {error}") from None


def _connections(text: str) -> int | None:
    from ..errors import UsageError
    from ..sites import fields

    try:
        found = fields.connections(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise UsageError(f"--connections {text!r}: {error}") from None
    return None if isinstance(found, str) else found


def run_push(options: Options, sites: list[Site], passwords: Any, state_dir: Path, output: Output) -> Summary:
    """One run, ended cleanly by the first Ctrl-C (or SIGTERM, SIGHUP) and at once by the second."""
    import asyncio

    from ..engine import replicate
    from .signals import stop_on_signals

    async def main() -> Summary:
        stop = asyncio.Event()
        with stop_on_signals(stop, output.stopping):
            return await replicate(
                options, sites, passwords=passwords, state_dir=state_dir, listener=output.hear, stop=stop
            )

    return asyncio.run(main())
