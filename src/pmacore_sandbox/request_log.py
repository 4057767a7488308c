"""A log of requests in memory, without secrets, for tests to look at; and the labels of requests in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qsl

from .refusals import Refusal

_SHOWN = ("path", "pathoruid", "pathoruids", "image")  # never sessionID, username, password


@dataclass(frozen=True)
class LoggedRequest:
    """One request, as of its answer.

    `path` is relative to the base URL, with the query values that are no secrets, decoded:
    `transfer/Upload/17?path=x/Data0000.dat`. `status` is 0 where the connection ended without an answer. `received`
    counts the bytes of the body that had arrived by then, `file_bytes` those of them that belong to the uploaded file.
    """

    method: str
    path: str
    status: int
    received: int
    file_bytes: int


class Query:
    """The query of a URL; its names match ignoring case: clients send `sessionID`, `sessionId` and `SessionID`."""

    def __init__(self, raw: bytes) -> None:
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
        except ValueError:
            raise Refusal("The query is not percent-encoded UTF-8") from None
        self._values: dict[str, str] = {}
        for name, value in pairs:
            if name.lower() in self._values:
                raise Refusal("A query parameter is given twice")
            self._values[name.lower()] = value

    def get(self, name: str) -> str | None:
        return self._values.get(name.lower())

    def shown(self) -> str:
        return "&".join(f"{name}={value}" for name, value in self._values.items() if name in _SHOWN)


def request_label(path: str, query: bytes) -> str:
    """Return the name of a request in the log, which fault rules match: path and query values that are no secrets."""
    try:
        shown = Query(query).shown()
    except Refusal:
        shown = ""
    return f"{path}?{shown}" if shown else path


class RequestLog:
    """The requests answered so far, and the number of those being handled. Callable from any thread.

    `sent`: bytes of the bodies of all answers so far.
    """

    def __init__(self) -> None:
        self.sent = 0
        self._entries: list[LoggedRequest] = []
        self._running = 0
        self._changed = threading.Condition()

    def add(self, entry: LoggedRequest) -> None:
        with self._changed:
            self._entries.append(entry)
            self._changed.notify_all()

    @property
    def entries(self) -> list[LoggedRequest]:
        with self._changed:
            return list(self._entries)

    def clear(self) -> None:
        with self._changed:
            self._entries.clear()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count one request as being handled."""
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def wait_idle(self, timeout: float) -> bool:
        """Wait until no request is being handled; False when that did not happen within `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._running == 0, timeout)
