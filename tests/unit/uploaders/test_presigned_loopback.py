"""A server cannot make us send slides to, or fetch files from, what listens on this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from pmarep.pmacore import Connection, PmaCore, ProtocolError
from pmarep.pmacore.local_addresses import is_local_address, is_local_url, same_host
from pmarep.uploaders.presigned import PresignedClient

AWAY = Connection(url="http://pma.example/", username="u")


class Listener:
    """Counts the bytes that come, and answers."""

    def __init__(self) -> None:
        self.received = b""
        self.port = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.received += data
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    found = Listener()
    server = await asyncio.start_server(found, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is this machine."""
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return real("127.0.0.1", port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "127.1", "2130706433", "0x7f.1", "0", "0.0.0.0",
        "localhost", "LOCALHOST.", "localhost。", "a.localhost", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]",
        "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "169.254.169.254", "169。254。169。254", "[fe80::1]",
        "[fe80::1%25eth0]",
        "[::ffff:169.254.1.1]", "１２７.0.0.1",
    ],
)  # fmt: skip
def test_this_machine_in_all_spellings(host: str) -> None:
    assert is_local_url(f"http://{host}:9000/x?y")


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "192.168.1.2", "s3.example", "localhost.example", "[2001:db8::1]", "[fd00::1]"]
)
def test_other_machines(host: str) -> None:
    assert not is_local_url(f"https://{host}/")
    assert not is_local_address(host.strip("[]"))


async def test_a_name_that_is_this_machine(listener: Listener, resolver: None) -> None:
    storage = PresignedClient(AWAY, allow_http=True)
    try:
        for new_connection in (False, True):
            with pytest.raises(ProtocolError, match="this machine itself"):
                await storage.put(
                    f"http://bucket.example:{listener.port}/k?sig=1", b"bytes", 5, {}, new_connection=new_connection
                )
    finally:
        await storage.close()
    assert listener.received == b""


@pytest.mark.parametrize("host", ["127。0。0。1", "localhost。", "127.1"])
async def test_an_address_that_is_this_machine(listener: Listener, host: str) -> None:
    storage = PresignedClient(AWAY, allow_http=True)
    try:
        with pytest.raises(ProtocolError, match="this machine itself"):
            await storage.put(f"http://{host}:{listener.port}/k", b"bytes", 5, {})
    finally:
        await storage.close()
    assert listener.received == b""


async def test_the_host_of_pma_core_may_be_this_machine(listener: Listener, resolver: None) -> None:
    storage = PresignedClient(AWAY, allow_http=True)
    try:
        await storage.put(f"http://PMA.example:{listener.port}/k", b"bytes", 5, {})
    finally:
        await storage.close()
    assert listener.received.endswith(b"bytes")
    assert same_host("http://PMA.example:1/", AWAY.url)


async def test_a_proxy_on_this_machine_makes_the_way(
    listener: Listener, resolver: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    storage = PresignedClient(AWAY, allow_http=True)
    try:
        await storage.put("http://bucket.example/k", b"bytes", 5, {})
    finally:
        await storage.close()
    assert listener.received.startswith(b"PUT http://bucket.example/k")


async def test_a_download_that_leads_here(listener: Listener, resolver: None) -> None:
    async def password() -> str:
        return "p"

    def answer(request: httpx.Request) -> httpx.Response:
        if "Download" in request.url.path:
            return httpx.Response(303, headers={"location": f"http://bucket.example:{listener.port}/k"})
        return httpx.Response(
            200, json={"Success": True, "SessionId": "s" * 20} if "auth" in str(request.url) else "3.0.3"
        )

    core = PmaCore(AWAY, password, http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
    with pytest.raises(ProtocolError, match="this machine itself"):
        await core.download("Slides/a.svs", "a.svs").__aenter__()
    await core.close()
    assert listener.received == b""
