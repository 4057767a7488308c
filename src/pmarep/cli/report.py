"""`pmarep report`: what became of each slide of a run at each site."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import PmarepError, UsageError
from .config_files import load_book, named_state, state_path, state_paths
from .options import ConfigOption, StateDirsOption
from .output_streams import echo
from .run_observers import RunObserver

if TYPE_CHECKING:
    from ..events import Summary
    from ..report.model import Report
    from ..slides.shard import Shard


class _Format(StrEnum):
    html = "html"
    json = "json"
    csv = "csv"


def report(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]", help="Number or start (2026-11-27T21:42) of a run, as in pmarep status; default: the last."
        ),
    ] = None,
    kind: Annotated[
        _Format | None,
        typer.Option(
            "--format",
            metavar="html|json|csv",
            help="A page to look at, an object for programs, or a table; default: what FILE ends in, else html.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; - is stdout. Default: pmarep-run-NUMBER.html in this folder, and stdout for json and csv.",
        ),
    ] = None,
    thumbnails: Annotated[
        bool,
        typer.Option(
            "--thumbnails",
            help="Put a small image of each slide into the page, from the first site that has it; it may show labels.",
        ),
    ] = False,
    config: ConfigOption = None,
    state_dir: StateDirsOption = None,
) -> None:
    """Report what became of each slide of a run at each site, as one HTML file that needs no network.

    It is also made of a run that was killed or still goes on. Runs of shards that belong together make one report, also
    from several state folders. Contacts nobody, but for --thumbnails.
    """
    from ..report.choose import choose_runs, report_of
    from ..report.write import ReportFormat, check_file, format_of, render

    to_stdout = output is not None and str(output) == "-"
    if output is not None and not to_stdout:
        check_file(output, "the report")
    records = choose_runs(state_paths(state_dir), run)
    wanted = ReportFormat.HTML if output is None or to_stdout else format_of(output)
    wanted = ReportFormat(kind.value) if kind is not None else wanted
    if thumbnails and wanted is not ReportFormat.HTML:
        raise UsageError(f"--thumbnails are for html, and this is {wanted.value}")
    found = report_of(*records)
    images = _thumbnails(found, config) if thumbnails else {}
    content = render(found, wanted, _state_to_name(state_dir), images)
    if to_stdout or (output is None and wanted is not ReportFormat.HTML):
        _print(content)
        return
    which = f"run {records[-1].number}" if len(records) == 1 else f"{len(records)} of {found.shards} shards"
    file = output or Path(f"pmarep-{which.replace(' ', '-')}.html")
    _write(file, content)
    echo(f"the report of {which} is {file}")


def _state_to_name(state_dirs: Sequence[Path] | None) -> Path | None:
    """Return the state folder that a push in the report has to name; None for the user's own, and for several."""
    from ..slides.shard import Shard

    folders = {named_state(one) for one in state_dirs or (None,)}
    folders = {
        one.absolute().parent if one is not None and Shard.of_folder(one.absolute().name) is not None else one
        for one in folders
    }
    return folders.pop() if len(folders) == 1 else None


def _thumbnails(report: Report, config: Path | None) -> dict[int, str]:
    """Fetch the images, and say on stderr which sites give none."""
    import asyncio
    import os

    from ..report.thumbnails import fetch_thumbnails
    from ..sites import Credentials

    sites = load_book(config).sites
    images, problems = asyncio.run(fetch_thumbnails(report, list(sites.values()), Credentials(os.environ)))
    for problem in problems:
        echo(f"pmarep: no thumbnails from {problem}", err=True)
    return images


def _print(content: bytes) -> None:
    import sys

    from .output_streams import discard_stdout, is_broken_pipe, write_error_message

    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        discard_stdout()
        if not is_broken_pipe(error):
            raise PmarepError(write_error_message(error)) from None


def _write(file: Path, content: bytes) -> None:
    from ..report.write import write_report

    try:
        write_report(file, content)
    except OSError as error:
        raise PmarepError(f"cannot write the report {file}: {error.strerror}; name another file") from None


class ReportObserver(RunObserver):
    """Writes the report of a run to a file when it has ended, in the format that the file's name asks for."""

    def __init__(self, file: Path, state_dir: Path, named: Path | None) -> None:
        self._file = file
        self._state_dir = state_dir
        self._named = named  # where commands in the report have to name the state folder

    def before(self) -> None:
        """Raise UsageError where the file can surely not be written."""
        import time

        from ..report.write import check_file

        check_file(self._file, "the report")
        self._begun = time.time()

    def after(self, summary: Summary) -> bool:
        """Write the report; say on stderr and return False where that is not possible. Not of a run without sites."""
        from ..report.write import format_of, render

        if not summary.sites:
            return True  # it has not begun
        try:
            _write(self._file, render(self._report(), format_of(self._file), self._named))
        except PmarepError as error:
            echo(f"pmarep: {error}", err=True)
            return False
        return True

    def _report(self) -> Report:
        """Make the report of the run of this process."""
        from ..report.choose import report_of
        from ..state.run_records import own_record

        record = own_record(self._state_dir / "runs", self._begun)
        if record is not None:
            return report_of(record)
        words = f"cannot write the report {self._file}: this run has left no record in {self._state_dir}"
        raise PmarepError(f"{words}; look at its rights and its room")


def report_observers(
    report: Path | None, state_dir: Path | None, shard: Shard | None = None, *, dry_run: bool = False
) -> list[RunObserver]:
    """Return what writes the report that `--report` asks for. Raises UsageError where that is of a dry run."""
    if report is None:
        return []
    if dry_run:
        raise UsageError(
            "a report says what a run has done, and a dry run does nothing; leave out --report or --dry-run"
        )
    state = state_path(state_dir)
    own_state = state if shard is None else state / shard.folder
    return [ReportObserver(report, own_state, named_state(state_dir))]
