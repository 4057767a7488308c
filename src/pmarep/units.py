"""Sizes, durations and numbers as people write and read them."""

from __future__ import annotations

import datetime as dt
import re

from .errors import UsageError

_SIZE_UNITS = {"": 1, "B": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_TIME_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MOST_BYTES = 2**63
_MOST_SECONDS = 1e11  # three thousand years


def parse_size(text: str) -> int:
    """Parse the bytes of `20M`, `1.5G`, `512k`, `64KiB`: units are powers of 1024, as rclone and restic read them.

    Raises UsageError.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not match:
        raise UsageError(f"cannot read the size {text!r}; write it as 512K, 20M or 1.5G")
    size = float(match[1]) * _SIZE_UNITS[match[2].upper()]
    if size >= _MOST_BYTES:
        raise UsageError("such a size is more than any disk has; write it as 512K, 20M or 1.5G")
    return int(size)


def parse_duration(text: str) -> float:
    """Parse the seconds of `90s`, `45m`, `6h`, `1h30m`, and `0`. Raises UsageError, also for a number without unit."""
    words = text.strip()
    if re.fullmatch(r"0+(\.0+)?", words):
        return 0.0
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", words):
        raise UsageError(f"{words} of what? write {words}s, {words}m, {words}h or {words}d")
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", words)
    if not parts or "".join(number + unit for number, unit in parts) != words:
        raise UsageError(f"cannot read the duration {text!r}; write it as 90s, 45m, 6h or 1h30m")
    seconds = sum(float(number) * _TIME_UNITS[unit] for number, unit in parts)
    if seconds > _MOST_SECONDS:
        raise UsageError("such a duration is longer than anybody waits; write it as 90s, 45m, 6h or 1h30m")
    return seconds


def parse_time(text: str) -> dt.time:
    """Parse a time of the day, such as `06:00` or `6:00`. Raises UsageError."""
    match = re.fullmatch(r"\s*(\d{1,2}):(\d\d)\s*", text)
    if match:
        try:
            return dt.time(int(match[1]), int(match[2]))
        except ValueError:
            pass
    raise UsageError(f"cannot read the time {text!r}; write it as 06:00 or 22:30")


def parse_moment(text: str, now: float) -> float:
    """Parse a moment into seconds since the epoch.

    `7d` is so long before `now`; `2026-11-01` and `2026-11-01T18:30` are local time.

    Raises UsageError.
    """
    words = text.strip()
    if re.match(r"\d{4}-", words):
        try:
            # A day begins at its midnight here; astimezone() takes a time without a zone for local.
            return dt.datetime.fromisoformat(words).astimezone().timestamp()
        except (ValueError, OverflowError, OSError):  # Windows knows no times before 1970
            pass
    elif not re.fullmatch(r"\d{8}", words):  # 20261101 is meant for a day, and would be 234 days
        try:
            return now - parse_duration(words)
        except UsageError:
            pass
    raise UsageError(f"cannot read the time {text!r}; write it as 7d, 12h or 2026-11-01")


def format_size(count: float) -> str:
    """Format bytes with powers of 1024 (`1.4 GiB`)."""
    if count < 1024:
        return f"{count:.0f} B"
    units = iter(("KiB", "MiB", "GiB", "TiB"))
    unit = "B"
    while count >= 999.5 and unit != "TiB":
        count, unit = count / 1024, next(units)
    return f"{count:.0f} {unit}" if count >= 99.5 else f"{count:.1f} {unit}"


def format_duration(seconds: float) -> str:
    """Format seconds as `4s`, `2m05s`, `3h07m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def count_of(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 slide`, `1,204 slides`. `many` is the plural where it does not end in -s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
