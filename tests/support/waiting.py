"""Wait for what no event tells of, as the state of a process or of a file that another process writes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from support.fork_server import PATIENCE


def until(condition: Callable[[], bool]) -> None:
    """Look again and again until a condition holds; fail if it never does."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never came"
        pause.wait(0.01)
