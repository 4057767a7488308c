"""Small asyncio tools that the standard library does not have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

from .errors import PmarepError, Remedy

T = TypeVar("T")


class ChangeEvent:
    """An event that can be set again and again: each notify() wakes the tasks that wait at that moment.

    A waiter looks at the state that has changed, and waits again if that is not what it waits for.
    """

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def wait(self) -> Coroutine[Any, Any, object]:
        """Return a coroutine that ends with the first notify() after this call, however late it is awaited."""
        return self._next.wait()

    def notify(self) -> None:
        """Wake all tasks that wait."""
        self._next.set()
        self._next = asyncio.Event()


class TaskPool:
    """A set of tasks that end together: the first failure cancels the others. Tasks may be added while others run.

    asyncio.TaskGroup loses a Ctrl-C that comes while it ends the others (up to Python 3.12), and the next slide would
    begin.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._wake: asyncio.Future[None] | None = None

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine in a task of its own."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._errors.append(error)
        self._wake_if_over()

    def _wake_if_over(self) -> None:
        if self._wake is not None and not self._wake.done() and (self._errors or not self._tasks):
            self._wake.set_result(None)

    async def join(self) -> None:
        """Wait until every task has ended; when one fails, cancel the others and raise the most severe error.

        Being cancelled wins over every error.
        """
        try:
            await self.wait()
        finally:
            await self.cancel()
        self.raise_error()

    def wait(self) -> asyncio.Future[None]:
        """Return what is done once every task has ended, also those that they start meanwhile, or one has failed.

        One waits at a time.
        """
        self._wake = asyncio.get_running_loop().create_future()
        self._wake_if_over()
        return self._wake

    def raise_error(self) -> None:
        """Raise the most severe error of the tasks that have failed, if any has."""
        if self._errors:
            raise min(self._errors, key=_severity)

    async def cancel(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        await cancel_all(self._tasks)


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines concurrently; when one fails, cancel the others and raise the most severe error.

    Being cancelled wins over every error.
    """
    pool = TaskPool()
    for one in work:
        pool.start(one)
    await pool.join()


async def merged(
    begin: Callable[[Callable[[T], Awaitable[None]]], Iterable[Coroutine[Any, Any, None]]], ahead: int
) -> AsyncGenerator[T, None]:
    """Run coroutines concurrently; yield what they put, as it comes. `begin` makes them, from what they put it with.

    They wait where `ahead` results have not been read. When one fails, the others are cancelled and its error is
    raised. They are cancelled too where the generator is closed.
    """
    queue: asyncio.Queue[tuple[T] | None] = asyncio.Queue(ahead)

    async def put(one: T) -> None:
        await queue.put((one,))

    async def run() -> None:
        try:
            await together(begin(put))
        except Exception:
            await queue.put(None)  # not where it is cancelled: nobody reads any more
            raise
        await queue.put(None)

    running = asyncio.create_task(run())
    try:
        while (found := await queue.get()) is not None:
            yield found[0]
        await running
    finally:
        await cancel_all([running])


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended, however they do."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def any_of(*events: asyncio.Event) -> bool:
    """Wait until one of the events is set; return True."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await cancel_all(waiting)
    return True


def _severity(error: BaseException) -> int:
    """Rank errors by severity, most severe first: bugs, then errors that stop the run, the site, one slide."""
    if not isinstance(error, PmarepError):
        return 0
    return {Remedy.STOP_RUN: 1, Remedy.STOP_SITE: 2}.get(error.remedy, 3)
