"""Looks some slides ahead, so that the end of a run is not one large request alone on the line.

What goes in large requests is first, and the slides that come in many small files are kept for the end: when the last
large requests end one by one, small ones still fill the room that each leaves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ...aio import ChangeEvent
from ...slides import Slide

WINDOW, WINDOW_FILES = 64, 5_000
"""So many slides, and files of them, are looked over at once."""

OLDEST_EVERY = 16
"""Every so often the one that came first is next, so that none waits for ever."""

COARSE = 8 * 1024 * 1024
"""Bytes: no file counts as coarser, since storages take larger ones in parts of about this size."""

FINE = 1024 * 1024
"""Bytes of a request that is over after some round trips: many of these fill no line and are not kept for its end."""


class Ahead:
    """Of one site. While `run` goes on, `take` gives the slides that come from `source`, the coarsest first.

    All sites take them in the same order, so that what one has read serves the others.
    """

    def __init__(self, source: Callable[[], Awaitable[Slide | None]]) -> None:
        self._source = source
        self._window: dict[int, tuple[int, int, Slide]] = {}  # grain, bytes; by turn, so the oldest first
        self._files = 0
        self._come = self._taken = 0
        self._ended = False
        self._changed = ChangeEvent()

    async def run(self) -> None:
        """Until there are no more. Raises what the source raises."""
        while (slide := await self._source()) is not None:
            self._window[self._come] = _grain(slide), slide.size, slide
            self._come += 1
            self._files += len(slide.files)
            self._changed.notify()
            while len(self._window) >= WINDOW or self._files >= WINDOW_FILES:
                await self._changed.wait()
        self._ended = True
        self._changed.notify()

    async def take(self) -> Slide | None:
        """The next slide, None at the end; several takers never get the same one."""
        while not self._window:
            if self._ended:
                return None
            await self._changed.wait()
        self._taken += 1
        turn = next(iter(self._window))
        if self._taken % OLDEST_EVERY:
            turn = max(self._window, key=self._rank)
        _, _, slide = self._window.pop(turn)
        self._files -= len(slide.files)
        self._changed.notify()
        return slide

    def _rank(self, turn: int) -> tuple[int, int, int]:
        grain, size, _ = self._window[turn]
        return grain, size, -turn


def _grain(slide: Slide) -> int:
    """Bytes of its largest file, as far as it matters."""
    largest = max(file.size for file in slide.files)
    return min(largest, COARSE) if largest > FINE else COARSE
