"""Ctrl-C: stop cleanly; again: at once. The same for the signals by which machines end programs."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType

INTERRUPTED = 130


def ending_signals() -> list[signal.Signals]:
    """Those that end programs on this platform, without any that is ignored on purpose: nohup and cron do so."""
    known = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")]
    return [number for number in known if number is not None and signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def stop_on_signals(stop: asyncio.Event, tell: Callable[[], None]) -> Iterator[None]:
    """While inside, the first signal sets `stop` and calls `tell`; the second ends the process.

    Works on Windows too, where event loops take no signal handlers.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    stopping = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            os._exit(INTERRUPTED)  # the journal is on disk already; there is nothing to lose
        stopping = True
        loop.call_soon_threadsafe(stop.set)
        loop.call_soon_threadsafe(tell)

    before = {number: signal.signal(number, on_signal) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
