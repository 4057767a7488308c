"""What the sites of a run share for their mirrors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import UsageError
from ..options import Options
from .source_names import SourceNames


@dataclass(frozen=True, slots=True)
class MirrorRun:
    """The names that the source has. `source_problem`: why it is not known whole; None where it is."""

    names: SourceNames
    source_problem: Callable[[], str | None]


def check_mirror(options: Options) -> None:
    """Check that a mirror would know all that the source has. Raises UsageError."""
    if not options.mirror:
        return
    if options.shard is not None:
        raise UsageError(
            "--mirror has to know all slides of the source, and a shard has some; leave --shard or --mirror out"
        )
    for path in options.paths:
        if path.is_file():
            raise UsageError(f"--mirror makes a site like a folder, and {path} is a slide; name its folder")
