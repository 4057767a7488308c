"""What systemd is told, over a real socket."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmarep.system import service_manager
from pmarep.system.service_manager import notify, watchdog_seconds

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd is Linux's")


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A socket such as systemd has."""
    name = str(tmp_path / "notify") if request.param == "file" else f"@pmarep-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as at:
        at.bind(name.replace("@", "\0"))
        at.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield at


def test_messages_reach_the_manager(manager: socket.socket) -> None:
    notify(service_manager.READY, service_manager.status("round 1\nof many"))
    assert manager.recv(4096).decode() == "READY=1\nSTATUS=round 1 of many"


def test_reloading_tells_its_time(manager: socket.socket) -> None:
    notify(service_manager.reloading())
    first, second = manager.recv(4096).decode().split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for address in (str(tmp_path / "gone"), "@nobody-there", "x" * 300):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify(service_manager.READY)
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify(service_manager.READY)


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("30000000", None, 15.0),
        ("30000000", "own", 15.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        ("", None, None),
    ],
)
def test_watchdog_of_the_unit(
    monkeypatch: pytest.MonkeyPatch, microseconds: str, pid: str | None, seconds: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert watchdog_seconds() == seconds


async def test_an_event_loop_says_again_and_again_that_it_turns(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    beating = asyncio.create_task(service_manager.keep_alive())
    for _ in range(3):
        assert await asyncio.to_thread(manager.recv, 4096) == b"WATCHDOG=1"
    beating.cancel()


async def test_nothing_is_said_where_no_watchdog_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await service_manager.keep_alive()


def test_what_turns_no_event_loop_is_alive_for_its_time(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a hook, which has a time limit, and no longer: what takes more hangs."""
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    with service_manager.alive_for(0.05):
        heard = [manager.recv(4096) for _ in range(6)]
        for one in threading.enumerate():
            if one.name == "watchdog":  # unless it has ended already
                one.join()
    assert heard == [b"WATCHDOG=1"] * 6
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)
    with service_manager.alive_for(3600):
        (beating,) = [one for one in threading.enumerate() if one.name == "watchdog"]
    assert not beating.is_alive()
