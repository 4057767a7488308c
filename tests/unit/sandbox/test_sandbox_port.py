"""A sandbox that is stopped for a while keeps its port."""

from __future__ import annotations

import socket
import sys

import pytest

from pmacore_sandbox import Sandbox


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a socket that listens no more gives its port back")
def test_nobody_gets_the_port_of_a_sandbox_that_is_stopped(sandbox: Sandbox) -> None:
    """Tests that run at once choose among some thousand ports; restarts of a server take a tenth of a second each."""
    url, port = sandbox.url, sandbox.settings.port
    for _ in range(2):
        sandbox.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port))
        sandbox.start()
        assert sandbox.url == url
        socket.create_connection(("127.0.0.1", port)).close()
