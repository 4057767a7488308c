"""Notice a site that gives no sign of life: say what is waited for, and end the site when the run is to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...clock import Clock
from ...events import State
from ...units import format_duration
from ..stop_time import StopTime

SAID_AFTER = 10.0  # seconds that something is waited for
QUIET_SECONDS = 30.0
"""After the time at which a run is to end, a site may be silent for so long while what was begun is finished."""

SHORTEST_ANSWER = 10.0
"""Seconds that an answer may always take, however impatient somebody is."""


def longest_answer(patience: float) -> float:
    """Return how many seconds an answer may take where a site may be away for `patience` seconds."""
    return max(patience, SHORTEST_ANSWER)


class StallMonitor:
    """Watches one site. `say` is told what is waited for, `stop` what was, where that has taken too long."""

    def __init__(
        self, stop_time: StopTime | None, clock: Clock, say: Callable[[str], None], stop: Callable[[str], None]
    ) -> None:
        self._stop_time = stop_time
        self._clock = clock
        self._say = say
        self._stop = stop
        self._sign: Any = None
        self._since = clock.monotonic()
        self._said = False

    def tick(self, state: State, sign: Any, waits_for: str | None) -> None:
        """Look at the site, about once a second. `sign` changes whenever it gives a sign of life."""
        now = self._clock.monotonic()
        self._sign = sign if self._sign is None else self._sign
        late = self._stop_time is not None and now >= self._stop_time.at
        if sign != self._sign or waits_for is None or (state is State.PAUSED and not late):
            self._sign, self._since, self._said = sign, now, False
        if waits_for is None:
            return
        quiet = now - self._since
        if not self._said and quiet >= SAID_AFTER and state is not State.PAUSED:
            self._said = True
            self._say(f"waiting for {waits_for}, for {format_duration(quiet)} now")
        late_for = now - max(self._since, self._stop_time.at) if self._stop_time is not None else 0.0
        if late and (state is State.CONNECTING or late_for >= QUIET_SECONDS):
            self._stop(f"while waiting for {waits_for}")
