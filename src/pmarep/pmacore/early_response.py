"""Streams that read while a request's body is sent: a server that has answered early wants no more of it."""

# ruff: noqa: ASYNC109 (httpcore hands time-outs on)

from __future__ import annotations

import asyncio
import re
import select
import ssl
import sys
from collections.abc import Iterable
from typing import Any

import anyio
import httpcore

_CHUNK = 64 * 1024
_LARGEST_READ = 256 * 1024
"""Bytes of a read, where httpcore asks for 64 KiB: as many as asyncio takes from a socket at once, which else is cut in
four, and each quarter costs as much as the whole."""

_TURNS = 8  # of the event loop, in which what has come is read

_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})\b")


class EarlyResponseBackend(httpcore.AsyncNetworkBackend):
    """A network backend of anyio whose streams are EarlyResponseStreams."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return EarlyResponseStream(stream)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class EarlyResponseStream(httpcore.AsyncNetworkStream):
    """A stream that reads while a request's body is written, and ends the writing where that was refused or broken off.

    RFC 9112, 9.5: "a client that is sending a message body should monitor the connection". IIS and others answer 413 to
    the headers and close; whoever only writes then finds a broken pipe, and the answer is lost. httpcore reads what has
    been said after a WriteError.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._socket = stream.get_extra_info("socket")
        self._writes = 0  # since something was read: the first is a request's head
        self._heard: asyncio.Task[bytes] | None = None  # while a body is sent: what comes, once it has come
        self._writing: anyio.CancelScope | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        self._writes = 0
        heard = self._heard
        if heard is None:
            return await self._stream.read(max(max_bytes, _LARGEST_READ), timeout)
        await asyncio.wait({heard}, timeout=timeout)
        if not heard.done():
            raise httpcore.ReadTimeout
        self._heard = None
        return heard.result()

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        self._writes += 1
        if self._writes == 1:
            await self._stream.write(buffer, timeout)
            return
        if self._heard is None:
            self._heard = asyncio.create_task(self._stream.read(_CHUNK))
            self._heard.add_done_callback(self._stop_writing)
        if not self._heard.done() and _is_readable(self._socket):
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        with anyio.CancelScope() as self._writing:
            self._stop_writing(self._heard)
            await self._stream.write(buffer, timeout)
        if self._writing.cancelled_caught:
            raise httpcore.WriteError("the other side has answered or closed")

    def _stop_writing(self, heard: asyncio.Task[bytes]) -> None:
        if self._writing is not None and _ends_writing(heard):
            self._writing.cancel()

    async def aclose(self) -> None:
        if self._heard is not None:
            self._heard.cancel()
            await asyncio.gather(self._heard, return_exceptions=True)
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        try:
            secured = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:  # after errors httpcore does that; this one nobody would ever close
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()
            raise
        return EarlyResponseStream(secured)

    def get_extra_info(self, info: str) -> Any:
        # Asked with each request, of the idle connection that it would use; anyio would look up all about the socket.
        return _is_readable(self._socket) if info == "is_readable" else self._stream.get_extra_info(info)


def _is_readable(socket: Any) -> bool:
    """Return whether something has come, the end included, that has not been read."""
    number = -1 if socket is None else socket.fileno()
    if number < 0:
        return True  # closed: a read would tell
    if sys.platform == "win32":
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


def _ends_writing(heard: asyncio.Task[bytes]) -> bool:
    """Return whether a refusal or the end has come. `100 Continue` is neither; after an early 200 it may read on."""
    if not heard.done():
        return False
    if heard.cancelled() or heard.exception() is not None:
        return True
    status = _STATUS.match(heard.result())
    return status is None or int(status[1]) >= 300
