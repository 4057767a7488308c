"""Bodies read in few reads: nothing is lost, and only many small reads over a long way are waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpcore
import httpx
import pytest

from pmarep.pmacore.early_response import EarlyResponseStream
from pmarep.pmacore.gathered_reads import PAUSE, iter_gathered, pause_between_reads
from pmarep.pmacore.socket_options import HttpClient

KIB = 1024


async def gathered(
    reads: Sequence[int], size: int, pause: float, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[int], list[float]]:
    """Return the lengths of the chunks, and the pauses between the reads."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def body() -> AsyncIterator[bytes]:
        for number, count in enumerate(reads):
            yield bytes([number]) * count

    monkeypatch.setattr("pmarep.pmacore.gathered_reads.asyncio.sleep", sleep)
    response = httpx.Response(200, content=body())
    chunks = [chunk async for chunk in iter_gathered(response, size, pause)]
    assert b"".join(chunks) == b"".join(bytes([number]) * count for number, count in enumerate(reads))
    return [len(chunk) for chunk in chunks], pauses


async def test_chunks_are_of_whole_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await gathered([60, 30, 20, 100, 5], 100, 0.0, monkeypatch) == ([110, 100, 5], [])


async def test_only_small_reads_of_a_long_answer_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = [4 * KIB, 60 * KIB, 4 * KIB, 128 * KIB, 4 * KIB]
    _, pauses = await gathered(reads, KIB**2, PAUSE, monkeypatch)
    assert pauses == [PAUSE] * 2
    assert (await gathered(reads, KIB**2, 0.0, monkeypatch))[1] == []


@pytest.mark.parametrize(("seconds", "pause"), [(None, 0.0), (0.001, 0.0), (0.02, 0.01), (0.04, PAUSE), (0.18, PAUSE)])
async def test_only_over_a_long_way(seconds: float | None, pause: float) -> None:
    async with HttpClient() as client:
        if seconds is not None:
            client.round_trip.connected(seconds)
        assert pause_between_reads(client) == pause


async def test_what_came_before_a_break_is_not_lost() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 7
        raise httpx.ReadError("broken")

    chunks = iter_gathered(httpx.Response(200, content=body()), 10, 0.0)
    assert await anext(chunks) == b"x" * 7
    with pytest.raises(httpx.ReadError):
        await anext(chunks)


async def test_a_read_takes_as_much_as_the_system_gives_at_once() -> None:
    asked: list[int] = []

    class Stream(httpcore.AsyncNetworkStream):
        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            asked.append(max_bytes)
            return b"x"

        def get_extra_info(self, info: str) -> None:
            return None

    assert await EarlyResponseStream(Stream()).read(64 * KIB) == b"x"
    assert asked == [256 * KIB]
