"""Run a pull within the test's own process: time that is skipped, events as objects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pmacore_sandbox import Sandbox
from pmarep.clock import Clock
from pmarep.events import Event
from pmarep.pull import PullOptions
from pmarep.pull import pull as run_pull
from pmarep.sites import Site
from pmarep.sites.place import Place
from support.clocks import SkippingClock
from support.in_process import Report, SamePassword, ignore_event
from support.sandboxes import PASSWORD, USER


def place(at: Sandbox | str, path: str = "Slides/in", site: str = "tokyo") -> Place:
    """A place at a site; `path` from the root-directories."""
    url = at if isinstance(at, str) else at.url
    return Place(Site(name=site, url=url, username=USER, target="Slides/in"), path, f"{site}:/{path}")


async def pull(
    places: Sequence[Place],
    folder: Path,
    *,
    clock: Clock | None = None,
    stop: asyncio.Event | None = None,
    on_event: Callable[[Event], None] = ignore_event,
    state_dir: Path | None = None,
    **options: Any,
) -> Report:
    """Pull once. `options` are those of `PullOptions`; no site that is down is waited for."""
    events: list[Event] = []

    def listener(event: Event) -> None:
        events.append(event)
        on_event(event)

    summary = await run_pull(
        PullOptions(folder=folder, **{"patience": 0.0, **options}),
        places,
        passwords=SamePassword(PASSWORD),
        listener=listener,
        state_dir=state_dir,
        stop=stop,
        clock=clock or SkippingClock(),
    )
    return Report(events, summary)


def put(sandbox: Sandbox, files: dict[str, bytes], target: str = "Slides/in") -> dict[str, bytes]:
    """Lay files into a folder of a sandbox, past its interface; return them. Each appears whole."""
    for name, content in files.items():
        file = sandbox.data / target / name
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.new")
        new.write_bytes(content)
        new.replace(file)
    return files
