"""The time of the day in which rounds may begin: `19:00-07:00`, over midnight too."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Self

from .errors import UsageError
from .units import parse_time

_HOW = "write it as 19:00-07:00"


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """From `start` up to `end`, local time, every day. `start` is in it, `end` is not."""

    start: dt.time
    end: dt.time

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `19:00-07:00`. Raises UsageError."""
        start, dash, end = text.partition("-")
        if not dash:
            raise UsageError(f"cannot read the times {text!r}; {_HOW}")
        try:
            window = cls(parse_time(start), parse_time(end))
        except UsageError:
            raise UsageError(f"cannot read the times {text!r}; {_HOW}") from None
        if window.start == window.end:
            raise UsageError(f"no time is between {start.strip()} and {end.strip()}; {_HOW}, or leave it out")
        return window

    def seconds_until_open(self, now: dt.datetime) -> float:
        """Return how long it is from `now`, in local time, until the window is open; 0.0 where it is."""
        time = now.time()
        after, before = time >= self.start, time < self.end
        is_open = (after and before) if self.start < self.end else (after or before)
        return 0.0 if is_open else seconds_until(self.start, now)

    def __str__(self) -> str:
        return f"{self.start:%H:%M} and {self.end:%H:%M}"


def seconds_until(time: dt.time, now: dt.datetime) -> float:
    """Count the seconds from `now`, in local time, until it is that time of the day again; a day if it is now."""
    naive = now.replace(tzinfo=None)
    then = dt.datetime.combine(naive.date(), time)
    if then <= naive:
        then += dt.timedelta(days=1)
    # timestamp() knows of a summer time that begins or ends before.
    return max(then.timestamp() - naive.timestamp(), 0.0)
