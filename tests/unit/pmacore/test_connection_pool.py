"""Which connection a request takes, and what becomes of it afterwards."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any, cast

import httpcore
import httpx
import pytest
from support.network import LOOPBACK, Network

from pmarep.pmacore import Connection
from pmarep.pmacore.connection_pool import ConnectionPool
from pmarep.pmacore.pooled_transport import PooledTransport

HERE = httpcore.Request("GET", "http://a.example/")
THERE = httpcore.Request("GET", "http://b.example/")


class FakeConnection:
    def __init__(self) -> None:
        self.open = self.available = True
        self.expired = False
        self.error: Exception | None = None

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        await asyncio.sleep(0)
        if self.error is not None:
            self.available = False
            raise self.error
        return httpcore.Response(200)

    def has_expired(self) -> bool:
        return self.expired

    def is_available(self) -> bool:
        return self.available

    async def aclose(self) -> None:
        self.open = self.available = False


class Bench:
    def __init__(self, kept: int = 8) -> None:
        self.made: list[FakeConnection] = []
        self.pool = ConnectionPool(cast(Any, self), kept)

    def create_connection(self, origin: httpcore.Origin) -> FakeConnection:
        self.made.append(FakeConnection())
        return self.made[-1]

    async def send(self, request: httpcore.Request = HERE) -> FakeConnection:
        """Send a request; its connection is not given back yet."""
        async with self.pool.connection(request.url.origin) as connection:
            await connection.handle_async_request(request)
        return cast(FakeConnection, connection)

    async def give_back(self, *connections: FakeConnection, request: httpcore.Request = HERE) -> None:
        for connection in connections:
            await self.pool.give_back(cast(Any, connection), request.url.origin)


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    bench = Bench()
    first = await asyncio.gather(*(bench.send() for _ in range(5)))
    assert len(set(first)) == 5
    await bench.give_back(*first)
    assert set(await asyncio.gather(*(bench.send() for _ in range(5)))) == set(first)
    assert len(bench.made) == 5


async def test_the_one_that_was_used_last_is_taken_next() -> None:
    bench = Bench()
    one, two = await bench.send(), await bench.send()
    await bench.give_back(two, one)
    assert await bench.send() is one


async def test_each_origin_has_its_own() -> None:
    bench = Bench()
    one = await bench.send()
    await bench.give_back(one)
    assert await bench.send(THERE) is not one
    assert await bench.send() is one


async def test_those_that_nobody_used_for_long_are_closed() -> None:
    bench = Bench()
    every = [await bench.send() for _ in range(4)]
    await bench.give_back(*every)
    oldest, older, good, last = every
    oldest.expired = older.expired = last.expired = True
    assert await bench.send() is good
    assert [one.open for one in every] == [False, False, True, False]
    assert await bench.send() not in every


@pytest.mark.parametrize("kept", [0, 2])
async def test_no_more_than_so_many_are_kept(kept: int) -> None:
    bench = Bench(kept)
    every = [await bench.send() for _ in range(3)]
    await bench.give_back(*every)
    assert sum(one.open for one in every) == kept


async def test_a_connection_with_an_unfinished_exchange_is_not_used_again() -> None:
    """Its answer was not read to the end, or its request not sent to the end."""
    bench = Bench()
    one = await bench.send()
    one.available = False
    await bench.give_back(one)
    assert not one.open
    assert await bench.send() is not one


async def test_a_connection_that_fails_is_closed() -> None:
    bench = Bench()
    one = await bench.send()
    await bench.give_back(one)
    one.error = httpcore.ReadError("gone")
    with pytest.raises(httpcore.ReadError):
        await bench.send()
    assert not one.open
    assert await bench.send() is not one


async def test_a_request_that_is_cancelled_leaves_no_connection() -> None:
    bench = Bench()
    sending = asyncio.create_task(bench.send())
    await asyncio.sleep(0)
    (one,) = bench.made
    one.available = False  # in the middle of the request
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert not one.open
    assert not bench.pool._taken


async def test_in_the_end_all_are_closed_also_those_in_use() -> None:
    bench = Bench()
    used, kept = await bench.send(), await bench.send()
    await bench.give_back(kept)
    await bench.pool.aclose()
    assert (used.open, kept.open) == (False, False)


@pytest.fixture
def without_gc() -> Iterator[None]:
    """Nothing is closed only because nobody refers to it any more."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_gc")
async def test_a_request_that_is_cancelled_in_a_handshake_closes_its_socket() -> None:
    loop, began, closed = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)  # of the handshake
        loop.call_soon_threadsafe(began.set)
        await reader.read()
        loop.call_soon_threadsafe(closed.set)

    with Network() as network:
        url = f"https://{LOOPBACK}:{network.serve(silent)}/"
        async with Connection(url, "u", verify_tls=False, proxy="none").http() as http:
            asking = asyncio.create_task(http.get(url))
            await asyncio.wait_for(began.wait(), 60)
            asking.cancel()
            await asyncio.wait({asking})
            await asyncio.wait_for(closed.wait(), 60)


@pytest.mark.parametrize(("expiry", "connections"), [(60.0, 1), (0.1, 2)])
@pytest.mark.usefixtures("without_gc")
async def test_a_connection_is_used_until_it_expires_and_closed_with_its_client(
    expiry: float, connections: int
) -> None:
    came, ended = [], []

    async def keeping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(reader)
        while await reader.read(1 << 16):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        ended.append(reader)

    limits = httpx.Limits(max_keepalive_connections=8, keepalive_expiry=expiry)
    with Network() as network:
        url = f"http://{LOOPBACK}:{network.serve(keeping)}/"
        async with httpx.AsyncClient(transport=PooledTransport(None, limits, lambda _: None)) as http:
            await http.get(url)
            await asyncio.sleep(0.2)
            await http.get(url)
        assert len(came) == connections
        async with asyncio.timeout(60):
            while len(ended) < connections:
                await asyncio.sleep(0.01)
