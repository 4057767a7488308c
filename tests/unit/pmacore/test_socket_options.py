"""What the kernel is asked to do with connections, on real socket_options."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import httpcore
import httpx
import pytest

from pmarep.pmacore import socket_options
from pmarep.pmacore.connection_settings import Connection
from pmarep.pmacore.http import patient
from pmarep.pmacore.socket_options import UNSENT, HttpClient, set_socket_options

ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
on_linux = pytest.mark.skipif(not ALLOWED.exists(), reason="only Linux has a choice")


@pytest.fixture
def connected() -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as near,
        server.accept()[0],
    ):
        yield near


@on_linux
def test_every_connection_gets_nodelay_a_small_send_queue_and_a_timeout(connected: socket.socket) -> None:
    set_socket_options(connected, 60)
    for name, value in (("TCP_NODELAY", 1), ("TCP_NOTSENT_LOWAT", UNSENT), ("TCP_USER_TIMEOUT", 60_000)):
        assert connected.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value


@pytest.mark.parametrize("without", [None, "TCP_KEEPIDLE"])
def test_a_dead_peer_is_noticed_on_every_platform(
    connected: socket.socket, without: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS has no TCP_KEEPIDLE; what it has is called TCP_KEEPALIVE."""
    idle: int = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE")  # noqa: B009
    if without is not None:
        monkeypatch.delattr(socket, without, raising=False)
        monkeypatch.setattr(socket, "TCP_KEEPALIVE", idle, raising=False)
    set_socket_options(connected, 60)
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0
    assert connected.getsockopt(socket.IPPROTO_TCP, idle) == 30


@on_linux
def test_another_congestion_control(connected: socket.socket) -> None:
    other = ALLOWED.read_text().split()[0]
    set_socket_options(connected, None, other)
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode() == other


def test_a_missing_congestion_control_is_logged_once(
    connected: socket.socket, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_options, "_logged", set())
    caplog.set_level(logging.INFO)
    for _ in range(3):
        set_socket_options(connected, None, "nosuch")
    (record,) = caplog.records
    assert record.getMessage().startswith("congestion = nosuch is not possible on this machine (")


@on_linux
async def test_a_client_tunes_its_connections_and_knows_how_far_it_is(wire_server: str) -> None:
    other = ALLOWED.read_text().split()[0]
    async with Connection(wire_server, "me", congestion=other).http() as client:
        assert isinstance(client, HttpClient)
        assert client.round_trip.seconds is None
        seen: list[bytes] = []
        trace = socket_options.connection_tracer(client)

        async def look(name: str, info: dict[str, object]) -> None:
            await trace(name, info)
            if name.endswith("connect_tcp.complete"):
                stream = info["return_value"]
                found = stream.get_extra_info("socket")  # type: ignore[attr-defined]
                seen.append(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0"))

        with pytest.raises(httpx.HTTPError):
            await client.get(wire_server, extensions={"trace": look})
        assert seen == [other.encode()]
        assert client.round_trip.seconds is not None
        assert 0 < client.round_trip.seconds < 5


async def test_a_way_is_measured_where_the_monotonic_clock_goes_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows before Python 3.13."""
    clocks = SimpleNamespace(monotonic=lambda: 5.0, perf_counter=time.perf_counter)
    monkeypatch.setattr(socket_options, "time", clocks)
    async with Connection("http://pma.example/", "me").http() as client:
        assert isinstance(client, HttpClient)
        trace = socket_options.connection_tracer(client)
        for step in ("connect_tcp", "start_tls"):
            await trace(f"connection.{step}.started", {})
            await trace(f"connection.{step}.complete", {"return_value": httpcore.AsyncMockStream([])})
        assert 0 < client.round_trip.connecting < 5
        assert 0 < client.round_trip.handshake < 5


@pytest.fixture
def wire_server() -> Iterator[str]:
    """Takes connections and hangs up: that one stands is enough."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join(10)


def test_a_server_has_time_to_store_what_it_was_sent() -> None:
    usual = httpx.Timeout(60, connect=15)
    small, large = patient(usual, 0), patient(usual, 4 * 1024**3)
    assert (small.read, small.write, small.connect, small.pool) == (60, 60, 15, None)
    assert large.read == 60 + 512
    assert large.write == 60


@pytest.mark.parametrize(
    ("connecting", "handshake", "seconds"),
    [(0.1, float("inf"), 0.1), (0.1, 0.12, 0.1), (0.1, 0.21, 0.1), (0.001, 0.2, 0.1), (0.001, 0.004, 0.001)],
)
def test_who_is_behind_a_proxy_is_farther_than_the_proxy(connecting: float, handshake: float, seconds: float) -> None:
    round_trip = socket_options.RoundTrip()
    assert round_trip.seconds is None
    round_trip.connecting, round_trip.handshake = connecting, handshake
    assert round_trip.seconds == seconds


async def asked_for(monkeypatch: pytest.MonkeyPatch, congestion: str, seconds: float) -> list[str | None]:
    """What connections are told to do about losses, over a way of so many seconds."""
    expected: list[str | None] = []
    times = iter([0.0, seconds])
    monkeypatch.setattr(socket_options, "time", SimpleNamespace(perf_counter=lambda: next(times)))
    monkeypatch.setattr(
        socket_options, "set_socket_options", lambda _socket, _limit, congestion: expected.append(congestion)
    )
    async with Connection("http://pma.example/", "me", congestion=congestion).http() as client:
        trace = socket_options.connection_tracer(client)
        stream = SimpleNamespace(get_extra_info=lambda _name: object())
        await trace("connection.connect_tcp.started", {})
        await trace("connection.connect_tcp.complete", {"return_value": stream})
    return expected


@pytest.mark.parametrize(
    ("congestion", "seconds", "expected"),
    [("auto", 0.02, None), ("auto", 0.18, "auto"), ("cubic", 0.18, "cubic"), ("bbr", 0.02, "bbr")],
)
async def test_bbr_is_for_long_ways_unless_the_book_says_more(
    monkeypatch: pytest.MonkeyPatch, congestion: str, seconds: float, expected: str | None
) -> None:
    assert await asked_for(monkeypatch, congestion, seconds) == [expected]


def test_the_machine_decides_unless_the_book_says_otherwise() -> None:
    assert Connection("http://pma.example/", "me").congestion is None


class Forbidden(socket.socket):
    """Of a machine that allows one thing only."""

    def setsockopt(self, *arguments: object) -> None:
        if arguments[-1] == b"bbr":
            raise PermissionError(1, "Operation not permitted")


@on_linux
@pytest.mark.parametrize(("available", "load"), [(["reno", "cubic", "bbr"], False), (["reno", "cubic"], True)])
def test_what_an_administrator_can_do_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, available: list[str], load: bool
) -> None:
    monkeypatch.setattr(socket_options, "_logged", set())
    monkeypatch.setattr(socket, "socket", Forbidden)
    lists = {"allowed": ["reno", "cubic"], "available": available}
    monkeypatch.setattr(socket_options, "_algorithms", lists.__getitem__)
    caplog.set_level(logging.INFO)
    with Forbidden() as connection:
        for _ in range(3):
            set_socket_options(connection, None, "auto")
    (record,) = caplog.records
    advice = record.getMessage()
    assert "sysctl -w net.ipv4.tcp_allowed_congestion_control='reno cubic bbr'" in advice
    assert ("modprobe tcp_bbr" in advice) is load
    assert "\n" not in advice


@on_linux
def test_where_it_is_allowed_auto_is_bbr(connected: socket.socket) -> None:
    if socket_options.bbr_advice() is not None:
        pytest.skip("not allowed on this machine")
    set_socket_options(connected, None, "auto")
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == b"bbr"
