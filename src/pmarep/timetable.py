"""How much bandwidth at which time of the day: `20M`, `off`, or `08:00,2M 19:00,off`."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from .errors import UsageError
from .units import parse_size

_DAY = 24 * 3600
_HOW = "write 20M, off, or times such as 08:00,2M 19:00,off"


def _second_of_day(time: dt.time) -> float:
    return time.hour * 3600 + time.minute * 60 + time.second + time.microsecond / 1e6


@dataclass(frozen=True, slots=True)
class Timetable:
    """Limits in bytes per second (None: no limit), each from its time of the day on, sorted by that time.

    The last one of a day lasts until the first of the next, over midnight. A single limit is an entry at 00:00.
    """

    entries: tuple[tuple[dt.time, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> Timetable:
        """Raises UsageError that names the part which is wrong."""
        # "08:00, 2M" is what people write who put a space after every comma.
        words = re.sub(r"\s*,\s*", ",", text.strip()).split()
        if not words:
            raise UsageError(f"the bandwidth limit is empty; {_HOW}")
        if len(words) == 1 and "," not in words[0]:
            return cls(((dt.time(), _parse_limit(words[0])),))
        entries: dict[dt.time, int | None] = {}
        for word in words:
            time, limit = _parse_entry(word)
            if time in entries:
                raise UsageError(f"the time {time:%H:%M} is there twice in the bandwidth limit {text!r}")
            entries[time] = limit
        return cls(tuple(sorted(entries.items())))

    def limit_at(self, time: dt.time) -> int | None:
        """Bytes per second at this local time of the day; None: no limit."""
        return self.entries[self._index_at(time)][1]

    def next_change(self, time: dt.time) -> float | None:
        """Seconds from this local time of the day until the limit is another one; None: it never is.

        Counted by the wall clock: on the two nights of the year when clocks are moved it is an hour off, so a caller
        that waits should look again now and then.
        """
        now, index = _second_of_day(time), self._index_at(time)
        for step in range(1, len(self.entries)):
            start, limit = self.entries[(index + step) % len(self.entries)]
            if limit != self.entries[index][1]:
                return (_second_of_day(start) - now) % _DAY
        return None

    def _index_at(self, time: dt.time) -> int:
        begun = [i for i, (start, _) in enumerate(self.entries) if start <= time.replace(tzinfo=None)]
        return begun[-1] if begun else len(self.entries) - 1


def _parse_entry(word: str) -> tuple[dt.time, int | None]:
    match = re.fullmatch(r"(\d{1,2}):(\d{2}),([^,]+)", word)
    if not match:
        raise UsageError(f"cannot read {word!r} in the bandwidth limit; {_HOW}")
    hour, minute = int(match[1]), int(match[2])
    if hour > 23 or minute > 59:
        raise UsageError(f"there is no time {match[1]}:{match[2]} in the bandwidth limit; times go from 00:00 to 23:59")
    return dt.time(hour, minute), _parse_limit(match[3])


def _parse_limit(word: str) -> int | None:
    if word.lower() == "off":
        return None
    try:
        limit = parse_size(word)
    except UsageError:
        raise UsageError(f"cannot read the bandwidth limit {word!r}; {_HOW}") from None
    if limit == 0:
        raise UsageError(f"a bandwidth limit of {word!r} would never end; write off for no limit")
    return limit
