"""The board as rows: one for each site, with details below it where there is room, and the total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from ...events import State
from ...text import printable
from ...units import count_of
from .cells import Glyphs, Line, bar, cut, fit, sparkline
from .live import LiveRun, LiveSite, Total
from .words import (
    STYLES,
    activity_words,
    bar_style,
    done_of,
    problem_words,
    rate_of,
    sending_words,
    size_of,
    state_words,
    time_left,
)

WIDE = 100  # columns from which on there are two blanks between columns
LONGEST_BAR, SHORTEST_BAR = 30, 6
LONGEST_NAME = 24
ACTIVITY = 20  # columns from which on there is room to say what is being sent


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths of a row's columns, 0 for those that are left out; the gap between them, and of the last one the rest."""

    gap: int
    name: int
    bar: int
    size: int
    slides: int
    failed: int
    rate: int
    spark: int
    mean: int
    left: int
    requests: int
    activity: int

    @property
    def figures(self) -> int:
        """Columns from the rate on, but for the activity: a site that is not running says there why."""
        widths = [self.rate, self.spark, self.mean, self.left, self.requests]
        return sum(widths) + self.gap * (sum(width > 0 for width in widths) - 1)


def row_lines(
    run: LiveRun, sites: Sequence[LiveSite], total: Total, width: int, room: int, glyphs: Glyphs
) -> list[Line]:
    """Return a head, as many sites as `room` lines take, and the total of several sites."""
    several = len(sites) > 1
    room -= 1 + several  # the head, and the total
    if room < 1:
        return [fit(_total_row(run, total, _columns(sites, total, width), glyphs), width, glyphs)]
    details = min((room // len(sites)) - 1, 2)
    columns = _columns(sites, total, width, with_activity=details < 1)
    shown = sites if len(sites) <= room else sites[: room - 1]
    lines = [_head(columns, width, glyphs)]
    for site in shown:
        lines.append(fit(_row(run, site, columns, glyphs), width, glyphs))
        lines += _details(run, site, width, glyphs)[: max(details, 0)]
    if len(shown) < len(sites):
        lines.append(_others(sites[len(shown) :], width, glyphs))
    if several:
        lines.append(fit(_total_row(run, total, columns, glyphs), width, glyphs))
    return lines


def _columns(sites: Sequence[LiveSite], total: Total, width: int, *, with_activity: bool = True) -> Columns:
    """Choose columns, the most important first; what is left over goes to the bar and to what is being sent."""
    gap = 2 if width >= WIDE else 1
    names = max(5, *(cell_len(printable(site.name)) for site in sites))
    counts = max(2 * len(str(max(total.slides, 1))) + 1, len("slides"))
    failures = len(f"{total.failed} failed") if total.failed else 0
    found = {"name": min(names, max(width // 5, 8), LONGEST_NAME), "percent": 4}
    room = width - sum(found.values()) - gap
    wanted = [
        ("rate", 10), ("left", 7), ("slides", counts), ("failed", failures), ("size", 16), ("bar", SHORTEST_BAR),
        ("requests", 3), ("spark", 8), ("mean", 10),
    ]  # fmt: skip
    for name, size in wanted:
        fits = size > 0 and room >= size + gap
        found[name] = size if fits else 0
        room -= (size + gap) if fits else 0
    activity = room - gap if with_activity and room - gap >= ACTIVITY else 0
    room -= activity + gap if activity else 0
    if found["bar"]:
        take = min(room, LONGEST_BAR - SHORTEST_BAR)
        if activity:  # shared with it
            take = min(room + activity // 3, LONGEST_BAR - SHORTEST_BAR)
            activity -= max(take - room, 0)
        found["bar"] += take
    del found["percent"]
    return Columns(gap=gap, activity=activity, **found)


def _head(columns: Columns, width: int, glyphs: Glyphs) -> Line:
    cells = [
        ("site", columns.name, "<"), ("", columns.bar, "<"), ("", 4, ">"), ("done", columns.size, ">"),
        ("slides", columns.slides, ">"), ("", columns.failed, "<"), ("rate", columns.rate, ">"),
        ("", columns.spark, "<"), ("mean", columns.mean, ">"), ("left", columns.left, ">"),
        ("req", columns.requests, ">"), ("sending", columns.activity, "<"),
    ]  # fmt: skip
    text = (" " * columns.gap).join(f"{word[:size]:{side}{size}}" for word, size, side in cells if size)
    return [(cut(text, width, glyphs).rstrip(), "dim")]


@dataclass(frozen=True, slots=True)
class _Figures:
    """The figures of a row, of one site or of all together."""

    name: str
    style: str
    bar_style: str
    percent: int
    size: str
    arrived: int
    slides: int
    failed: int
    rate: float
    history: Sequence[float]
    mean: float
    left: float | None
    requests: int

    @classmethod
    def of_site(cls, site: LiveSite) -> _Figures:
        return cls(
            name=site.name,
            style=STYLES.get(site.state, "bold"),
            bar_style=bar_style(site.state),
            percent=site.percent,
            size=size_of(site),
            arrived=site.arrived,
            slides=site.slides,
            failed=site.failed,
            rate=site.rates.now,
            history=site.rates.history,
            mean=site.mean,
            left=site.seconds_left,
            requests=site.connections,
        )

    @classmethod
    def of_total(cls, run: LiveRun, total: Total) -> _Figures:
        return cls(
            name="total",
            style="bold",
            bar_style="green" if total.complete and not total.failed else "cyan",
            percent=total.percent,
            size="" if total.only_looks else done_of(total.done, total.total),
            arrived=total.arrived,
            slides=total.slides,
            failed=total.failed,
            rate=run.rates.now,
            history=run.rates.history,
            mean=total.mean,
            left=total.seconds_left,
            requests=total.connections,
        )

    def progress(self, columns: Columns, glyphs: Glyphs) -> Line:
        """Return the first cells: name, bar, per cent, bytes, slides and failures."""
        gap = " " * columns.gap
        line: Line = fit([(printable(self.name), self.style)], columns.name, glyphs)
        if columns.bar:
            line += [(gap, ""), *bar(self.percent / 100, columns.bar, self.bar_style, glyphs)]
        line.append((f"{gap}{self.percent:>3}%", ""))
        if columns.size:
            line.append((f"{gap}{self.size:>{columns.size}}", ""))
        if columns.slides:
            line.append((f"{gap}{f'{self.arrived}/{self.slides}':>{columns.slides}}", ""))
        if columns.failed:
            line.append((gap + (f"{self.failed} failed" if self.failed else "").ljust(columns.failed), "red"))
        return line

    def speed(self, columns: Columns, glyphs: Glyphs) -> Line:
        """Return the cells after those: rates, time left and requests in flight."""
        gap = " " * columns.gap
        line: Line = []
        if columns.rate:
            line.append((f"{gap}{rate_of(self.rate):>{columns.rate}}", "bold"))
        if columns.spark:
            line.append((gap + sparkline(self.history, columns.spark, glyphs), "cyan"))
        if columns.mean:
            line.append((f"{gap}{rate_of(self.mean):>{columns.mean}}", ""))
        if columns.left:
            line.append((f"{gap}{time_left(self.left):>{columns.left}}", ""))
        if columns.requests:
            line.append((f"{gap}{self.requests:>{columns.requests}}", "dim"))
        return line


def _row(run: LiveRun, site: LiveSite, columns: Columns, glyphs: Glyphs) -> Line:
    figures, gap = _Figures.of_site(site), " " * columns.gap
    line = figures.progress(columns, glyphs)
    if site.state is not State.RUNNING:
        room = columns.figures + (columns.activity + columns.gap if columns.activity else 0)
        words = state_words(run, site, room)
        if columns.activity and site.problem and site.state in (State.PAUSED, State.STOPPED):
            words += f": {printable(site.problem.text)}"
        return [*line, (gap + cut(words, room, glyphs), STYLES[site.state])]
    line += figures.speed(columns, glyphs)
    if columns.activity:
        text, style = activity_words(run, site, columns.activity, glyphs)
        line.append((gap + text, style))
    return line


def _total_row(run: LiveRun, total: Total, columns: Columns, glyphs: Glyphs) -> Line:
    figures = _Figures.of_total(run, total)
    return figures.progress(columns, glyphs) + figures.speed(columns, glyphs)


def _others(sites: Sequence[LiveSite], width: int, glyphs: Glyphs) -> Line:
    """Return the line about sites for which there is no room."""
    counts = Counter(site.state for site in sites)
    states = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return [(cut(f"+ {count_of(len(sites), 'site')}: {states}", width, glyphs), "dim")]


def _details(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> list[Line]:
    """Return up to two lines: what is being sent, and the last problem."""
    sending = sending_words(site, width - 4, glyphs)
    problem = problem_words(run, site, width - 4, glyphs)
    return [fit([("    ", ""), part], width, glyphs) for part in (sending, problem) if part[0]]
