"""A thread for work that may hang for ever, such as a walk over a network drive that has gone away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress


async def in_thread(work: Callable[[], None]) -> None:
    """Run it in a thread of its own that keeps no process alive: an executor's would be waited for at the end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if done.done():
            return  # nobody waits any more
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            work()
        except BaseException as problem:
            error = problem
        with suppress(RuntimeError):  # the loop has ended before us
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=run, name="pmarep", daemon=True).start()
    await done
