"""The board as panels: a box for each site, side by side where the window is wide, and a line with the total."""

from __future__ import annotations

from collections.abc import Sequence

from ...events import State
from ...text import printable
from ...units import count_of
from .cells import Glyphs, Line, bar, beside, box, cut, fit, sparkline, width_of
from .live import LiveRun, LiveSite, Total
from .words import STYLES, bar_style, done_of, problem_words, rate_of, sending_words, size_of, state_words, time_left

WIDTH, HEIGHT = 64, 6
"""Columns that a panel needs, and its lines."""

WIDE = 100  # columns from which on the total has its mean rate
LONGEST_BAR, SHORTEST_BAR = 60, 6
LONGEST_SPARKLINE, SHORTEST_SPARKLINE = 20, 5


def panel_lines(
    run: LiveRun, sites: Sequence[LiveSite], total: Total, across: int, width: int, glyphs: Glyphs
) -> list[Line]:
    """Return the panels, `across` of them side by side, and the total of several sites."""
    each = (width - (across - 1)) // across
    drawn = [_panel(run, site, each, glyphs) for site in sites]
    lines: list[Line] = []
    for start in range(0, len(drawn), across):
        lines += beside(drawn[start : start + across], 1)
    if len(sites) > 1:
        lines.append(_total_line(run, total, width, glyphs))
    return lines


def _total_line(run: LiveRun, total: Total, width: int, glyphs: Glyphs) -> Line:
    """Return the total below panels, with a bar where there is room."""
    parts = [f"total {total.percent}%", _summed(total)]
    if not total.complete and not total.only_looks:
        long = f"{rate_of(run.rates.now) or '-'} (mean {rate_of(total.mean) or '-'})"
        parts.append(long if width >= WIDE else rate_of(run.rates.now) or "-")
        if total.seconds_left is not None:
            parts.append(f"{time_left(total.seconds_left)} left")
    text = ", ".join(parts)
    failed: Line = [(f", {total.failed} failed", "red")] if total.failed else []
    failed += [(f", {total.left_out} left out", "yellow")] if total.left_out else []
    style = "green" if total.complete and not total.failed else "cyan"
    room = width - width_of([(text, ""), *failed]) - 2
    drawn = (
        [*bar(total.percent / 100, min(room, LONGEST_BAR), style, glyphs), ("  ", "")] if room >= SHORTEST_BAR else []
    )
    return fit([*drawn, (text, "bold"), *failed], width, glyphs)


def _summed(total: Total) -> str:
    slides = f"{total.arrived} of {total.slides} slides"
    return slides if total.only_looks else f"{done_of(total.done, total.total)}, {slides}"


def _panel(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> list[Line]:
    inner = width - 4
    style = STYLES.get(site.state, "")
    words = f"{site.arrived} of {site.slides} slides"
    figures = f"{site.percent:>3}%  {size_of(site)}{'  ' if size_of(site) else ''}{words}"
    failed: Line = [(f"  {site.failed} failed", "red")] if site.failed else []
    failed += [(f"  {site.left_out} left out", "yellow")] if site.left_out else []
    room = inner - width_of([(figures, ""), *failed]) - 2
    first: Line = [
        *bar(site.percent / 100, max(room, SHORTEST_BAR), bar_style(site.state), glyphs),
        (f"  {figures}", ""),
        *failed,
    ]
    second: Line = []
    if site.state is State.RUNNING:
        rate: Line = [(f"{rate_of(site.rates.now) or '-':>10}  ", "bold")]
        rest: Line = [
            (f"mean {rate_of(site.mean) or '-':<10}  ", ""),
            (f"{time_left(site.seconds_left)} left  " if site.seconds_left is not None else "", ""),
            (count_of(site.connections, "request"), "dim"),
        ]
        room = min(inner - width_of(rate) - width_of(rest) - 2, LONGEST_SPARKLINE)
        drawn = glyphs.levels and room >= SHORTEST_SPARKLINE
        second = [*rate, *([(sparkline(site.rates.history, room, glyphs) + "  ", "cyan")] if drawn else []), *rest]
    elif site.mean:
        second = [(f"mean {rate_of(site.mean)}", "")]
    title: Line = [(cut(printable(site.name), max(width // 2, 8), glyphs), style or "bold")]
    lines = [first, second, [sending_words(site, inner, glyphs)], [problem_words(run, site, inner, glyphs)]]
    border = style if site.state in (State.PAUSED, State.STOPPED, State.DONE) else "dim"
    return box(title, [(state_words(run, site, inner // 2), style)], lines, width, border, glyphs)
