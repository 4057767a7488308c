"""Other ways to call `replicate()`: with its events as an async iterator, and without async."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..events import Event, Listener, Summary
from ..remote.session_pool import Passwords
from ..sites import Site
from .event_queue import EventQueue
from .options import Options
from .run import replicate

INTERRUPTIBLE_SECONDS = 0.2
"""Until Ctrl-C is heard: nothing interrupts a wait without end on Windows, or where another thread gets the signal."""


async def replicate_events(
    options: Options,
    sites: Sequence[Site],
    *,
    passwords: Passwords,
    state_dir: Path,
    stop: asyncio.Event | None = None,
) -> AsyncGenerator[Event, None]:
    """Bring every slide of the sources to every site, and yield the events of the run; the last one is its Summary.

    Raises as `replicate()` does. Who leaves the loop early ends the run cleanly, as `stop` does: what can be kept is
    kept for the next one. In `async with contextlib.aclosing(replicate_events(...)) as events` that has happened by the
    end of the block. Events wait in bounded memory; who is far behind gets no Progress.
    """
    stop, queue = stop or asyncio.Event(), EventQueue()
    run = asyncio.create_task(
        replicate(options, sites, passwords=passwords, state_dir=state_dir, listener=queue.put, stop=stop)
    )
    run.add_done_callback(lambda _: queue.end())
    try:
        while (event := await queue.get()) is not None:
            yield event
        run.result()
    finally:
        try:
            await _end(run, stop)
        finally:
            queue.close()


def replicate_sync(
    options: Options,
    sites: Sequence[Site],
    *,
    passwords: Passwords,
    state_dir: Path,
    listener: Listener | None = None,
) -> Summary:
    """Bring every slide of the sources to every site, and return the summary: `replicate()` for code without async.

    Raises as it does. Ctrl-C ends the run cleanly, then raises KeyboardInterrupt. Where an event loop runs already, as
    in Jupyter, the run has a thread of its own, in which `listener` is called; the loop stands still meanwhile, so
    there `await replicate(...)` is better.
    """

    async def run() -> Summary:
        stop = asyncio.Event()
        heard = listener or _nobody
        task = asyncio.create_task(
            replicate(options, sites, passwords=passwords, state_dir=state_dir, listener=heard, stop=stop)
        )
        try:
            return await asyncio.shield(task)
        finally:
            await _end(task, stop)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run())
    return _in_a_thread(run)


async def _end(run: asyncio.Task[Summary], stop: asyncio.Event) -> None:
    """Wait until a run that is to end has ended. Whoever cancels that too ends it at once."""
    stop.set()
    try:
        await asyncio.wait({run})
    finally:
        run.cancel()
        if run.done() and not run.cancelled():
            run.exception()  # who has left is not told of it


def _in_a_thread(run: Callable[[], Coroutine[Any, Any, Summary]]) -> Summary:
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = Future()

    async def main() -> Summary:
        started.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await run()

    with ThreadPoolExecutor(1, "pmarep") as pool:
        done = pool.submit(lambda: asyncio.run(main()))
        try:
            while wait({done}, timeout=INTERRUPTIBLE_SECONDS).not_done:
                pass
            return done.result()
        except KeyboardInterrupt:
            loop, task = started.result()
            if task is not None:
                with suppress(RuntimeError):  # it has ended meanwhile
                    loop.call_soon_threadsafe(task.cancel)
            raise  # once the thread has ended


def _nobody(event: Event) -> None:
    """Hear an event and do nothing."""
