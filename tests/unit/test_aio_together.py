"""Several at once: the error that tells most, and no lost Ctrl-C."""

from __future__ import annotations

import asyncio

import pytest

from pmarep.aio import together
from pmarep.errors import SourceError
from pmarep.pmacore import Refused, TlsError


async def _fail(error: Exception) -> None:
    raise error


async def test_nothing_to_do() -> None:
    await together([])


async def test_all_of_it_is_done() -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await together(work(number) for number in range(5))
    assert sorted(done) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([SourceError("s"), Refused("r")], SourceError),
        ([SourceError("s"), TlsError("t")], TlsError),
        ([TlsError("t"), ValueError("bug")], ValueError),
    ],
)
async def test_the_error_that_tells_most(errors: list[Exception], expected: type[Exception]) -> None:
    with pytest.raises(expected):
        await together(map(_fail, errors))


async def test_a_cancellation_while_the_others_are_ended_is_not_lost() -> None:
    """What asyncio.TaskGroup of Python 3.11 and 3.12 does not do."""
    ending = asyncio.Event()
    go_on = asyncio.Event()

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await go_on.wait()

    task = asyncio.create_task(together([slow_to_end(), _fail(Refused("no"))]))
    await ending.wait()
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_when_it_is_cancelled_all_have_ended() -> None:
    ended: list[int] = []

    async def work(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(number)

    task = asyncio.create_task(together(work(number) for number in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(ended) == [0, 1, 2]
