"""Run what is no run: Ctrl-C and the signals that end programs break it off, and it still logs out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import typer

from .output_streams import echo
from .replication_run import log_connection_errors
from .signal_handlers import INTERRUPTED, stop_on_signals

T = TypeVar("T")


def run_interruptible(work: Coroutine[Any, Any, T], said: Callable[[], str] = lambda: "interrupted") -> T:
    """Return the result of a coroutine. The first signal cancels it: it ends with exit code 130; the second at once.

    `said`: what is said then.
    """

    async def main() -> T:
        asyncio.get_running_loop().set_exception_handler(log_connection_errors)
        stop = asyncio.Event()
        with stop_on_signals(stop, lambda: None):
            working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
            await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if working.done():
                return working.result()
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        echo(f"pmarep: {said()}", err=True)
        raise typer.Exit(INTERRUPTED)

    return asyncio.run(main())
