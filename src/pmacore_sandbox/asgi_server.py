"""Serves an ASGI application on a socket: in the foreground, or on a thread of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pmarep.errors import PmarepError, UsageError

from .middleware import ABORT_KEY, CLOSE_KEY

START_STOP_TIMEOUT = 60.0  # seconds; starting and stopping take 0.3, and more on a busy machine


class AbortableConnection(HttpToolsProtocol):
    """A uvicorn connection that the application can cut: ASGI has no message for that."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[ABORT_KEY] = self.transport.abort  # type: ignore[literal-required]
        self.scope[CLOSE_KEY] = self.transport.close  # type: ignore[literal-required]


class AsgiServer(uvicorn.Server):
    """A uvicorn server that calls back when it listens, and cuts all connections when it stops.

    `release` is called then, and ends whatever holds a request.
    """

    def __init__(
        self,
        app: Any,
        on_listening: Callable[[], None],
        on_stopped: Callable[[], Awaitable[None]] | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        # No access log and no logging set-up: session ids stand in every URL.
        config = uvicorn.Config(
            app, http=AbortableConnection, ws="none", lifespan="off", access_log=False, log_config=None,
            server_header=False, timeout_graceful_shutdown=3,
        )  # fmt: skip
        super().__init__(config)
        self._on_listening = on_listening
        self._on_stopped = on_stopped
        self._release = release

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        if self._release is not None:
            self._release()
        await super().shutdown(sockets)
        if self._on_stopped is not None:
            await self._on_stopped()


def bind_socket(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 picks a free one. Raises UsageError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, UnicodeError) as error:  # UnicodeError: no host has such a name
        listener.close()
        named = isinstance(error, socket.gaierror | UnicodeError)
        reason = getattr(error, "strerror", None) or "no such host"
        other = "name an address of this machine" if named else "choose another port or address"
        raise UsageError(f"cannot listen on {host}:{port}: {reason}; {other}") from error
    return listener


class BackgroundServer:
    """A server of one application on a thread of its own."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        name: str,
        on_stopped: Callable[[], Awaitable[None]] | None = None,
        release: Callable[[], None] | None = None,
    ) -> None:
        self._name = name
        self._listening = threading.Event()
        self._server = AsgiServer(app, self._listening.set, on_stopped, release)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name=name, daemon=True)

    def start(self) -> Self:
        """Start the thread, and wait until the server listens. Raises PmarepError."""
        self._thread.start()
        if not self._listening.wait(START_STOP_TIMEOUT):
            raise PmarepError(f"the {self._name} did not start; its log says why")
        return self

    def ask_to_stop(self) -> None:
        """Begin to stop, without waiting."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Cut all connections, stop listening and wait for the end. Raises PmarepError."""
        self.ask_to_stop()
        self._thread.join(START_STOP_TIMEOUT)
        if self._thread.is_alive():
            raise PmarepError(f"the {self._name} did not stop")
