"""A push within the test's own process: no start of Python, time that flies, and all that was said as objects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pmarep.clock import Clock
from pmarep.engine import Options, replicate
from pmarep.events import Event, SlideFinished, Summary
from pmarep.sites import Site


class Hasty(Clock):
    """Whoever sleeps has slept after a moment. `slept` is how long they meant to."""

    MOMENT = 0.005

    def __init__(self) -> None:
        self.slept = 0.0
        self._ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self._ahead += max(0.0, seconds - self.MOMENT)
        await asyncio.sleep(min(seconds, self.MOMENT))


class Swift(Clock):
    """So many times as fast as time itself. Where several sleep at once it says the truth, as Hasty does not."""

    SPEED = 250.0

    def monotonic(self) -> float:
        return time.monotonic() * self.SPEED

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.SPEED)


@dataclass(frozen=True)
class Passwords:
    """The same everywhere."""

    password: str

    def password_for(self, _site: Site) -> str:
        return self.password


@dataclass(frozen=True)
class Report:
    """What a push said."""

    events: list[Event]
    summary: Summary

    @property
    def code(self) -> int:
        return self.summary.exit_code

    def finished(self, site: str) -> dict[str, SlideFinished]:
        return {e.slide: e for e in self.events if isinstance(e, SlideFinished) and e.site == site}

    def error(self, site: str) -> str:
        """That of the site, or else of the first slide that failed there; empty where nothing did."""
        said = [self.summary.sites[site].error, *(e.error for e in self.finished(site).values())]
        return next((error for error in said if error), "")


def deaf(_event: Event) -> None:
    """For tests that act only afterwards."""


async def push(
    source: Path,
    sites: Sequence[Site],
    state: Path,
    password: str,
    *,
    clock: Clock | None = None,
    hear: Callable[[Event], None] = deaf,
    **options: Any,
) -> Report:
    """`options` are those of `Options`; a site that is away is not waited for. `hear` gets each event as it comes."""
    events: list[Event] = []

    def listener(event: Event) -> None:
        events.append(event)
        hear(event)

    summary = await replicate(
        Options(sources=(source,), **{"patience": 0.0, "settle": 0.0, **options}),
        sites,
        passwords=Passwords(password),
        state_dir=state,
        listener=listener,
        clock=clock or Hasty(),
    )
    return Report(events, summary)
