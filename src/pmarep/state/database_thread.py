"""The thread in which the journal's SQLite connection is used: reads in order, writes in group commits."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

MAX_GROUP = 500
"""Writes that are committed together, at most."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    writes: bool
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop


_Outcome = tuple[_Job, Any, BaseException | None]


class DatabaseThread:
    """Runs calls on one SQLite connection, one after the other, in a thread of its own.

    Writes that wait at the same time are committed together (group commit); each caller gets its result after that.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._jobs: deque[_Job] = deque()
        self._called = False  # a call to _work_off is on its way to the thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")

    def close(self) -> None:
        """End the thread when it has done all that was called for, also by callers that do not wait any more."""
        self._thread.shutdown(wait=True)

    async def read(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, in order with the writes that were called before and after."""
        return await self._do(work, writes=False)

    async def write(self, work: Callable[[], T]) -> T:
        """Return the result of `work`, once it is committed.

        `work` begins and ends no transaction; it may be run again.
        """
        return await self._do(work, writes=True)

    async def _do(self, work: Callable[[], T], *, writes: bool) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.append(_Job(work, writes, future, loop))
        if not self._called:
            self._called = True
            self._thread.submit(self._work_off)
        # Shielded: a row that describes what the server has acknowledged is written even if the run is being stopped.
        return await asyncio.shield(future)

    def _work_off(self) -> None:
        self._called = False  # before looking: what is appended from now on calls again
        while self._jobs:
            group = [self._jobs.popleft()]
            while group[0].writes and len(group) < MAX_GROUP and self._jobs and self._jobs[0].writes:
                group.append(self._jobs.popleft())
            _deliver(self._run(group))

    def _run(self, group: Sequence[_Job]) -> list[_Outcome]:
        try:
            if not group[0].writes:
                return [(job, job.work(), None) for job in group]
            with self._transaction():
                results = [job.work() for job in group]
            return list(zip(group, results, [None] * len(group), strict=True))
        except Exception as error:
            if len(group) == 1 or isinstance(error, sqlite3.OperationalError):  # locked, full: so it is for all
                return [(job, None, error) for job in group]
        return [outcome for job in group for outcome in self._run([job])]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite ends it itself where the disk is full
                self._db.execute("ROLLBACK")
            raise


def _deliver(outcomes: Sequence[_Outcome]) -> None:
    def set_results(mine: list[_Outcome]) -> None:
        for job, result, error in mine:
            if job.future.done():
                continue
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    for loop in {outcome[0].loop for outcome in outcomes}:
        with suppress(RuntimeError):  # it is closed: nobody waits
            loop.call_soon_threadsafe(set_results, [outcome for outcome in outcomes if outcome[0].loop is loop])
