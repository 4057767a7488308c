"""A TCP proxy before a sandbox, or before the storage behind one, that breaks what passes through it.

    with Network() as network:
        proxy = FaultProxy(network, RandomFaults(seed=7, share=0.05), sandbox.url)
        cli.site("tokyo", proxy.url)

It reads the heads of requests, for it has to know where one begins, and nothing of the answers: what a client gets is
what the server said, up to the byte where it breaks. Whole answers of somebody in between (IIS, a sign-in page) are the
sandbox's own `CannedResponse`.

What befalls a request depends on the seed, on what is asked, and on how often that was asked before; not on the order
in which requests come. So the same seed breaks the same requests again, however the machine is loaded.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from pmacore_sandbox import CannedResponse
from support.network import LOOPBACK, Network

_CHUNK = 1 << 16
_SHOWN = ("path", "pathoruid", "image", "partnumber", "comp", "blockid")  # of a query: what is no secret
_RANDOM = re.compile(r"(?<=transfer/upload/)[0-9]+|(?<=bucket-)[0-9a-f]+|(?<=container-)[0-9a-f]+", re.IGNORECASE)


@dataclass(frozen=True)
class ProxiedRequest:
    """A request: `label` names it without secrets and without ids that differ between runs, `nth` counts from 1.

    `length` is that of the body in bytes.
    """

    method: str
    label: str
    nth: int
    length: int


@dataclass(frozen=True)
class Reset:
    """A TCP reset when so many bytes of the request, head and body, have passed."""

    after_bytes: int


@dataclass(frozen=True)
class CutAnswer:
    """The request goes through; its answer ends after so many bytes, with a reset or in good order."""

    after_bytes: int
    reset: bool = False


@dataclass(frozen=True)
class Stall:
    """Silence for ever, the connection staying open: after so many bytes of the request, or of the answer."""

    after_bytes: int
    of_answer: bool = False


@dataclass(frozen=True)
class Slow:
    """Both directions no faster than this."""

    bytes_per_second: float


@dataclass(frozen=True)
class Damage:
    """The bits of one byte of the request's body are flipped on the way."""

    offset: int


@dataclass(frozen=True)
class Do:
    """Something happens elsewhere just before this request: sessions end, URLs expire. Called on the proxy's thread."""

    name: str
    what: Callable[[], None] = field(compare=False)

    def __repr__(self) -> str:
        return f"Do({self.name})"


Fault = Reset | CutAnswer | Stall | Slow | Damage | Do | CannedResponse


class FaultPlan(Protocol):
    """Decides what befalls each request."""

    def fault(self, seen: ProxiedRequest, /) -> Fault | None: ...


class NoFaults:
    """Nothing ever happens."""

    def fault(self, _seen: ProxiedRequest, /) -> Fault | None:
        return None


class RandomFaults:
    """`share` of all requests fail, each in one of the `kinds`, which get a random generator of their own.

    A kind that gives None does not fit this request, so another one is tried.
    """

    def __init__(
        self, seed: int, share: float, kinds: Sequence[Callable[[random.Random, ProxiedRequest], Fault | None]]
    ) -> None:
        self._seed = seed
        self._share = share
        self._kinds = kinds

    def fault(self, seen: ProxiedRequest, /) -> Fault | None:
        name = f"{self._seed} {seen.method} {seen.label} {seen.nth}"
        chance = random.Random(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
        if chance.random() >= self._share:
            return None
        for kind in chance.sample(self._kinds, len(self._kinds)):
            if (fault := kind(chance, seen)) is not None:
                return fault
        return None


class ScriptedFaults:
    """The faults in `happens`, one after the other, to the requests whose label matches `path`."""

    def __init__(self, path: str, *happens: Fault, method: str | None = None) -> None:
        self._path = re.compile(path, re.IGNORECASE)
        self._happens = list(happens)
        self._method = method

    def fault(self, seen: ProxiedRequest, /) -> Fault | None:
        if not self._happens or self._method not in (None, seen.method) or not self._path.search(seen.label):
            return None
        return self._happens.pop(0)


class FaultProxy:
    """Listens on a port of its own; `target` (http://host:port) can be set later, and changed.

    `log` says what befell which request, in order.
    """

    def __init__(self, network: Network, plan: FaultPlan | None = None, target: str = "") -> None:
        self.plan: FaultPlan = plan or NoFaults()
        self.target = target
        self.log: list[str] = []
        self.requests = 0
        # Held here: a connection that only waits for something of its own would be garbage.
        self.never = asyncio.Event()
        self._asked: Counter[str] = Counter()
        self._port = network.serve(self._handle)

    @property
    def origin(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def url(self) -> str:
        """What stands in a site book: with a slash at the end."""
        return self.origin + "/"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to = urlsplit(self.target)
        far_reader, far_writer = await asyncio.open_connection(to.hostname, to.port)
        connection = _ProxiedConnection(self, reader, writer, far_reader, far_writer)
        directions = [asyncio.create_task(connection.requests()), asyncio.create_task(connection.answers())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            far_writer.transport.abort()
            writer.close()

    def decide(self, head: _Head) -> Fault | None:
        self.requests += 1
        self._asked[f"{head.method} {head.label}"] += 1
        seen = ProxiedRequest(head.method, head.label, self._asked[f"{head.method} {head.label}"], head.length)
        fault = self.plan.fault(seen)
        if fault is not None:
            what = f"{fault.status}" if isinstance(fault, CannedResponse) else f"{fault}"
            self.log.append(f"{seen.method} {seen.label} #{seen.nth}: {what}")
        return fault


class _Over(Exception):
    """The connection has been dealt with."""


class _ProxiedConnection:
    """One connection of a client, and ours to the target."""

    def __init__(
        self,
        proxy: FaultProxy,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._reader, self._writer = reader, writer
        self._far_reader, self._far_writer = far_reader, far_writer
        self._fault: Fault | None = None
        self._asked = 0  # bytes of this request that have passed
        self._answered = 0  # bytes of its answer

    async def requests(self) -> None:
        with suppress(_Over, OSError, asyncio.IncompleteReadError):
            while True:
                await self._request(await _Head.read(self._reader))

    async def _request(self, head: _Head) -> None:
        self._asked = self._answered = 0
        fault = self._fault = self._proxy.decide(head)
        if isinstance(fault, Do):
            fault.what()
        if isinstance(fault, CannedResponse):
            await self._answer_ourselves(head, fault)
            return
        await self._forward(head.raw)
        left = head.length
        while left:
            data = await self._reader.read(min(left, _CHUNK))
            if not data:
                raise _Over
            at = head.length - left
            left -= len(data)
            if isinstance(fault, Damage) and at <= fault.offset < at + len(data):
                damaged = bytearray(data)
                damaged[fault.offset - at] ^= 0xFF
                data = bytes(damaged)
            await self._forward(data)

    async def _forward(self, data: bytes) -> None:
        fault = self._fault
        if isinstance(fault, Reset | Stall) and not getattr(fault, "of_answer", False):
            left = fault.after_bytes - self._asked
            if left < len(data):
                self._far_writer.write(data[: max(left, 0)])
                await self._far_writer.drain()
                await self._end(fault)
        self._asked += len(data)
        self._far_writer.write(data)
        await self._far_writer.drain()
        await self._brake(len(data))

    async def answers(self) -> None:
        with suppress(_Over, OSError):
            while data := await self._far_reader.read(_CHUNK):
                fault = self._fault
                if isinstance(fault, CutAnswer) or (isinstance(fault, Stall) and fault.of_answer):
                    left = fault.after_bytes - self._answered
                    if left < len(data):
                        self._writer.write(data[: max(left, 0)])
                        await self._writer.drain()
                        await self._end(fault)
                self._answered += len(data)
                self._writer.write(data)
                await self._writer.drain()
                await self._brake(len(data))

    async def _end(self, fault: Reset | CutAnswer | Stall) -> None:
        if isinstance(fault, Stall):
            await self._proxy.never.wait()  # until the proxy is closed
        if isinstance(fault, Reset) or (isinstance(fault, CutAnswer) and fault.reset):
            reset(self._writer)
        raise _Over

    async def _brake(self, count: int) -> None:
        if isinstance(self._fault, Slow):
            await asyncio.sleep(count / self._fault.bytes_per_second)

    async def _answer_ourselves(self, head: _Head, answer: CannedResponse) -> None:
        left = 0 if answer.hang_up else head.length
        while left:
            data = await self._reader.read(min(left, _CHUNK))
            if not data:
                raise _Over
            left -= len(data)
        self._writer.write(rendered(answer))
        await self._writer.drain()
        if answer.hang_up:
            raise _Over


@dataclass(frozen=True)
class _Head:
    raw: bytes
    method: str
    label: str
    length: int

    @classmethod
    async def read(cls, reader: asyncio.StreamReader) -> _Head:
        raw = await reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        assert "transfer-encoding" not in headers, "pmarep always says how long its bodies are"
        method, target, _ = first.split(" ")
        return cls(raw, method, label(target), int(headers.get("content-length", "0")))


def label(target: str) -> str:
    """A request's name: path and query without secrets, and without what is random in every run."""
    path, _, query = target.partition("?")
    shown = [f"{name.lower()}={value}" for name, value in parse_qsl(query) if name.lower() in _SHOWN]
    return _RANDOM.sub("*", unquote(path).strip("/")) + ("?" + "&".join(shown) if shown else "")


def rendered(answer: CannedResponse) -> bytes:
    """The bytes of an answer, as a server sends them that keeps the connection open unless it hangs up."""
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    headers: Mapping[str, str] = {
        "Content-Type": answer.content_type,
        **answer.headers,
        "Content-Length": str(len(body)),
        "Connection": "close" if answer.hang_up else "keep-alive",
    }
    known = {status.value: status.phrase for status in HTTPStatus}
    lines = [f"HTTP/1.1 {answer.status} {known.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset, not in good order: what a firewall does to connections that it no longer likes."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
