"""Running a sandbox: in the foreground for the command, on a thread of its own for tests and the demo."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pmarep.errors import PmarepError

from .app import App
from .core import Core
from .exchange import ABORT
from .faults import Faults
from .requests import LoggedRequest, RequestLog
from .settings import Settings

_PATIENCE = 10.0  # seconds; starting and stopping take 0.3


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which the application may cut: what ASGI has no word for."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[ABORT] = self.transport.abort  # type: ignore[literal-required]


class _Server(uvicorn.Server):
    """Says when it listens, and can cut all connections when it stops."""

    def __init__(self, app: App, on_listening: Callable[[], None]) -> None:
        # No access log and no logging set-up: session ids stand in every URL.
        config = uvicorn.Config(
            app, http=Connection, ws="none", lifespan="off", access_log=False, log_config=None, server_header=False,
            timeout_graceful_shutdown=3,
        )  # fmt: skip
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await super().shutdown(sockets)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise PmarepError(f"cannot listen on {settings.host}:{settings.port}: {reason}; choose another port") from error
    return listener


def _open(settings: Settings, listener: socket.socket) -> Core:
    try:
        return Core(settings)
    except OSError as error:
        listener.close()
        raise PmarepError(f"cannot use the data folder {settings.data}: {error.strerror}; choose another") from error


def _url(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}{settings.path}"


def run(settings: Settings, on_listening: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, then return. Calls `on_listening` with the base URL."""
    listener = _listen(settings)
    url = _url(settings, listener.getsockname()[1])
    core = _open(settings, listener)
    server = _Server(App(core, Faults(), RequestLog()), lambda: on_listening(url))
    # uvicorn raises the signal again when it has stopped; stopping is what was asked for, so that one is ignored.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run([listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        core.close()


class Sandbox:
    """A sandbox on a thread of this process. `faults` and the request log outlive a restart, sessions do not."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = Faults()
        self._log = RequestLog()
        self._core: Core | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen; on a free port at the first time, on the same one afterwards."""
        listener = _listen(self.settings)
        self.settings = dataclasses.replace(self.settings, port=listener.getsockname()[1])
        listening = threading.Event()
        self._core = _open(self.settings, listener)
        self._server = _Server(App(self._core, self.faults, self._log), listening.set)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="sandbox", daemon=True)
        self._thread.start()
        if not listening.wait(_PATIENCE):
            raise PmarepError("the sandbox did not start; its log says why")
        return self

    def ask_to_stop(self) -> None:
        """Begin to stop, without waiting: several sandboxes stop faster together."""
        self.faults.clear()
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """Cut all connections and stop listening. What is on disk stays."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(_PATIENCE)
            if self._thread.is_alive():
                raise PmarepError("the sandbox did not stop")
        if self._core is not None:
            self._core.close()
        self._server = self._thread = self._core = None

    def restart(self, **changes: Any) -> None:
        """Stop and start on the same port and data, with other settings if wanted (`forget_uploads=True`)."""
        self.stop()
        self.settings = dataclasses.replace(self.settings, **changes)
        self.start()

    @property
    def url(self) -> str:
        """The base URL, with one slash at its end; also while stopped."""
        return _url(self.settings, self.settings.port)

    @property
    def data(self) -> Path:
        return self.settings.data

    @property
    def requests(self) -> list[LoggedRequest]:
        """What was asked so far, in order of the answers."""
        return self._log.entries

    def clear_requests(self) -> None:
        self._log.clear()

    def wait_idle(self, timeout: float = _PATIENCE) -> bool:
        """Wait until no request is being handled, e.g. after a client was killed; False at the timeout."""
        return self._log.wait_idle(timeout)

    def received_files(self) -> dict[str, int]:
        """Bytes of files that arrived in all POSTs so far, also in refused and broken ones, by announced path."""
        counts: dict[str, int] = {}
        for entry in self.requests:
            route, _, query = entry.path.partition("?path=")
            if entry.method == "POST" and query and route.lower().startswith("transfer/upload/"):
                counts[query] = counts.get(query, 0) + entry.file_bytes
        return counts

    @property
    def open_sessions(self) -> int:
        return 0 if self._core is None else len(self._core.sessions)

    def end_all_sessions(self) -> None:
        if self._core is not None:
            self._core.sessions.end_all()

    def forget_uploads(self) -> None:
        """Know no announced upload any more, as after an IIS recycle; the files stay."""
        if self._core is not None:
            self._core.uploads.forget_all()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@contextlib.contextmanager
def serve(settings: Settings) -> Iterator[Sandbox]:
    """A running sandbox on a loopback port of its own, stopped at the end of the block."""
    with Sandbox(settings) as sandbox:
        yield sandbox
