"""Run a push within the test's own process: no start of Python, time that is skipped, events as objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pmarep.clock import Clock
from pmarep.engine import Options, replicate
from pmarep.events import Event, SlideFinished, Summary
from pmarep.sites import Site
from pmarep.sites.place import Place
from support.idle_clock import IdleClock


@dataclass(frozen=True)
class SamePassword:
    """The same everywhere."""

    password: str

    def password_for(self, _site: Site) -> str:
        return self.password


@dataclass(frozen=True)
class Report:
    """The events of a push and its summary."""

    events: list[Event]
    summary: Summary

    @property
    def code(self) -> int:
        return self.summary.exit_code

    def finished(self, site: str) -> dict[str, SlideFinished]:
        return {e.slide: e for e in self.events if isinstance(e, SlideFinished) and e.site == site}

    def error(self, site: str) -> str:
        """That of the site, or else of the first slide that failed there; empty where nothing did."""
        errors = [self.summary.sites[site].error, *(e.error for e in self.finished(site).values())]
        return next((error for error in errors if error), "")


def ignore_event(_event: Event) -> None:
    """For tests that act only afterwards."""


async def push(
    source: Path | Place,
    sites: Sequence[Site],
    state: Path,
    password: str,
    *,
    clock: Clock | None = None,
    on_event: Callable[[Event], None] = ignore_event,
    **options: Any,
) -> Report:
    """Push once. `options` are those of `Options`; no site that is down is waited for; `on_event` gets each event."""
    events: list[Event] = []

    def listener(event: Event) -> None:
        events.append(event)
        on_event(event)

    clock = clock or IdleClock()
    with clock.watching() if isinstance(clock, IdleClock) else nullcontext():
        summary = await replicate(
            Options(sources=(source,), **{"patience": 0.0, "settle": 0.0, **options}),
            sites,
            passwords=SamePassword(password),
            state_dir=state,
            listener=listener,
            clock=clock,
        )
    return Report(events, summary)
