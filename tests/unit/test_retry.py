"""What trying again leaves behind."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from pmarep.pmacore import ServerError
from pmarep.retry import Retry


class Handle:
    """What a request may have open."""


async def test_a_failed_attempt_leaves_nothing_open() -> None:
    """Not even until the garbage collector comes by: on Windows, nobody can rename a file that is open."""
    opened: list[weakref.ref[Handle]] = []

    async def work() -> int:
        handle = Handle()
        opened.append(weakref.ref(handle))
        if len(opened) < 3:
            raise ServerError("busy")
        return len(opened)

    gc.disable()
    try:
        assert await Retry(sleep=lambda _: asyncio.sleep(0))(work) == 3
        assert [one() for one in opened] == [None, None, None]
    finally:
        gc.enable()


@pytest.mark.parametrize("attempts", [1, 2, 5])
async def test_the_number_of_attempts(attempts: int) -> None:
    tried = 0

    async def work() -> None:
        nonlocal tried
        tried += 1
        raise ServerError(f"busy {tried}")

    with pytest.raises(ServerError, match=f"busy {attempts}"):
        await Retry(attempts, sleep=lambda _: asyncio.sleep(0))(work)
    assert tried == attempts
