"""Tell systemd how a service is: ready, alive, reading its settings anew, stopping (sd_notify).

One datagram to the socket that the variable NOTIFY_SOCKET names; nothing happens without that variable, as on Windows.
Source: the manual pages sd_notify(3) and systemd.service(5).
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

READY = "READY=1"
STOPPING = "STOPPING=1"
ALIVE = "WATCHDOG=1"


def reloading() -> str:
    """Return the message that the settings are being read anew; it needs the time of sending."""
    return f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}"


def status(text: str) -> str:
    """Return the message with the line that `systemctl status` shows."""
    return "STATUS=" + " ".join(text.split())


def notify(*messages: str) -> None:
    """Send messages to systemd, if it started this process and wants any. A service runs on where that fails."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
        to.settimeout(1.0)  # a manager that hangs holds up nobody
        to.connect(address)
        to.send("\n".join(messages).encode())


def watchdog_seconds() -> float | None:
    """Return how often systemd has to hear of this process: half of its WatchdogSec; None if it does not ask."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    with suppress(ValueError):
        return int(os.environ.get("WATCHDOG_USEC", "")) / 2e6 or None
    return None


async def keep_alive() -> None:
    """Tell systemd that this event loop turns, as often as it asks for, until cancelled."""
    seconds = watchdog_seconds()
    while seconds is not None:
        notify(ALIVE)
        await asyncio.sleep(seconds)


@contextmanager
def alive_for(longest: float) -> Iterator[None]:
    """Tell systemd, as often as it asks for, that what is inside goes on, though no event loop turns.

    Not for longer than so many seconds: what takes more than it may hangs.
    """
    seconds = watchdog_seconds()
    if seconds is None:
        yield
        return
    over = threading.Event()

    def beat() -> None:
        for _ in range(int(longest / seconds) + 1):
            notify(ALIVE)
            if over.wait(seconds):
                return

    thread = threading.Thread(target=beat, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
