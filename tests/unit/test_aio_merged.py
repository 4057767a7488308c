"""Results of several coroutines, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from pmarep.aio import merged

Put = Callable[[int | None], Awaitable[None]]


def counting(put: Put) -> list[Coroutine[Any, Any, None]]:
    async def count(start: int) -> None:
        for number in range(start, start + 10):
            await put(number)

    return [count(0), count(100)]


async def test_all_results_come_in_the_order_of_each() -> None:
    found = [one async for one in merged(counting, 3) if one is not None]
    assert sorted(found) == [*range(10), *range(100, 110)]
    assert [one for one in found if one < 100] == list(range(10))


async def test_an_empty_result_is_one_too() -> None:
    def both(put: Put) -> list[Coroutine[Any, Any, None]]:
        async def one() -> None:
            await put(None)
            await put(1)

        return [one()]

    assert [one async for one in merged(both, 3)] == [None, 1]


async def test_an_error_comes_after_the_results_and_ends_the_others() -> None:
    ended: list[str] = []

    def begin(put: Put) -> list[Coroutine[Any, Any, None]]:
        async def fail() -> None:
            await put(1)
            raise ValueError("a bug")

        async def wait() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("others")

        return [wait(), fail()]

    found = merged(begin, 1)
    assert await anext(found) == 1
    with pytest.raises(ValueError, match="a bug"):
        await anext(found)
    assert ended == ["others"]


async def test_closing_merged_results_early_waits_for_no_producer() -> None:
    """Also where as many results wait as may: then nobody would take the sign of the end."""
    async with asyncio.timeout(30), aclosing(merged(counting, 2)) as found:
        assert await anext(found) == 0
        for _ in range(5):
            await asyncio.sleep(0)
