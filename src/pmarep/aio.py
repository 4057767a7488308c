"""Small asyncio tools that the standard library does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from .errors import PmarepError, Remedy


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


async def together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines concurrently; when one fails, cancel the others and raise the most severe error.

    Being cancelled wins over every error. asyncio.TaskGroup loses a Ctrl-C that comes while it ends the others (up to
    Python 3.12), and the next slide would begin.
    """
    tasks = [asyncio.create_task(one) for one in work]
    if not tasks:
        return
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    errors = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
    if errors:
        raise min(errors, key=_severity)


def _severity(error: BaseException) -> int:
    """Rank errors by severity, most severe first: bugs, then errors that stop the run, the site, one slide."""
    if not isinstance(error, PmarepError):
        return 0
    return {Remedy.STOP_RUN: 1, Remedy.STOP_SITE: 2}.get(error.remedy, 3)
