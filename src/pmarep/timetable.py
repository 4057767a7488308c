"""The bandwidth limit by the time of the day: `20M`, `off`, or `08:00,2M 19:00,off`."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from .errors import UsageError
from .units import parse_size

_HOW = "write 20M, off, or times such as 08:00,2M 19:00,off"


@dataclass(frozen=True, slots=True)
class Timetable:
    """Limits in bytes per second (None: no limit), each from its time of the day on, sorted by that time.

    The last one of a day lasts until the first of the next, over midnight. A single limit is an entry at 00:00.
    """

    entries: tuple[tuple[dt.time, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> Timetable:
        """Parse a limit or a timetable. Raises UsageError that names the part which is wrong."""
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
                raise UsageError(f"the time {time:%H:%M} is there twice in the bandwidth limit {text!r}; leave one out")
            entries[time] = limit
        return cls(tuple(sorted(entries.items())))

    def limit_at(self, time: dt.time) -> int | None:
        """Return the bytes per second allowed at a local time of the day; None: no limit."""
        begun = [limit for start, limit in self.entries if start <= time.replace(tzinfo=None)]
        return begun[-1] if begun else self.entries[-1][1]


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
    if limit and re.fullmatch(r"[\d.]+", word):
        raise UsageError(f"{word} of what a second? write {word}K, {word}M or {word}G, or {word}B for bytes")
    if limit == 0:
        raise UsageError(f"a bandwidth limit of {word!r} would never end; write off for no limit")
    return limit
