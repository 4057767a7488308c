"""Looks some slides ahead, so that large ones go first and the end of a run is not one of them alone on the line."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..slides import Slide

WINDOW, WINDOW_FILES = 64, 5_000
"""So many slides, and files of them, are looked over at once."""

OLDEST_EVERY = 4
"""Every so often the one that came first is next, so that none waits for ever."""


class Ahead:
    """Of one site. While `run` goes on, `take` gives the slides that come from `source`, the largest first."""

    def __init__(self, source: Callable[[], Awaitable[Slide | None]]) -> None:
        self._source = source
        self._window: dict[int, Slide] = {}  # by turn, so the oldest first
        self._files = 0
        self._come = self._taken = 0
        self._ended = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until there are no more. Raises what the source raises."""
        while (slide := await self._source()) is not None:
            self._window[self._come] = slide
            self._come += 1
            self._files += len(slide.files)
            self._wake()
            while len(self._window) >= WINDOW or self._files >= WINDOW_FILES:
                await self._changed.wait()
        self._ended = True
        self._wake()

    async def take(self) -> Slide | None:
        """The next slide, None at the end; several takers never get the same one."""
        while not self._window:
            if self._ended:
                return None
            await self._changed.wait()
        self._taken += 1
        turn = next(iter(self._window))
        if self._taken % OLDEST_EVERY:
            turn = max(self._window, key=lambda turn: (self._window[turn].size, -turn))
        slide = self._window.pop(turn)
        self._files -= len(slide.files)
        self._wake()
        return slide

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
