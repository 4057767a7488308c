"""Turn the texts of options into values; every error names the option."""

from __future__ import annotations

import shlex
import time
from typing import TYPE_CHECKING, Literal, TypeVar

from ..errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ..sites import Site, SiteBook
    from ..sites.name_map import NameMap
    from ..sites.place import Place
    from ..slides.shard import Shard

T = TypeVar("T")


def parse_option(option: str, parse: Callable[[str], T], text: str) -> T:
    """Parse an option's text. Raises UsageError that names the option."""
    try:
        return parse(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error}") from None


def parse_newer_than(text: str | None) -> float | None:
    """Return the moment that `--newer-than` means now, in seconds since the epoch. Raises UsageError."""
    from ..units import parse_moment

    now = time.time()
    return None if text is None else parse_option("--newer-than", lambda text: parse_moment(text, now), text)


def parse_sources(texts: Sequence[str], book: SiteBook, *, only_places: bool = False) -> tuple[Path | Place, ...]:
    """Return the sources that SRC names: folders and files of this machine, places at sites. Raises UsageError."""
    from ..sites.place import needed_place, place_or_path

    find = needed_place if only_places else place_or_path
    return tuple(find(text, book) for text in texts)


def parse_spool_size(text: str | None) -> int | None:
    """Return the bytes of `--spool-size`, None where it is not given. Raises UsageError."""
    from ..units import parse_size

    return None if text is None else parse_option("--spool-size", parse_size, text)


def parse_sub_folder(to: str) -> str:
    """Check the path of `--to`; empty stays empty. Raises UsageError."""
    from ..sites import validators

    try:
        return validators.sub_folder(to) if to else ""
    except ValueError as error:
        raise UsageError(str(error)) from None


def parse_shard(text: str | None) -> Shard | None:
    """Return the shard that `--shard` names. Raises UsageError."""
    from ..slides.shard import Shard

    return None if text is None else parse_option("--shard", Shard.parse, text)


def parse_connections(text: str | None) -> int | Literal["auto"] | None:
    """Return what `--connections` says: a number, "auto", or None where it is not given. Raises UsageError."""
    from ..sites import validators

    if text is None:
        return None
    try:
        found = validators.connections(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise UsageError(f"--connections {text!r}: {error}") from None
    return "auto" if isinstance(found, str) else found


def read_names(file: Path | None, book: SiteBook, *, only: bool) -> NameMap | None:
    """Read the file of `--map`; its mistakes are said when the slides are known. Raises UsageError."""
    from ..sites.name_map import NameMap

    if file is None:
        if only:
            raise UsageError("--map-only is about slides that --map does not name; say --map FILE.csv too")
        return None
    return NameMap.read(file.expanduser(), book)


def check_mirror(
    book: SiteBook, sites: Sequence[Site], to: str, *, mirror: bool, yes: bool, max_delete: int | None
) -> None:
    """Check the options of a mirror, and that no other site of the book lies in what it may delete.

    Raises UsageError.
    """
    from ..errors import ConfigError

    if not mirror and (yes or max_delete is not None):
        option = "--yes" if yes else "--max-delete"
        raise UsageError(f"{option} is about what --mirror would delete; say --mirror too, or leave it out")
    for site in sites if mirror else ():
        folder = "/".join(filter(None, (site.target, to)))
        if (other := next(iter(book.sites_below(site, folder)), None)) is not None:
            raise ConfigError(
                f"the target of {other.name} ({other.target}) lies below {folder} of {site.name}, so --mirror would "
                "delete its slides; leave --mirror out, or give one of them another target"
            )


def selection_options(
    include: list[str] | None, exclude: list[str] | None, newer_than: str | None, min_size: str
) -> str:
    """Write the options that select slides as a person would type them; empty where none was given."""
    words = [f"--include {shlex.quote(glob)}" for glob in include or ()]
    words += [f"--exclude {shlex.quote(glob)}" for glob in exclude or ()]
    words += [f"--newer-than {newer_than}"] if newer_than is not None else []
    words += [f"--min-size {min_size}"] if min_size != "0" else []
    return " ".join(words)
