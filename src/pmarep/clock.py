"""The clock that components get as an argument."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime


class Clock:
    """Monotonic time, local time and sleep, as an argument: tests pass a clock of their own and need not wait."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment.

        Not time.monotonic(): on Windows before Python 3.13 it goes in steps of 16 ms.
        """
        return time.perf_counter()

    def local(self) -> datetime:
        """Return the date and time in this machine's time zone."""
        return datetime.now().astimezone()

    async def sleep(self, seconds: float) -> None:
        """Pause the calling task."""
        await asyncio.sleep(seconds)
