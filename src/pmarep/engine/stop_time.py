"""When a run ends by itself: --max-duration and --stop-at."""

from __future__ import annotations

from dataclasses import dataclass

from ..clock import Clock
from ..daily_window import seconds_until
from ..units import format_size
from .options import Options


@dataclass(frozen=True, slots=True)
class StopTime:
    """`at`: of clock.monotonic(). `hard`: what is under way then is broken off. `option`: who says so."""

    at: float
    hard: bool
    option: str

    @classmethod
    def of(cls, options: Options, clock: Clock) -> StopTime | None:
        """Return the stop time of a run that begins now; the earlier one where there are two."""
        now = clock.monotonic()
        endings = []
        if options.max_duration is not None:
            endings.append(cls(now + options.max_duration, options.hard, "--max-duration"))
        if options.stop_at is not None:
            at = now + seconds_until(options.stop_at, clock.local())
            endings.append(cls(at, True, f"--stop-at {options.stop_at:%H:%M}"))
        return min(endings, key=lambda ending: ending.at, default=None)


def describe_kept(kept: int, again: int) -> str:
    """Say for people how many bytes of unfinished slides need not be sent again, and how many have to be."""
    if not kept and not again:
        return "no slide was left half sent"
    if not again:
        return f"{format_size(kept)} of unfinished slides are kept for the next run"
    if not kept:
        return f"nothing of the unfinished slides is kept, {format_size(again)} go again"
    return f"{format_size(kept)} of unfinished slides are kept for the next run, {format_size(again)} go again"
