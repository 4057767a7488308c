"""Run a replication on the nodes of a cluster."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from ..clock import Clock
from ..engine import Options, replicate
from ..engine.run_parts import RunParts
from ..errors import UsageError
from ..events import Listener, Summary
from ..sites import Site
from ..sites.site_choices import SiteChoice
from .cluster import Cluster
from .coordinator import NodeWorkers
from .lease import Lease
from .messages import NodeTask


class _NoPasswords:
    """The coordinator asks for none: each node has its own."""

    def password_for(self, site: Site) -> str:
        """Never called: the coordinator opens no session."""
        raise NotImplementedError(site.name)


def check_options(options: Options, sites: Sequence[Site]) -> None:
    """Raise UsageError for what needs one machine's view of everything, or means nothing on several nodes."""
    refused = {
        "--shard": (options.shard is not None, "the coordinator makes shards itself"),
        "--mirror": (options.mirror, "a mirror is made by one machine, after all slides have arrived"),
        "--map": (options.names is not None, "names are looked up by the machine that sends"),
        "--dry-run": (options.dry_run, "a dry run sends nothing, so one machine does"),
        "--at-all-sites": (options.at_all_sites is not None, "it lists files by what one machine has seen of them"),
        "a place as SRC": (bool(options.places), "nodes read from a folder that all of them see"),
    }
    for what, (given, why) in refused.items():
        if given:
            raise UsageError(f"{what} does not go with --scheduler: {why}; leave one of them out")
    if gated := [site.name for site in sites if site.require or site.prepare]:
        which = f"{', '.join(gated)} {'has' if len(gated) == 1 else 'have'} require or prepare"
        raise UsageError(f"{which}, which one machine runs; push there without --scheduler")
    if choosing := [site.name for site in sites if not SiteChoice(site, 0.0).is_any]:
        which = f"{', '.join(choosing)} {'takes' if len(choosing) == 1 else 'take'} some slides only"
        raise UsageError(f"{which}, by keys of the site book; push there without --scheduler, or with --shard")


async def replicate_on_nodes(
    options: Options,
    sites: Sequence[Site],
    connect: Callable[[], Awaitable[Cluster]],
    *,
    config: Path | None,
    state_dir: Path,
    node_state_dir: Path | None,
    listener: Listener,
    stop: asyncio.Event | None = None,
    lease: Lease | None = None,
    clock: Clock | None = None,
) -> Summary:
    """Bring every slide of the sources to every site, as `replicate()` does, by nodes of a cluster.

    `config`, `node_state_dir`: paths that the nodes are to use too, where a person has named them. Raises as
    `replicate()` does, and UsageError where the cluster does not answer.
    """
    check_options(options, sites)
    lease = lease or Lease()
    cluster = await connect()
    gc.freeze()  # Dask's modules stay to the end: the collector need not look at them each time
    try:
        task = NodeTask.of(options, list(sites), config, node_state_dir, lease)
        parts = RunParts(workers=partial(NodeWorkers, cluster, task, lease, state_dir / "locks"), sends=False)
        return await replicate(
            options,
            sites,
            passwords=_NoPasswords(),
            state_dir=state_dir,
            listener=listener,
            stop=stop,
            clock=clock,
            parts=parts,
        )
    finally:
        await cluster.close()
