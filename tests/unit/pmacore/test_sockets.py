"""What each new connection is told, looked at on the real socket of a real request."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from pmarep.pmacore.http import patient
from pmarep.pmacore.sockets import tuned
from pmarep.sandbox import Sandbox


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
async def test_a_dead_line_is_noticed(sandbox: Sandbox) -> None:
    told: list[dict[str, int]] = []
    tune = tuned(httpx.Timeout(60, write=7))

    async def trace(name: str, info: Mapping[str, Any]) -> None:
        await tune(name, info)
        if name == "connection.connect_tcp.complete":
            found = info["return_value"].get_extra_info("socket")
            names = ("TCP_NODELAY", "TCP_USER_TIMEOUT", "TCP_KEEPIDLE")
            told.append({one: found.getsockopt(socket.IPPROTO_TCP, getattr(socket, one)) for one in names})
            assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)

    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(2):
            answer = await http.get(f"{sandbox.url}api/json/GetVersionInfo", extensions={"trace": trace})
            assert answer.status_code == 200
    (options,) = told  # one connection, told once
    assert options == {"TCP_NODELAY": 1, "TCP_USER_TIMEOUT": 7000, "TCP_KEEPIDLE": 30}


def test_a_server_has_time_to_store_what_it_was_sent() -> None:
    usual = httpx.Timeout(60, connect=15)
    small, large = patient(usual, 0), patient(usual, 4 * 1024**3)
    assert (small.read, small.write, small.connect, small.pool) == (60, 60, 15, None)
    assert large.read == 60 + 512
    assert large.write == 60
