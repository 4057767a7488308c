"""Applies faults, rate limits and logging to one HTTP request, between the ASGI server and the application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from .faults import (
    CannedResponse,
    Corrupt,
    Delay,
    Drop,
    EndSessions,
    FaultInjector,
    Hold,
    IgnoreRanges,
    SaveHalf,
    SlowRead,
    StaleListings,
)
from .request_log import LoggedRequest, RequestLog
from .throttle import Throttle

ABORT_KEY = "pmacore_sandbox.abort"  # key in the ASGI scope: a function that cuts the TCP connection
CLOSE_KEY = "pmacore_sandbox.close"  # the same, once everything is sent that was given to it


class ConnectionDropped(Exception):
    """The connection was cut by a fault; there is nobody to answer."""


class InterceptedRequest:
    """One request with its `receive` and `send` wrapped: bytes counted and throttled, faults applied, the end logged.

    The application itself has to apply `answer`, `end_session`, `delay`, `stale_seconds`, `ignore_ranges` and
    `save_half`.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        path: str,
        log: RequestLog,
        faults: FaultInjector,
        throttle: Throttle | None,
    ) -> None:
        self.scope = scope
        self.path = path
        self.received = 0
        self.file_bytes = 0
        self._receive = receive
        self._send = send
        self._log = log
        self._logged = False
        self._sent = 0
        self._status = 0
        self._throttles = [throttle] if throttle else []
        self._holds: list[Hold] = []
        self._drop_at: int | None = None
        self._drop_answer = False
        self.answer: CannedResponse | None = None
        self.end_session: EndSessions | None = None
        self.stale_seconds = 0.0
        self.delay = 0.0
        self.ignore_ranges = False
        self.save_half: SaveHalf | None = None
        self._corrupt_at: list[int] = []
        for action in faults.actions(scope["method"], path):
            match action:
                case CannedResponse():
                    self.answer = action
                case Drop(after_bytes=None):
                    self._drop_answer = True
                case Drop(after_bytes=count):
                    self._drop_at = count
                case EndSessions():
                    self.end_session = action
                case Delay(seconds=seconds):
                    self.delay += seconds
                case StaleListings(seconds=seconds):
                    self.stale_seconds = seconds
                case SlowRead(bytes_per_second=rate):
                    self._throttles.append(Throttle(rate))
                case Corrupt(offset=offset):
                    self._corrupt_at.append(offset)
                case IgnoreRanges():
                    self.ignore_ranges = True
                case SaveHalf():
                    self.save_half = action
                case Hold():
                    self._holds.append(action)

    async def run(self, handling: Coroutine[Any, Any, None]) -> None:
        """Run what answers the request, and log the request in the end.

        Where the connection is gone there is nobody to answer, and no error.
        """
        with self._log.running():
            try:
                await handling
            except (ConnectionDropped, ClientDisconnect):
                pass
            finally:
                self.log()

    async def begin(self) -> None:
        """Apply the faults that come before a request is handled."""
        if self._drop_at == 0:
            await self.drop()
        await self._hold()

    async def receive(self) -> Message:
        """Return the next ASGI message of the request."""
        message = await self._receive()
        if message["type"] == "http.request":
            count = len(message["body"])
            self.received += count
            await self._throttle(count, self.received)
            await self._hold()
        return message

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the request's body as it comes. Raises ClientDisconnect where the connection ends before it."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            more = message["more_body"]
            yield message["body"]

    async def send(self, message: Message) -> None:
        """Send an ASGI message of the response."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._drop_answer:
                self._status = 0
                await self.drop()
            self.log()
        else:
            await self._send_body(message)
            return
        await self._send(message)

    async def _send_body(self, message: Message) -> None:
        body = message.get("body", b"")
        if self._drop_at is not None and self._sent + len(body) >= self._drop_at:
            await self._send({**message, "body": body[: self._drop_at - self._sent], "more_body": True})
            await self.drop(CLOSE_KEY)
        self._sent += len(body)
        self._log.sent += len(body)
        await self._throttle(len(body), self._sent)
        await self._send(message)

    def corrupt(self, data: bytes) -> bytes:
        """Apply fault `Corrupt` to the next bytes of the uploaded file."""
        if not self._corrupt_at:
            return data
        damaged = bytearray(data)
        for offset in self._corrupt_at:
            if 0 <= offset < len(data):
                damaged[offset] ^= 0xFF
        self._corrupt_at = [offset - len(data) for offset in self._corrupt_at if offset >= len(data)]
        return bytes(damaged)

    async def drop(self, how: str = ABORT_KEY) -> None:
        """Cut the connection, and wait until it is: uvicorn must not try to answer."""
        self.log()
        self.scope[how]()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise ConnectionDropped

    def log(self) -> None:
        """Put the request into the log, once: before its answer goes out, so that whoever has the answer finds it."""
        if not self._logged:
            self._logged = True
            entry = LoggedRequest(self.scope["method"], self.path, self._status, self.received, self.file_bytes)
            self._log.add(entry)

    async def _throttle(self, count: int, total: int) -> None:
        for throttle in self._throttles:
            await throttle.wait(count)
        if self._drop_at is not None and total >= self._drop_at:
            await self.drop()

    async def _hold(self) -> None:
        for hold in [hold for hold in self._holds if self.received >= hold.after_bytes]:
            self._holds.remove(hold)
            await hold.wait()
