"""The board as lines for a window: panels where they fit, else rows, and below them what goes for all sites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...events import State
from ...units import count_of, format_duration
from . import panels
from .cells import Glyphs, Line, cut
from .live import LiveRun, LiveSite, Total
from .rows import row_lines


def board_lines(run: LiveRun, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return the board for a window of so many columns and lines, each line no wider and not more of them."""
    sites = run.in_order()
    if not sites or height < 2 or width < 10:
        return []
    total = Total.of(sites)
    footer = [_status(run, sites, width, glyphs)]
    room = height - len(footer)
    down = -(-len(sites) // max(width // panels.WIDTH, 1))
    across = -(-len(sites) // down)
    if width >= panels.WIDTH and down * panels.HEIGHT + (len(sites) > 1) <= room:
        return [*panels.panel_lines(run, sites, total, across, width, glyphs), *footer]
    return [*row_lines(run, sites, total, width, room, glyphs), *footer]


def _status(run: LiveRun, sites: Sequence[LiveSite], width: int, glyphs: Glyphs) -> Line:
    """Return the last line: the time since the start, how many sites do what, and what is waited for."""
    parts = [f"elapsed {format_duration(run.elapsed)}"]
    if len(sites) > 1:
        counts = Counter(site.state for site in sites)
        parts.append(", ".join(f"{counts[state]} {state}" for state in State if counts[state]))
    waiting, seconds = run.slides_waiting
    if waiting:
        look = format_duration(seconds) if seconds >= 1 else "a moment"
        parts.append(f"{count_of(waiting, 'slide')} still being written or just copied, looking again in {look}")
    return [(cut("; ".join(parts), width, glyphs), "dim")]
