"""What the kernel is asked to do with each new connection: notice a dead one, and not wait before it sends."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import httpx

Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]

_IDLE, _BETWEEN, _PROBES = 30, 10, 3  # seconds, seconds, number: a silent peer is known to be dead after a minute


def tuned(timeout: httpx.Timeout) -> Trace:
    """For a request's `trace` extension, httpcore's public way to a connection's socket.

    Bytes that the kernel has taken and the other side does not acknowledge end the connection after the time-out of
    writing. Without that a request whose last bytes went into a dead line would wait as long as for a slow server.
    """
    limit = timeout.write

    async def on_event(name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("connect_tcp.complete"):
            found = info["return_value"].get_extra_info("socket")
            if found is not None:
                tune(found, limit)

    return on_event


def tune(connection: socket.socket, limit: float | None) -> None:
    """`limit` in seconds. What a platform does not have is left out; none of it is needed."""
    options = [
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", _IDLE),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _BETWEEN),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", _PROBES),
    ]
    if limit:
        options.append((socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", int(limit * 1000)))  # Linux: RFC 5482
    for level, name, value in options:
        if hasattr(socket, name):
            with suppress(OSError):
                connection.setsockopt(level, getattr(socket, name), value)
