"""Find the sites that entries of the journal belong to, also those that have left the site book."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PmarepError
from ..system.windows_names import lies_within

if TYPE_CHECKING:
    from ..state.records import RemotePath
    from ..state.run_progress import RunProgress


class Target(NamedTuple):
    """Where a site's slides go, and its name."""

    url: str
    target: str
    name: str


def targets_of_book(config: Path | None) -> list[Target]:
    """Return the sites of the book; none where it cannot be read, unless it is named. Raises ConfigError."""
    from ..sites import SiteBook
    from .config_files import book_path

    try:
        book = SiteBook.load(book_path(config))
    except PmarepError:
        if config is not None:
            raise
        return []
    return [Target(site.url, site.target, site.name) for site in book.sites.values()]


def targets_of_runs(runs: Iterable[RunProgress]) -> list[Target]:
    """Return the sites of recorded runs, each once: those that were renamed or removed since too."""
    found = (Target(site.url, site.target, name) for run in runs for name, site in run.sites.items())
    return list(dict.fromkeys(found))


def name_of(place: RemotePath, targets: Sequence[Target]) -> str | None:
    """Return the name of the site whose target a slide is in; the most special target counts, then the first one."""
    holding = [one for one in targets if one.url == place.server and lies_within(place.path, one.target)]
    return max(holding, key=lambda one: len(one.target)).name if holding else None
