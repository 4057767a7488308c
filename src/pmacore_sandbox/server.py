"""Runs a sandbox: in the foreground for the command, on a thread of its own for tests and the demo."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import socket
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pmarep.errors import UsageError

from .app import App
from .asgi_server import START_STOP_TIMEOUT, AsgiServer, BackgroundServer, bind_socket
from .core import Core
from .faults import FaultInjector
from .request_log import LoggedRequest, RequestLog
from .sessions import SessionRegistry
from .settings import Settings


def _open(settings: Settings, listener: socket.socket, sessions: SessionRegistry | None = None) -> Core:
    try:
        return Core(settings, sessions)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot use the data folder {settings.data}: {error.strerror}; choose another") from error


def _url(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}{settings.path}"


def run(settings: Settings, on_listening: Callable[[str], None], faults: FaultInjector | None = None) -> None:
    """Serve until SIGINT or SIGTERM, then return. Calls `on_listening` with the base URL."""
    listener = bind_socket(settings.host, settings.port)
    url = _url(settings, listener.getsockname()[1])
    core = _open(settings, listener)
    faults = faults or FaultInjector()
    server = AsgiServer(App(core, faults, RequestLog()), lambda: on_listening(url), release=faults.clear)
    # uvicorn raises the signal again when it has stopped; stopping is what was asked for, so that one is ignored.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        server.run([listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        core.close()


class Sandbox:
    """A sandbox on a thread of this process. The request log outlives a restart, sessions do not unless the settings
    say so. `faults` are in force until it stops, and then forgotten.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.faults = FaultInjector()
        self._log = RequestLog()
        self._core: Core | None = None
        self._sessions: SessionRegistry | None = None
        self._serving: BackgroundServer | None = None
        self._reserved: socket.socket | None = None

    def start(self) -> Self:
        """Listen; on a free port at the first time, on the same one afterwards."""
        listener = bind_socket(self.settings.host, self.settings.port)
        self.settings = dataclasses.replace(self.settings, port=listener.getsockname()[1])
        self._reserve_port()
        self._core = _open(self.settings, listener, self._sessions if self.settings.keep_sessions else None)
        self._sessions = self._core.sessions
        app = App(self._core, self.faults, self._log)
        self._serving = BackgroundServer(app, listener, "sandbox", release=self.faults.clear).start()
        return self

    def _reserve_port(self) -> None:
        """Keep the port while the sandbox is stopped: whoever asks the system for any port gets another one.

        On Linux, which lets a socket that is bound and does not listen stand beside the one that does.
        """
        if self._reserved is None and sys.platform == "linux":
            self._reserved = bind_socket(self.settings.host, self.settings.port)
            weakref.finalize(self, self._reserved.close)

    def ask_to_stop(self) -> None:
        """Begin to stop, without waiting: several sandboxes stop faster together."""
        if self._serving is not None:
            self._serving.ask_to_stop()

    def stop(self) -> None:
        """Cut all connections and stop listening. What is on disk stays."""
        self.ask_to_stop()
        if self._serving is not None:
            self._serving.stop()
        if self._core is not None:
            self._core.close()
        self._serving = self._core = None

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
        """The requests so far, in order of their answers."""
        return self._log.entries

    def clear_requests(self) -> None:
        self._log.clear()

    def wait_idle(self, timeout: float = START_STOP_TIMEOUT) -> bool:
        """Wait until no request is being handled, e.g. after a client was killed; False at the timeout."""
        return self._log.wait_idle(timeout)

    def received_files(self) -> dict[str, int]:
        """Return the bytes of files received in all POSTs so far, refused and broken ones too, by announced path."""
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
        """Forget all announced uploads, as after an IIS recycle; the files stay."""
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
    """Run a sandbox on a loopback port of its own until the end of the block."""
    with Sandbox(settings) as sandbox:
        yield sandbox
