"""Ctrl-C: stop cleanly; again: at once. The same for the signals by which machines end programs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130


@contextmanager
def stop_on_signals(stop: asyncio.Event, tell: Callable[[], None]) -> Iterator[None]:
    """While inside, the first signal sets `stop` and calls `tell`; the second ends the process.

    Works on Windows too, where event loops take no signal handlers.
    """
    loop = asyncio.get_running_loop()
    stopping = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            os._exit(INTERRUPTED)  # the journal is on disk already; there is nothing to lose
        stopping = True
        loop.call_soon_threadsafe(stop.set)
        loop.call_soon_threadsafe(tell)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    # nohup and cron may ignore SIGHUP on purpose.
    before = {n: signal.signal(n, on_signal) for n in numbers if signal.getsignal(n) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
