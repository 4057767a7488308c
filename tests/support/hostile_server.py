"""A server that answers as a PMA.core should, but for what a test tells it to say instead: raw bytes, if need be.

server = HostileServer(network)
server.says["GetFiles"] = [1, 2]              # any JSON
server.says["transfer/Upload"] = redirect_to("http://127.0.0.1:9/")
cli.site("evil", server.url)
...
assert server.outside_the_contract() == []
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from support.network import LOOPBACK, Network

_CONTRACT = re.compile(
    r"GET api/json/(GetVersionInfo|GetRootDirectories|GetDirectories|GetFiles|GetFilenames|GetImageInfo|GetFingerprint"
    r"|Ping|DeAuthenticate)|POST api/json/(authenticate|CreateDirectory|DeleteSlide)"
    r"|POST transfer/Upload(/[A-Za-z0-9-]+|/CompleteMultipart)?|GET transfer/(Upload/[A-Za-z0-9-]+|Download)"
)
"""Everything that a client may ask of a PMA.core: method and path."""


@dataclass(frozen=True)
class RawAnswer:
    """Bytes instead of a whole HTTP answer, without end if `content` has none."""

    content: Callable[[], AsyncIterator[bytes]]

    @classmethod
    def of(cls, *pieces: bytes) -> RawAnswer:
        async def content() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return cls(content)


@dataclass(frozen=True)
class Asked:
    method: str
    target: str  # as it stood on the request line
    body: bytes

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0]).removeprefix("/")

    @property
    def query(self) -> dict[str, str]:
        return {name.lower(): value for name, value in parse_qsl(self.target.partition("?")[2])}


class HostileServer:
    """`says`: by the last part of the route's name (`GetFiles`, `transfer/Upload`, `post file`, `upload status`)."""

    def __init__(self, network: Network) -> None:
        self.says: dict[str, Any] = {}
        self.asked: list[Asked] = []
        self._announced: list[dict[str, Any]] = []
        self._folder = ""
        self.url = f"http://{LOOPBACK}:{network.serve(self._handle)}/"

    def outside_the_contract(self) -> list[str]:
        """What was asked that no PMA.core knows."""
        asked = [f"{one.method} {one.path}" for one in self.asked]
        return [one for one in asked if not _CONTRACT.fullmatch(one)]

    def paths(self) -> list[str]:
        return [one.path for one in self.asked]

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.partition("\r\n")[0].split(" ")
            length = re.search(r"content-length: *([0-9]+)", head, re.IGNORECASE)
            asked = Asked(method, target, await reader.readexactly(int(length[1]) if length else 0))
            self.asked.append(asked)
            answer = self._answer(asked)
            if isinstance(answer, RawAnswer):
                with suppress(OSError):
                    async for piece in answer.content():
                        writer.write(piece)
                        await writer.drain()
                return
            content = json.dumps(answer).encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
            )
            writer.write(content)
            await writer.drain()

    def _answer(self, asked: Asked) -> Any:
        name, honest = self._honest(asked)
        answer = self.says.get(name, honest)
        return answer(asked) if callable(answer) and not isinstance(answer, RawAnswer) else answer

    def _honest(self, asked: Asked) -> tuple[str, Any]:
        path = asked.path
        if path.startswith("api/json/"):
            name = path.removeprefix("api/json/")
            return name, {
                "GetVersionInfo": "3.0.3.2222",
                "authenticate": {"Success": True, "SessionId": "the-session"},
                "GetRootDirectories": ["Slides"],
                "GetDirectories": ["Slides/in"],
                "GetFiles": [],
                "GetFilenames": [
                    {"Path": f"{self._folder}/{file['Path']}", "Size": file["Length"]} for file in self._announced
                ],
                "GetImageInfo": {"Width": 1},
            }.get(name, True)
        if path == "transfer/Upload":
            announcement = json.loads(asked.body)
            self._folder, self._announced = announcement["Path"], announcement["Files"]
            return path, {"Id": 17, "UploadType": 0}
        if asked.method == "GET":
            return "upload status", {"Files": [{"Path": file["Path"], "Complete": True} for file in self._announced]}
        return "post file", {}


def redirect_to(url: str, status: int = 302) -> RawAnswer:
    return RawAnswer.of(f"HTTP/1.1 {status} Found\r\nLocation: {url}\r\nContent-Length: 0\r\n\r\n".encode())


def endless(head: bytes, piece: bytes) -> RawAnswer:
    """An answer that never ends, as fast as it is read."""

    async def content() -> AsyncIterator[bytes]:
        yield head
        while True:
            yield piece

    return RawAnswer(content)


def encoded(coding: str, body: bytes) -> RawAnswer:
    """A 200 with a `Content-Encoding`."""
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Type: application/json\r\n"
    return RawAnswer.of(f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body)
