"""Socket options of each connection (keep-alive, no delay, small buffers, congestion control), and its round trip."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

log = logging.getLogger(__name__)

Trace = Callable[[str, Mapping[str, Any]], Awaitable[None]]

_IDLE, _BETWEEN, _PROBES = 30, 10, 3  # seconds, seconds, number: a silent peer is known to be dead after a minute

UNSENT = 128 * 1024
"""Bytes that the kernel takes ahead of what it may send: what it has taken is then about what has gone."""

SEND_BUFFER_BYTES = 4 * 1024**2
"""Bytes to send that a single bbr stream needs over a long round trip: two round trips of 180 ms at 90 Mbit/s, say."""


AUTO = "auto"
"""The name for: bbr where the round trip is long and this machine allows it, else what the machine does."""

LONG_ROUND_TRIP = 0.05
"""Seconds of round trip from which on a stream suffers much from every lost packet. Below that the machine's own
algorithm is as good."""


class RoundTrip:
    """The shortest round trip that a client's connections have shown so far. `on_measured` is told it whenever one has.

    `connecting`: the shortest time, in seconds, that one took to stand; `handshake`: and then, until it was secure,
    which is two round trips, or one.
    """

    def __init__(self, on_measured: Callable[[float], None] = lambda _seconds: None) -> None:
        self.connecting = self.handshake = float("inf")
        self._on_measured = on_measured

    @property
    def seconds(self) -> float | None:
        """Seconds; None before there is a connection. A proxy answers sooner than who is behind it."""
        if self.connecting == float("inf"):
            return None
        behind = self.handshake / 2
        return behind if 2 * self.connecting < behind < float("inf") else self.connecting

    def connected(self, seconds: float) -> None:
        """Record that a connection has taken so many seconds to stand."""
        self.connecting = min(seconds, self.connecting)
        self._on_measured(self.seconds or 0.0)

    def secured(self, seconds: float) -> None:
        """Record that a connection, once it stood, has taken so many seconds to be secure."""
        self.handshake = min(seconds, self.handshake)
        self._on_measured(self.seconds or 0.0)


class HttpClient(httpx.AsyncClient):
    """An httpx client with a congestion control for its connections, and their round trip.

    `congestion`: the name of an algorithm of TCP, or AUTO; None leaves that to the machine.
    `on_round_trip` is told the round trip, in seconds, whenever a new connection has shown it.
    """

    def __init__(
        self,
        *,
        congestion: str | None = None,
        on_round_trip: Callable[[float], None] = lambda _seconds: None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.congestion = congestion
        self.round_trip = RoundTrip(on_round_trip)


def connection_tracer(client: httpx.AsyncClient, meets: Callable[[str], None] | None = None) -> Trace:
    """Return a request's `trace` extension, which sets the options of new connections and measures their round trip.

    It is httpcore's public way to a connection's socket.

    `meets` is told the address at the other end of each new connection, before anything is said over it, and may raise.

    On Linux, bytes that the kernel has taken and the other side does not acknowledge end the connection after the
    time-out of writing. Without that a request whose last bytes went into a dead line would wait as long as for a slow
    server.
    """
    # time.monotonic() goes in steps of 16 ms on Windows before Python 3.13, longer than many a round trip.
    limit, began = client.timeout.write, 0.0
    round_trip, congestion = (
        (client.round_trip, client.congestion) if isinstance(client, HttpClient) else (RoundTrip(), None)
    )

    async def on_event(name: str, info: Mapping[str, Any]) -> None:
        nonlocal began
        if name.endswith(("connect_tcp.started", "start_tls.started")):
            began = time.perf_counter()
        if name.endswith("start_tls.complete"):
            round_trip.secured(time.perf_counter() - began)
        if name.endswith("connect_tcp.complete"):
            round_trip.connected(time.perf_counter() - began)
            stream = info["return_value"]
            found = stream.get_extra_info("socket")
            if found is not None:
                set_socket_options(
                    found, limit, None if congestion == AUTO and round_trip.connecting < LONG_ROUND_TRIP else congestion
                )
            if meets is not None:
                try:
                    meets(str(stream.get_extra_info("server_addr")[0]))
                except BaseException:
                    await stream.aclose()
                    raise

    return on_event


def _idle_option() -> str:
    """Return the name of TCP_KEEPIDLE here: macOS calls it TCP_KEEPALIVE, which elsewhere may be something else."""
    return "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"


def set_socket_options(connection: socket.socket, limit: float | None, congestion: str | None = None) -> None:
    """Set the options of a new connection. What a platform does not have is left out; none of it is needed.

    `limit`: seconds in which what was sent has to be acknowledged; `congestion`: as in HttpClient.
    """
    options = [
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, _idle_option(), _IDLE),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", _BETWEEN),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", _PROBES),
        (socket.IPPROTO_TCP, "TCP_NOTSENT_LOWAT", UNSENT),  # Linux and macOS
    ]
    if limit:
        options.append((socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", int(limit * 1000)))  # Linux: RFC 5482
    for level, name, value in options:
        if hasattr(socket, name):
            with suppress(OSError):
                connection.setsockopt(level, getattr(socket, name), value)
    if congestion is not None:
        _use(connection, congestion)


def _use(connection: socket.socket, congestion: str) -> None:
    option = getattr(socket, "TCP_CONGESTION", None)  # Linux
    wanted = "bbr" if congestion == AUTO else congestion
    try:
        if option is None:
            raise OSError(f"not on {sys.platform}")
        connection.setsockopt(socket.IPPROTO_TCP, option, wanted.encode())
    except OSError as error:
        if congestion != AUTO:
            why = error.strerror or str(error)
            _log_once(f"congestion = {wanted} is not possible on this machine ({why}); connections are as usual")
        elif advice := bbr_advice():
            _log_once(advice)
        return
    if wanted == "bbr" and _longest_buffer() >= SEND_BUFFER_BYTES:
        # The kernel's own growth ends at tcp_wmem, too early for a single stream; a size that net.core.wmem_max would
        # cut down to less is worse than none.
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


def _longest_buffer() -> int:
    try:
        return int(Path("/proc/sys/net/core/wmem_max").read_text())
    except (OSError, ValueError):
        return 0


_logged: set[str] = set()


def _log_once(text: str) -> None:
    if text not in _logged:
        _logged.add(text)
        log.info("%s", text)


def bbr_advice() -> str | None:
    """Return what an administrator can do so that bbr may be used here; None where it may be, or never can."""
    option = getattr(socket, "TCP_CONGESTION", None)
    if option is None:
        return None
    with socket.socket() as trial:
        try:
            trial.setsockopt(socket.IPPROTO_TCP, option, b"bbr")
        except OSError:
            pass
        else:
            return None
    allowed, available = (_algorithms(kind) for kind in ("allowed", "available"))
    load = "" if "bbr" in available else "modprobe tcp_bbr && "
    wanted = " ".join([*allowed, "bbr"])
    return (
        "the TCP algorithm bbr is not allowed on this machine, with which one large file goes several times as fast "
        "over a long way that loses packets; as root: "
        f"{load}sysctl -w net.ipv4.tcp_allowed_congestion_control='{wanted}'"
    )


def _algorithms(kind: str) -> list[str]:
    try:
        return Path(f"/proc/sys/net/ipv4/tcp_{kind}_congestion_control").read_text().split()
    except OSError:
        return []
