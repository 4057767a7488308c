"""Check the places that slides are to come from, before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ..aio import cancel_all
from ..clock import Clock
from ..errors import CredentialsError, UsageError
from ..remote.session_pool import SessionPool, Wait
from ..sites import Site
from ..sites.place import Place
from ..sites.site_connection import connection_of
from ..source.place import PlaceFiles, spool_size
from ..system.private_folder import make_private_folder
from ..system.windows_names import lies_within, normalized_key
from ..text import printable
from .options import Options
from .site_workers import retry_policy


def check_sources(options: Options, sites: Sequence[Site]) -> None:
    """Raise UsageError for sources that cannot be sent together, or to these sites."""
    if not options.places:
        return
    if options.paths:
        raise UsageError("places and folders of this machine cannot be sent in one run; send them one after the other")
    if options.at_all_sites is not None:
        raise UsageError("--at-all-sites lists files of this machine; leave it out where a source is a place")
    for place in options.places:
        for site in sites:
            if _overlap(place, site, options.to):
                target = "/".join(part for part in (site.target, options.to) if part)
                raise UsageError(
                    f"{printable(place.text)} and the target of {site.name}, {printable(target)}, overlap at one "
                    "server; leave that site out, or name another folder with --to"
                )


async def find_places(
    options: Options,
    look: Callable[[], Coroutine[Any, Any, None]],
    wait: Wait,
    missing: dict[str, str],
    stop: asyncio.Event,
) -> bool:
    """Look for the places that slides are to come from; return False where the run is to end before.

    `missing`: why sites have no password. Raises UsageError where nothing lies at one, else PmarepError.
    """
    if not options.places:
        return True
    names = sorted({place.site.name for place in options.places})
    for name in names:
        if name in missing:
            raise CredentialsError(missing[name])
    looking, stopped = asyncio.create_task(look()), asyncio.create_task(stop.wait())
    try:
        await wait({looking, stopped}, lambda: f"{' and '.join(names)} to tell what is to be copied")
        if looking.done():
            looking.result()
        return looking.done()
    finally:
        await cancel_all([looking, stopped])


def place_files(options: Options, sessions: SessionPool, clock: Clock, state_dir: Path) -> PlaceFiles | None:
    """Make the spool, and what reads from places through it; None where nothing comes from a place.

    A dry run needs no spool. Raises UsageError where there is no room for one, SpoolError where it cannot be made.
    """
    if not options.places:
        return None
    folder = options.spool or state_dir
    if options.spool is None and not options.dry_run:
        make_private_folder(folder)
    there = folder if options.spool else next(one for one in (folder, *folder.absolute().parents) if one.exists())
    cores = {place.site.name: sessions.core(place.site) for place in options.places}
    files = PlaceFiles(cores, folder, spool_size(there, options.spool_size), partial(retry_policy, options, clock))
    if not options.dry_run:
        files.make_spool()
    return files


def _overlap(place: Place, site: Site, to: str) -> bool:
    if connection_of(place.site).url.casefold() != connection_of(site).url.casefold():
        return False
    source = normalized_key(place.path)
    target = normalized_key("/".join(part for part in (site.target, to) if part))
    # A slide as the source lies in its own folder, which may be the target.
    return not source or lies_within(source, target) or lies_within(target, source)
