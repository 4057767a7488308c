"""Connections that somebody closes without a word, and answers that come before a request has ended."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support import in_process
from support.corpus import tree, write_mirax
from support.fault_proxy import _Head, reset
from support.network import LOOPBACK, Authority, Network
from support.sandboxes import PASSWORD

from pmacore_sandbox import CannedResponse, Sandbox
from pmarep.events import SiteState, State
from pmarep.pmacore import Connection, PmaCore, TooLarge, TransferBroken
from pmarep.pmacore.http import Body, Request, ask
from pmarep.sites import Site
from pmarep.uploaders.presigned import PresignedClient

ROUNDS = 20
MIB = 1024**2
TOO_LARGE = b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ClosingProxy:
    """Closes each connection just when the second request comes, as if it had done so a moment before.

    That is what a proxy does that closes 30 ms after each answer, at the worst moment. `closed` counts.
    """

    def __init__(self, network: Network, target: str, *, resets: bool) -> None:
        self._target = urlsplit(target)
        self._resets = resets
        self.closed = 0
        self.url = f"http://{LOOPBACK}:{network.serve(self._handle)}/"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        answering = asyncio.create_task(self._copy(far_reader, writer))
        try:
            head = await _Head.read(reader)
            far_writer.write(head.raw + await reader.readexactly(head.length))
            if await reader.read(1):
                self.closed += 1
                if self._resets:
                    reset(writer)
        finally:
            answering.cancel()
            far_writer.close()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)


@pytest.mark.parametrize("resets", [True, False])
async def test_a_proxy_that_closes_every_connection_after_an_answer(
    tmp_path: Path, network: Network, sandbox: Sandbox, caplog: pytest.LogCaptureFixture, resets: bool
) -> None:
    """Each request that meets that goes again at once: no pause, nothing that the site is blamed for."""
    write_mirax(tmp_path / "cases/m.mrxs", data_files=2, data_size=300_000)
    tree(tmp_path / "cases", *(f"{number}.svs" for number in range(8)), content=os.urandom(1000))
    proxy = ClosingProxy(network, sandbox.url, resets=resets)
    site = Site(name="tokyo", url=proxy.url, username="seeder", target="Slides/in")
    with caplog.at_level(logging.INFO, "pmarep.retry"):
        report = await in_process.push(tmp_path / "cases", [site], tmp_path / "state", PASSWORD, patience=3600.0)
    assert report.code == 0, report.error("tokyo")
    assert proxy.closed
    assert "attempt" not in caplog.text
    assert not [e for e in report.events if isinstance(e, SiteState) and e.state is State.PAUSED]
    assert report.summary.sites["tokyo"].bytes_sent == sum(
        file.stat().st_size for file in (tmp_path / "cases").rglob("*") if file.is_file()
    )
    assert sandbox.open_sessions == 0


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


class LoginResettingProxy:
    """Passes requests on one by one. Resets a used connection when the server has answered a log-in that came over it,
    and keeps the answer to itself: once it is `armed`.
    """

    def __init__(self, network: Network, target: str) -> None:
        self._target = urlsplit(target)
        self.armed = False
        self.log_ins = 0
        self.url = f"http://{LOOPBACK}:{network.serve(self._handle)}/"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        used = False
        try:
            while True:
                head = await _Head.read(reader)
                far_writer.write(head.raw + await reader.readexactly(head.length))
                answer = await _read_answer(far_reader)
                is_log_in = head.label.startswith("api/json/authenticate")
                self.log_ins += is_log_in
                if is_log_in and used and self.armed:
                    reset(writer)
                    return
                writer.write(answer)
                used = True
        except asyncio.IncompleteReadError:
            pass
        finally:
            far_writer.close()
            writer.close()


async def test_a_second_log_in_is_not_handled_twice(network: Network, sandbox: Sandbox) -> None:
    """A session that nobody knows would count against a licence until it ends by itself."""

    async def password() -> str:
        return PASSWORD

    proxy = LoginResettingProxy(network, sandbox.url)
    async with PmaCore(Connection(proxy.url, "seeder", proxy="none"), password) as core:
        assert await core.root_directories()
        sandbox.end_all_sessions()
        proxy.armed = True
        assert await core.root_directories()
        assert (proxy.log_ins, core.logins) == (2, 2)
    assert sandbox.open_sessions == 0


class Origin:
    """A server that acknowledges whole requests, and keeps what it was sent."""

    def __init__(self, network: Network) -> None:
        self.got: list[bytes] = []
        self.url = f"http://{LOOPBACK}:{network.serve(self._handle)}/"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await _Head.read(reader)
            self.got.append(await reader.readexactly(head.length))
            writer.write(b"HTTP/1.1 200 OK\r\nETag: e\r\nContent-Length: 0\r\n\r\n")


async def pieces(*content: bytes) -> AsyncGenerator[bytes, None]:
    for piece in content:
        yield piece


@pytest.mark.parametrize("resets", [True, False])
async def test_a_storage_behind_such_a_proxy(network: Network, resets: bool) -> None:
    origin = Origin(network)
    proxy = ClosingProxy(network, origin.url, resets=resets)
    storage = PresignedClient(Connection(proxy.url, "u", proxy="none"), allow_http=True)
    try:
        for _ in range(3):
            await storage.put(f"{proxy.url}x?sig=s", lambda: pieces(b"some ", b"bytes"), 10, {})
            await storage.put(f"{proxy.url}x?sig=s", b"a list", 6, {})
    finally:
        await storage.close()
    assert origin.got == [b"some bytes", b"a list"] * 3
    assert proxy.closed


async def test_a_new_connection_that_breaks_is_a_failure(network: Network) -> None:
    """Else a server that takes nothing would be asked twice as often."""
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await _Head.read(reader)).raw)
        reset(writer)

    connection = Connection(f"http://{LOOPBACK}:{network.serve(handle)}/", "u", proxy="none")
    async with connection.http() as http:
        with pytest.raises(TransferBroken):
            await ask(http, connection, Request("GET", "api/json/GetVersionInfo"))
    assert len(asked) == 1


# Answers that come early


def early(
    network: Network,
    *,
    reads: int = 0,
    closes: bool = True,
    answer: bytes = TOO_LARGE,
    tls: ssl.SSLContext | None = None,
) -> str:
    """The url of a server that answers when it has the head and so many bytes of the body."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _Head.read(reader)
        await reader.readexactly(reads)
        writer.write(answer)
        await writer.drain()
        if not closes:  # nor reads on
            await asyncio.Event().wait()

    return f"http{'s' if tls else ''}://{LOOPBACK}:{network.serve(handle, tls)}/"


async def post(url: str, size: int, ca: Path | None = None) -> None:
    connection = Connection(url, "u", ca, proxy="none")

    async def content() -> AsyncGenerator[bytes, None]:
        for _ in range(size // 65536):
            yield bytes(65536)

    request = Request("POST", "transfer/Upload/1", body=Body(content, size, "x/y"), any_answer=True)
    async with connection.http() as http:
        await ask(http, connection, request)


@pytest.mark.parametrize(("reads", "size"), [(0, MIB), (0, 64 * MIB), (MIB, 64 * MIB)])
async def test_a_refusal_before_the_end_of_a_body_is_heard(network: Network, reads: int, size: int) -> None:
    """At once, and not after the 60 s of silence, although the server reads no more."""
    async with asyncio.timeout(30):
        with pytest.raises(TooLarge):
            await post(early(network, reads=reads, closes=False), size)


async def test_a_refusal_is_heard_over_tls(tmp_path: Path, network: Network) -> None:
    ca = Authority(tmp_path)
    async with asyncio.timeout(30):
        with pytest.raises(TooLarge):
            await post(early(network, closes=False, tls=ca.server(ca.issue(LOOPBACK))), 64 * MIB, ca.pem)


@pytest.mark.parametrize(("reads", "size"), [(0, MIB), (0, 64 * MIB), (MIB, 64 * MIB)])
async def test_a_refusal_is_heard_although_the_connection_is_reset_right_after_it(
    network: Network, reads: int, size: int
) -> None:
    """Where the kernel says so before we have read it, which is seldom, it is heard the next time."""
    received = 0
    for _ in range(ROUNDS):
        try:
            await post(early(network, reads=reads), size)
        except TooLarge:
            received += 1
        except TransferBroken:
            pass
    assert received > ROUNDS / 2


async def test_the_end_of_a_connection_without_an_answer(network: Network) -> None:
    for answer in (b"", b"HTTP/1.1 100 Continue\r\n\r\n"):
        with pytest.raises(TransferBroken):
            await post(early(network, answer=answer), 64 * MIB)


async def test_a_server_that_answers_200_early_gets_the_rest_of_the_body(network: Network) -> None:
    got: list[int] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await _Head.read(reader)
        for piece in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        got.append(len(await reader.readexactly(head.length)))
        writer.write(b"{}")

    await post(f"http://{LOOPBACK}:{network.serve(handle)}/", 8 * MIB)
    assert got == [8 * MIB]


async def test_a_slide_that_is_too_large_is_sent_once(tmp_path: Path, sandbox: Sandbox) -> None:
    """As IIS refuses it: 413 to the head, and no more of the connection."""
    tree(tmp_path / "cases", "large.svs", content=os.urandom(8 * MIB))
    page = CannedResponse.iis(413, "413.1 - Request Entity Too Large")
    rule = sandbox.faults.add(CannedResponse(413, page.body, page.content_type, hang_up=True), path="path=")
    site = Site(name="tokyo", url=sandbox.url, username="seeder", target="Slides/in")
    report = await in_process.push(tmp_path / "cases", [site], tmp_path / "state", PASSWORD, patience=3600.0)
    assert "the server takes no file of this size" in report.error("tokyo")
    assert rule.hits <= 3  # it were dozens
