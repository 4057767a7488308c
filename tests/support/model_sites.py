"""Sites for tests of many runs against a model, and a run that is killed, within the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from pmacore_sandbox import Hold, Sandbox
from pmacore_sandbox.faults import FaultInjector
from pmarep.engine import Options, replicate
from pmarep.events import Event
from pmarep.sites import Site
from support.cloud import CloudSandbox
from support.idle_clock import IdleClock
from support.in_process import SamePassword
from support.push_cli import arrived
from support.sandboxes import USER


class ModelSite:
    """One site of the model, for any number of sequences: each has a target folder of its own."""

    def __init__(self, name: str, sandbox: Sandbox, root: str, cloud: CloudSandbox | None = None) -> None:
        self.name = name
        self.sandbox = sandbox
        self.root = root
        self.cloud = cloud
        self._read: dict[tuple[str, str], bytes] = {}  # objects of a cloud, by name and ETag

    def site(self, folder: str) -> Site:
        return Site(name=self.name, url=self.sandbox.url, username=USER, target=f"{self.root}/{folder}")

    def has(self, folder: str) -> dict[str, bytes]:
        """What lies in its target folder."""
        if self.cloud is None:
            return arrived(self.sandbox, f"{self.root}/{folder}")
        side, found = self.cloud.side(self.root), {}
        for name, etag in side.etags(folder + "/").items():
            if (name, etag) not in self._read:
                self._read[name, etag] = b"".join(side.chunks(name))
            found[name.removeprefix(folder + "/")] = self._read[name, etag]
        return found

    @property
    def faults(self) -> FaultInjector:
        """Those of what takes the bytes."""
        return self.sandbox.faults if self.cloud is None else self.cloud.side(self.root).faults

    def restart_from_the_start(self) -> None:
        """Restart the server; it gives its upload ids out from the start again."""
        self.sandbox.restart(reuse_ids=True)

    def wait_idle(self) -> bool:
        return self.sandbox.wait_idle() and (self.cloud is None or self.cloud.side(self.root).wait_idle())


def push_options(source: Path, **options: Any) -> Options:
    """Those of a run that waits for nothing, unless told otherwise."""
    return Options(sources=(source,), **{"patience": 0.0, "settle": 0.0, **options})


async def killed(
    model_sites: Sequence[ModelSite],
    model_site: ModelSite,
    sites: Sequence[Site],
    state: Path,
    options: Options,
    *,
    after: int,
    handled: bool,
    password: str,
) -> list[Event]:
    """The run stands still while the server works; what it would do at its end is undone, so that the journal stays
    as it was at that moment. Without a kill if there are not so many requests."""
    events: list[Event] = []
    hold, clock = Hold(), IdleClock()
    chosen = model_site.faults.add(hold, method="PUT" if model_site.cloud else "POST", after=after, times=1)
    passwords = SamePassword(password)
    work = replicate(options, sites, passwords=passwords, state_dir=state, listener=events.append, clock=clock)
    with clock.watching():
        run = asyncio.create_task(work)
        while not run.done() and not hold.reached.is_set():
            await asyncio.sleep(0.001)
        if not run.done() and handled:
            await asyncio.sleep(0.005)  # the bodies of the requests go out
            hold.release()
            # Blocks our loop on purpose: answers come, and nobody reads them. Not for ever, for some bodies may not
            # have gone out.
            waiting = threading.Thread(target=model_site.wait_idle, daemon=True)
            waiting.start()
            waiting.join(0.5)
        known_events = list(events)
        journal = journal_of(state)
        model_site.faults.remove(chosen)
        run.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await run
            return events
    hold.release()
    for other in model_sites:
        assert await asyncio.to_thread(other.wait_idle)
    put_back(state, journal)
    return known_events


def journal_of(state: Path) -> bytes:
    """All that is committed, as one file."""
    if not (state / "journal.sqlite").exists():
        return b""
    with closing(sqlite3.connect(state / "journal.sqlite", timeout=30)) as journal:
        return journal.serialize()


def put_back(state: Path, journal: bytes) -> None:
    for leftover in state.glob("journal.sqlite*"):
        leftover.unlink()
    if journal:
        (state / "journal.sqlite").write_bytes(journal)
