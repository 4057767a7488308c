"""`NodesAtWork`: until when nodes may still be sending whose coordinator has not heard of their end.

Only a run that holds the locks of targets asks, and notes anything: so what it finds is of a coordinator that has died.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .target_locks import lock_name

LONGEST = 120.0
"""Seconds that are believed at most: clocks are set, too."""


class NodesAtWork:
    """A note beside the lock of each place. `folder`: of the locks; `places`: base URLs and targets."""

    def __init__(self, folder: Path, places: Iterable[str]) -> None:
        self._files = [folder / f"{lock_name(place)}.nodes" for place in places]

    def note(self, seconds: float) -> None:
        """Note that nodes may be sending for so many seconds from now on."""
        for file in self._files:
            with suppress(OSError):  # without it a run that is started again does not wait
                file.touch(mode=0o600)
                file.write_text(str(time.time() + seconds), encoding="utf-8")

    def forget(self) -> None:
        """Note that all nodes have ended."""
        for file in self._files:
            with suppress(OSError):
                file.unlink()

    def seconds_left(self) -> float:
        """Return for how many seconds nodes may still be sending; 0 where there are none."""
        left = 0.0
        for file in self._files:
            with suppress(OSError, ValueError):
                left = max(left, float(file.read_text(encoding="utf-8")) - time.time())
        return min(left, LONGEST)
