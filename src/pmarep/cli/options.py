"""Options that several commands have, and what they mean."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from . import complete
from .stdio import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pmarep.sites import Site, SiteBook

T = TypeVar("T")

SourcesArgument = Annotated[list[Path], typer.Argument(metavar="SRC...", help="Folders, or main files of slides.")]
SitesOption = Annotated[
    list[str],
    typer.Option(
        metavar="NAME[,NAME...]",
        help="Sites, patterns of sites ('box-*') and groups; repeatable.",
        autocompletion=complete.site_or_group,
    ),
]
ToOption = Annotated[str, typer.Option(metavar="PATH", help="Sub-folder below every site's target.")]
IncludeOption = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Only slides whose path from SRC matches; repeatable.")
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="No slides whose path from SRC matches; repeatable.")
]
ConnectionsOption = Annotated[
    str | None, typer.Option(metavar="auto|N", help="Parallel requests per site; else as the site says.")
]
PatienceOption = Annotated[
    str, typer.Option(metavar="T", help="How long a site may stay away before it is given up; 0: not at all.")
]
AuditOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Append a JSON line for each slide and site: hashes of what was read, times, who ran it."
    ),
]
JsonEventsOption = Annotated[
    bool, typer.Option("--json", help="Events as JSON lines on stdout, and nothing else there.")
]
JsonListOption = Annotated[bool, typer.Option("--json", help="One JSON list on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only what went wrong or should be looked at.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The site book; else PMAREP_CONFIG, else the user's own."),
]
StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir", metavar="DIR", help="Folder of the journal; else PMAREP_STATE_DIR, else the user's own."
    ),
]
VerboseOption = Annotated[int, typer.Option("--verbose", "-v", count=True, help="More; -vv for requests too.")]
NewerThanOption = Annotated[
    str | None,
    typer.Option(metavar="T", help="Only slides changed within 7d (or 12h), or since 2026-11-01 (local time)."),
]
MinSizeOption = Annotated[
    str, typer.Option(metavar="SIZE", help="Only slides of at least that size, all files together (such as 10M).")
]
AllowEmptyOption = Annotated[
    bool,
    typer.Option("--allow-empty", help="A SRC without any slide is no failure (a drive may be away)."),
]
FollowLinksOption = Annotated[
    bool, typer.Option("--follow-links", help="Follow also links that lead out of SRC, to whatever they lead.")
]
NoInputOption = Annotated[bool, typer.Option("--no-input", help="Ask nothing; what would be asked is an error.")]


def choice_of(include: list[str] | None, exclude: list[str] | None, newer_than: str | None, min_size: str) -> str:
    """The options that choose among slides as they would be typed; empty where none was."""
    words = [f"--include {shlex.quote(glob)}" for glob in include or ()]
    words += [f"--exclude {shlex.quote(glob)}" for glob in exclude or ()]
    words += [f"--newer-than {newer_than}"] if newer_than is not None else []
    words += [f"--min-size {min_size}"] if min_size != "0" else []
    return " ".join(words)


def read(option: str, parse: Callable[[str], T], text: str) -> T:
    """What an option's text means. Raises UsageError that names the option."""
    from pmarep.errors import UsageError

    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


def moment(newer_than: str | None) -> float | None:
    """What --newer-than means now, in seconds since the epoch."""
    from pmarep.units import parse_moment

    now = time.time()
    return None if newer_than is None else read("--newer-than", lambda text: parse_moment(text, now), newer_than)


def may_ask(no_input: bool) -> bool:
    """Whether somebody is there who sees a question and can answer it."""
    return not no_input and sys.stdin.isatty() and sys.stdout.isatty()


def book_path(config: Path | None) -> Path:
    """The site book to use."""
    from pmarep.sites import default_config_path

    return config.expanduser() if config else default_config_path(os.environ)


def also(config: Path | None) -> str:
    """What has to be added to a command that is advised, so that it is about the same book."""
    if config is None:
        return ""
    text = str(config)
    return f' --config "{text}"' if " " in text else f" --config {text}"


@contextmanager
def about_the_same_book(config: Path | None) -> Iterator[None]:
    """While inside, the advice for a book that is not there names `--config` where it was given."""
    from pmarep.sites import NoBookError

    try:
        yield
    except NoBookError as error:
        raise NoBookError(error.path, also(config)) from None


def load_book(config: Path | None) -> SiteBook:
    """Raises ConfigError."""
    from pmarep.sites import SiteBook

    with about_the_same_book(config):
        return SiteBook.load(book_path(config))


def state_path(state_dir: Path | None) -> Path:
    """The folder of the journal and the locks."""
    if state_dir:
        return state_dir.expanduser()
    if named := os.environ.get("PMAREP_STATE_DIR"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_state_path("pmarep", appauthor=False)


def start_logging(verbose: int) -> None:
    """Log lines on stderr for `-v` and `-vv`; URLs never with their queries."""
    if not verbose:
        return
    from pmarep.pmacore.redact import RedactingFilter

    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RedactingFilter())
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("pmarep").setLevel(logging.INFO if verbose == 1 else logging.DEBUG)
    if verbose > 1:
        logging.getLogger("httpx").setLevel(logging.INFO)


def warn_of_unverified(sites: Sequence[Site]) -> None:
    """On stderr and whatever the options: nobody should get used to `verify_tls = false`."""
    from pmarep.sites.network import unverified

    if warning := unverified(sites):
        say(f"pmarep: {warning}", err=True)
