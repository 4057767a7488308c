"""Answers that come a byte at a time: no silence is ever long, and yet nothing arrives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

import httpx
import pytest
from support.network import LOOPBACK, Network

from pmarep.pmacore import Connection, PmaCore, TransferBroken
from pmarep.pmacore.errors import TooSlow
from pmarep.pmacore.http import Body, Request, ask
from pmarep.pmacore.response_deadline import ResponseDeadline
from pmarep.uploaders.presigned import PresignedClient

SILENCE = 0.5  # seconds; a busy machine is silent for 0.2
PATIENCE = 60.0  # seconds after which a test fails
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nETag: x\r\nContent-Length: 100000000\r\n"


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


def dripping(
    network: Network, at_once: bytes, pause: float = SILENCE / 10, drop: bytes = b" ", *, early: bool = False
) -> str:
    """The url of a server that says so much at once when the whole request is there, and then a drop at a time.

    `early`: when the head of the request is there.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
        await reader.readexactly(0 if early else int(length or b"0"))
        writer.write(at_once)
        while True:
            writer.write(drop)
            await writer.drain()
            await asyncio.sleep(pause)

    return f"http://{LOOPBACK}:{network.serve(handle)}/"


def connection_to(url: str) -> Connection:
    return Connection(url, "seeder", proxy="none", connect_timeout=SILENCE, timeout=SILENCE)


async def slowly(count: int = 20) -> AsyncGenerator[bytes, None]:
    """A body that takes longer than an answer may."""
    for _ in range(count):
        await asyncio.sleep(SILENCE / 3)
        yield b"x"


async def call(url: str) -> None:
    connection = connection_to(url)
    async with connection.http() as client:
        await ask(client, connection, Request("GET", "api/json/GetFiles"))


async def post(url: str) -> None:
    connection = connection_to(url)
    async with connection.http() as client:
        await ask(client, connection, Request("POST", "transfer/Upload/1", body=Body(slowly, 20, "x/y")))


async def put(url: str) -> None:
    storage = PresignedClient(connection_to(url), allow_http=True)
    try:
        await storage.put(url + "x?X-Amz-Signature=s", slowly, 20, {})
    finally:
        await storage.close()


async def put_list(url: str) -> None:
    storage = PresignedClient(connection_to(url), allow_http=True)
    try:
        await storage.put(url + "x?sig=s", b"<BlockList/>", 12, {})
    finally:
        await storage.close()


async def password() -> str:
    return "secret"


async def read_back(url: str) -> None:
    core = PmaCore(connection_to(url), password)
    core._session = "the-session"
    core._secrets.append("the-session")
    try:
        async with core.download("Slides/x.svs", "x.svs", 100_000_000) as chunks:
            async for _ in chunks:
                pass
    finally:
        core._session = None
        await core.close()


Work = Callable[[str], Awaitable[None]]


IN_HEAD, IN_BODY = b"HTTP/1.1 200 OK\r\nX: ", HEAD + b"\r\n"


@pytest.mark.parametrize(
    ("work", "at_once"),
    [
        (call, IN_HEAD),
        (call, IN_BODY),
        (post, IN_BODY),
        (put, IN_HEAD),
        (put_list, IN_BODY),
        (read_back, IN_HEAD),
        (read_back, IN_BODY),
    ],
)
async def test_an_answer_that_drips_ends(network: Network, work: Work, at_once: bytes) -> None:
    with pytest.raises(
        TransferBroken, match=r"does not come to the end of an answer|gives a file back too slowly"
    ) as e:
        await asyncio.wait_for(work(dripping(network, at_once)), PATIENCE)
    assert "the-session" not in str(e.value)
    assert "Signature" not in str(e.value)


async def test_a_refused_download_that_drips_ends(network: Network) -> None:
    with pytest.raises(TransferBroken, match="does not come to the end"):
        await asyncio.wait_for(read_back(dripping(network, HEAD.replace(b"200 OK", b"403 No") + b"\r\n")), PATIENCE)


@pytest.mark.parametrize("work", [post, put])
async def test_a_refusal_that_drips_before_the_body_has_gone_ends(network: Network, work: Work) -> None:
    url = dripping(network, HEAD.replace(b"200 OK", b"413 No") + b"\r\n", early=True)
    with pytest.raises(TransferBroken, match="does not come to the end"):
        await asyncio.wait_for(work(url), PATIENCE)


async def test_a_download_that_moves_may_take_as_long_as_it_likes(network: Network) -> None:
    """Far longer than any answer, and never silent; the end comes from us."""
    url = dripping(network, HEAD + b"\r\n", drop=bytes(4096), pause=SILENCE / 50)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read_back(url), 8 * SILENCE)


@pytest.mark.parametrize("work", [post, put])
async def test_a_body_may_take_as_long_as_it_likes(network: Network, work: Work) -> None:
    answer = b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: application/json\r\nETag: "x"\r\n\r\n{}'

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(20)
        writer.write(answer)
        await writer.drain()

    await asyncio.wait_for(work(f"http://{LOOPBACK}:{network.serve(handle)}/"), PATIENCE)


async def test_a_body_that_goes_again_over_a_new_connection_may_take_as_long_as_it_likes(network: Network) -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        for length in (1, 9)[connections - 1 :]:
            await reader.readuntil(b"\r\n\r\n")
            if length > connections == 1:
                return  # closed, as if nobody had used it for long
            await reader.readexactly(length)
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "x"\r\n\r\n')
            await writer.drain()

    url = f"http://{LOOPBACK}:{network.serve(handle)}/x?X-Amz-Signature=s"
    storage = PresignedClient(connection_to(url), allow_http=True)
    try:
        await storage.put(url, b"x", 1, {})
        await asyncio.wait_for(storage.put(url, lambda: slowly(9), 9, {}), PATIENCE)
    finally:
        await storage.close()
    assert connections == 2


async def test_a_long_answer_that_moves_may_take_as_long_as_it_needs(network: Network) -> None:
    """Five times as long as a short one, and never silent."""
    names = json.dumps([f"Slides/{number:0100}.svs" for number in range(300)]).encode()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(names))
        for start in range(0, len(names), 330):
            writer.write(names[start : start + 330])
            await writer.drain()
            await asyncio.sleep(SILENCE / 10)

    await asyncio.wait_for(call(f"http://{LOOPBACK}:{network.serve(handle)}/"), PATIENCE)


async def test_a_short_answer_that_drips_gets_hardly_more_time_than_silence(network: Network) -> None:
    """Twice as long here, then the answer would be there. With more of it, twice would be hours."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\n")
        for drop in b"[" + b" " * 40 + b"]":
            writer.write(bytes([drop]))
            await writer.drain()
            await asyncio.sleep(SILENCE / 10)

    with pytest.raises(TransferBroken, match="does not come to the end of an answer"):
        await asyncio.wait_for(call(f"http://{LOOPBACK}:{network.serve(handle)}/"), PATIENCE)


async def test_without_a_limit_of_silence_there_is_none() -> None:
    async with ResponseDeadline("x", httpx.Timeout(None)):
        await asyncio.sleep(0)


@pytest.mark.parametrize("at_once", [b"", IN_HEAD, IN_BODY])
async def test_little_patience_is_less_than_silence(network: Network, at_once: bytes) -> None:
    connection = Connection(dripping(network, at_once, drop=b"" if not at_once else b" "), "seeder", proxy="none")
    async with connection.http() as client:
        with pytest.raises(TooSlow) as caught:
            await asyncio.wait_for(
                ask(client, connection, Request("GET", "api/json/GetFiles"), longest=SILENCE), PATIENCE / 2
            )
    assert caught.value.took == SILENCE
