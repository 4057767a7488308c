"""Run a push on the workers of a Dask scheduler."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .config_files import state_path
from .replication_run import run_to_end

if TYPE_CHECKING:
    from asyncio import Event
    from collections.abc import Coroutine

    from ..engine import Options
    from ..events import Listener, Summary
    from ..sites import Site
    from .render import Output
    from .run_observers import RunObserver


class SchedulerChoice(NamedTuple):
    """What `--scheduler` and `--scheduler-file` say, and the paths that nodes are to use too, where they were typed."""

    scheduler: str | None
    scheduler_file: Path | None
    config: Path | None
    state_dir: Path | None


def run_on_nodes(
    options: Options,
    sites: list[Site],
    choice: SchedulerChoice,
    output: Output,
    observers: Sequence[RunObserver] = (),
) -> int:
    """Run to the end, as `run_to_end` does, and return the exit code."""
    from ..errors import UsageError
    from ..nodes.cluster import DaskCluster, check_installed
    from ..nodes.run import check_options, replicate_on_nodes

    if choice.scheduler is not None and choice.scheduler_file is not None:
        raise UsageError("--scheduler and --scheduler-file both name a scheduler; leave one out")
    check_options(options, sites)
    check_installed()

    def run(listener: Listener, stop: Event) -> Coroutine[Any, Any, Summary]:
        return replicate_on_nodes(
            options,
            sites,
            lambda: DaskCluster.connect(choice.scheduler, choice.scheduler_file),
            config=choice.config,
            state_dir=state_path(choice.state_dir),
            node_state_dir=choice.state_dir,
            listener=listener,
            stop=stop,
        )

    return run_to_end(run, output, observers)
