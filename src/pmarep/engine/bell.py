"""How those who wait for something hear that it may have come."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Bell:
    """Rung whenever something has changed. Who waits then looks whether it is what they wait for, or waits again."""

    def __init__(self) -> None:
        self._next = asyncio.Event()

    def wait(self) -> Coroutine[Any, Any, object]:
        """For the first ring after this call, however much later it is awaited."""
        return self._next.wait()

    def ring(self) -> None:
        self._next.set()
        self._next = asyncio.Event()
