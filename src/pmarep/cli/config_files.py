"""Find the site book and the state folder that a command uses: option, then variable, then the user's own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .output_streams import echo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..sites import Site, SiteBook
    from ..state.state_folders import StateFolder


def book_path(config: Path | None) -> Path:
    """Return the path of the site book: `--config`, else `PMAREP_CONFIG`, else the user's own."""
    from ..sites import default_config_path

    return config.expanduser() if config else default_config_path(os.environ)


def named_book(config: Path | None) -> Path | None:
    """Return the path of the site book where `--config` or `PMAREP_CONFIG` names it; None for the user's own."""
    return book_path(config) if config or os.environ.get("PMAREP_CONFIG") else None


def config_hint(config: Path | None) -> str:
    """Return the ` --config FILE` that a proposed command needs to use the same book; empty where none was given."""
    if config is None:
        return ""
    text = str(config)
    return f' --config "{text}"' if " " in text else f" --config {text}"


@contextmanager
def naming_config(config: Path | None) -> Iterator[None]:
    """While inside, add `--config` to the command that a NoBookError proposes, where it was given."""
    from ..sites import NoBookError

    try:
        yield
    except NoBookError as error:
        raise NoBookError(error.path, config_hint(config)) from None


def load_book(config: Path | None) -> SiteBook:
    """Load the site book that `book_path` finds. Raises ConfigError."""
    from ..sites import SiteBook

    with naming_config(config):
        return SiteBook.load(book_path(config))


def state_path(state_dir: Path | None) -> Path:
    """Return the folder of the journal and the locks: `--state-dir`, else `PMAREP_STATE_DIR`, else the user's own."""
    if state_dir:
        return state_dir.expanduser()
    if named := os.environ.get("PMAREP_STATE_DIR"):
        return Path(named).expanduser()
    import platformdirs

    return platformdirs.user_state_path("pmarep", appauthor=False)


def state_paths(state_dirs: Sequence[Path] | None) -> list[StateFolder]:
    """Return the state folders that a command reads, each with those of the shards below it."""
    from ..state.state_folders import state_folders

    return state_folders([state_path(one) for one in state_dirs] if state_dirs else [state_path(None)])


def named_state(state_dir: Path | None) -> Path | None:
    """Return the state folder where `--state-dir` or `PMAREP_STATE_DIR` names it; None for the user's own."""
    return state_path(state_dir) if state_dir or os.environ.get("PMAREP_STATE_DIR") else None


def warn_unverified_tls(sites: Sequence[Site]) -> None:
    """Warn on stderr, at every run and whatever the options, of sites with `verify_tls = false`."""
    from ..sites.site_connection import unverified_tls_warning

    if warning := unverified_tls_warning(sites):
        echo(f"pmarep: {warning}", err=True)
