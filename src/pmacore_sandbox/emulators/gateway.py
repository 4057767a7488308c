"""A reverse proxy in front of a storage emulator (moto or Azurite).

It validates what the emulator does not (`validation`), logs without secrets, and injects faults. A body is read whole
and only then passed on, so that a broken request leaves nothing behind, as in the real storages.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

import httpx
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ..asgi_server import START_STOP_TIMEOUT, BackgroundServer, bind_socket
from ..faults import CannedResponse, FaultInjector
from ..middleware import ABORT_KEY, InterceptedRequest
from ..request_log import RequestLog
from ..throttle import Throttle
from .validation import RequestHead, RequestValidator

_CHUNK = 1 << 20
_IN_MEMORY = 16 << 20  # larger bodies wait in a temporary file
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "expect"}
_OWN = _HOP_BY_HOP | {"date", "server"}


@dataclass(frozen=True)
class StorageRequest:
    """One request at a storage. `key` is relative to bucket or container.

    `part` is S3's part number, Azure's block id (as sent, base64) or "blocklist", and empty for a whole object.
    `status` is 0 where the connection ended without an answer; `received` counts the bytes of the body.
    """

    method: str
    key: str
    part: str
    status: int
    received: int


class Gateway:
    """A reverse proxy on a thread of this process; `target` is the emulator's address, `rate` in bytes per second.

    Rules in `faults` match `key?partNumber=3`, `key?comp=block&blockid=...` and `key?comp=blocklist`.
    """

    def __init__(self, target: str, *, rate: float | None = None) -> None:
        self.faults = FaultInjector()
        self._target = target.rstrip("/")
        self._rate = rate
        self._log = RequestLog()
        self._listener = bind_socket("127.0.0.1", 0)
        host, port = self._listener.getsockname()
        self.url = f"http://{host}:{port}"
        self._app: _App | None = None
        self._serving: BackgroundServer | None = None

    def start(self, validator: RequestValidator) -> Self:
        app = self._app = _App(self._target, validator, self.faults, self._log, self._rate)
        self._serving = BackgroundServer(app, self._listener, "gateway", app.close, self.faults.clear).start()
        return self

    def remove_rate_limit(self) -> None:
        """Slow down no request that comes from now on."""
        if self._app is not None:
            self._app.throttle = None

    def ask_to_stop(self) -> None:
        if self._serving is not None:
            self._serving.ask_to_stop()

    def stop(self) -> None:
        self.ask_to_stop()
        if self._serving is not None:
            self._serving.stop()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def requests(self) -> list[StorageRequest]:
        """The requests so far, in order of their answers."""
        return [_request(entry.method, entry.path, entry.status, entry.received) for entry in self._log.entries]

    def clear_requests(self) -> None:
        self._log.clear()

    def wait_idle(self, timeout: float = START_STOP_TIMEOUT) -> bool:
        """Wait until no request is being handled; False at the timeout."""
        return self._log.wait_idle(timeout)


class _App:
    def __init__(
        self, target: str, validator: RequestValidator, faults: FaultInjector, log: RequestLog, rate: float | None
    ) -> None:
        self._target = target
        self._validator = validator
        self._faults = faults
        self._log = log
        self.throttle = Throttle(rate) if rate else None
        self._http: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = _head(scope)
        path = self._validator.label(head)
        request = InterceptedRequest(
            scope, receive, send, path=path, log=self._log, faults=self._faults, throttle=self.throttle
        )
        await request.run(self._run(request, head))

    async def _run(self, request: InterceptedRequest, head: RequestHead) -> None:
        await request.begin()
        await asyncio.sleep(request.delay)
        answer = request.answer or self._validator.check_head(head)
        if answer is not None:
            await _response(answer)(request.scope, request.receive, request.send)
            if answer.hang_up:
                request.scope[ABORT_KEY]()
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body:
            md5 = await _read_body(request, body)
            refusal = self._validator.check_body(head, md5)
            response = _response(refusal) if refusal else await self._forward(head, body)
            await response(request.scope, request.receive, request.send)

    async def _forward(self, head: RequestHead, body: IO[bytes]) -> Response:
        if self._http is None:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=32)
            # The emulator speaks plain http: to read all certificates that httpx trusts would cost 25 ms of CPU.
            plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._http = httpx.AsyncClient(timeout=60, trust_env=False, limits=limits, verify=plain)
        headers = {name: value for name, value in head.headers.items() if name not in _HOP_BY_HOP}
        request = self._http.build_request(
            head.method,
            self._target,
            headers=headers,
            content=_chunks(body) if "content-length" in headers else None,
            extensions={"target": head.target.encode("latin-1")},
        )
        try:
            answer = await self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            return Response(f"the emulator behind the gateway failed: {type(error).__name__}", 502)
        # moto says text/html of everything, also of nothing at all.
        empty = {"content-type"} if answer.headers.get("content-length") == "0" else set()
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN | empty}
        done = BackgroundTask(answer.aclose)
        return StreamingResponse(answer.aiter_raw(_CHUNK), answer.status_code, kept, background=done)


def _head(scope: Scope) -> RequestHead:
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return RequestHead(scope["method"], target.decode("latin-1"), headers)


def _response(answer: CannedResponse) -> Response:
    return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)


async def _read_body(request: InterceptedRequest, body: IO[bytes]) -> bytes:
    """Read a request's body into a file; return its MD5."""
    md5 = hashlib.md5(usedforsecurity=False)
    async for chunk in request.body():
        data = request.corrupt(chunk)
        request.file_bytes += len(data)
        md5.update(data)
        body.write(data)
    body.seek(0)
    return md5.digest()


async def _chunks(body: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := body.read(_CHUNK):
        yield chunk


def _request(method: str, label: str, status: int, received: int) -> StorageRequest:
    key, _, query = label.partition("?")
    values = dict(pair.partition("=")[::2] for pair in query.split("&"))
    part = values.get("partNumber") or values.get("blockid") or values.get("comp") or ""
    return StorageRequest(method, key, part, status, received)
