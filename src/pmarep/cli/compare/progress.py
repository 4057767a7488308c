"""How far a comparison is: a line on the terminal that is replaced, or log lines."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING

from ...text import printable
from ...units import format_size
from ..render.terminal import DUMB, TerminalWriter, in_foreground

if TYPE_CHECKING:
    from ...compare.comparison import Comparison
    from ...compare.content import ContentProgress
    from ...compare.form_comparison import FormComparison

log = logging.getLogger(__name__)

DRAWN_SECONDS = 0.3
LOGGED_SECONDS = 30.0

_ERASE_REST = "\x1b[K"


async def watched(comparison: Comparison | FormComparison, work: Coroutine[None, None, None]) -> None:
    """Await the work of a comparison, and say meanwhile how far it is."""
    watching = asyncio.create_task(_watch(comparison))
    try:
        await work
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(comparison: Comparison | FormComparison) -> None:
    live = sys.stderr.isatty() and os.environ.get("TERM", "").lower() not in DUMB
    began = time.monotonic()
    if not live:
        while True:
            await asyncio.sleep(LOGGED_SECONDS)
            log.info("%s", progress_line(comparison, time.monotonic() - began))
    terminal = TerminalWriter(sys.stderr)
    try:
        while True:
            await asyncio.sleep(DRAWN_SECONDS)
            if terminal.ready and in_foreground(sys.stderr):
                terminal.write(f"\r{_fitted(progress_line(comparison, time.monotonic() - began))}{_ERASE_REST}")
    finally:
        terminal.wait()
        terminal.write(f"\r{_ERASE_REST}")
        terminal.close()


def _fitted(line: str) -> str:
    from rich.cells import cell_len, set_cell_size

    room = shutil.get_terminal_size().columns - 1
    return line if cell_len(line) <= room else set_cell_size(line, room)


def progress_line(comparison: Comparison | FormComparison, seconds: float) -> str:
    """Return how far each side is, in one line."""
    if not comparison.contents:
        parts = [
            f"{side.label} {listed.slides:,}{' (all)' if listed.done else ''}"
            for side, listed in zip(comparison.sides, comparison.listed, strict=True)
        ]
        return printable(f"listing slides: {', '.join(parts)}")
    parts = [
        f"{side.label} {one.slides:,} of {one.all_slides:,} slides{_bytes(one)}"
        for side, one in zip(comparison.sides, comparison.contents, strict=True)
    ]
    return printable(f"comparing, {seconds:.0f} s: {'; '.join(parts)}")


def _bytes(progress: ContentProgress) -> str:
    return f", {format_size(progress.bytes)} of {format_size(progress.all_bytes)}" if progress.all_bytes else ""
