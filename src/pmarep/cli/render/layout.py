"""The board as lines for a window: panels where they fit, else rows with or without details, and always the total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from ...events import State
from ...text import printable
from ...units import format_duration, format_size
from .base import count_of
from .cells import Glyphs, Line, bar, beside, box, cut, fit, joined, sparkline, width_of
from .live import LiveRun, LiveSite, Total

PANEL_WIDTH, PANEL_HEIGHT = 64, 6
"""Columns that a panel needs, and its lines."""

WIDE = 100  # columns from which on there are two blanks between columns
LONGEST_BAR, SHORTEST_BAR = 30, 6
LONGEST_SPARKLINE, SHORTEST_SPARKLINE = 20, 5
LONGEST_NAME = 24
ACTIVITY = 20  # columns from which on there is room to say what is being sent

_STYLES = {State.DONE: "green", State.STOPPED: "red", State.PAUSED: "yellow", State.CONNECTING: "dim"}
_DAY = 86400.0


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


def board_lines(run: LiveRun, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """Return the board for a window of so many columns and lines, each line no wider and not more of them."""
    sites = run.in_order()
    if not sites or height < 2 or width < 10:
        return []
    total = Total.of(sites)
    footer = [_status(run, sites, width, glyphs)]
    room = height - len(footer)
    down = -(-len(sites) // max(width // PANEL_WIDTH, 1))
    across = -(-len(sites) // down)
    if width >= PANEL_WIDTH and down * PANEL_HEIGHT + (len(sites) > 1) <= room:
        return [*_panels(run, sites, total, across, width, glyphs), *footer]
    return [*_rows(run, sites, total, width, room, glyphs), *footer]


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


# Rows ----------------------------------------------------------------------------------------------------------------


def _rows(run: LiveRun, sites: Sequence[LiveSite], total: Total, width: int, room: int, glyphs: Glyphs) -> list[Line]:
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


def _row(run: LiveRun, site: LiveSite, columns: Columns, glyphs: Glyphs) -> Line:
    style = _STYLES.get(site.state, "")
    bar_style = _STYLES.get(site.state, "cyan") if site.state is not State.CONNECTING else "cyan"
    line = _beginning(
        columns, glyphs, site.name, style or "bold", bar_style, site.percent, _size(site), (site.arrived, site.slides)
    )
    line += _failed(site.failed, columns)
    gap = " " * columns.gap
    if site.state is not State.RUNNING:
        room = columns.figures + (columns.activity + columns.gap if columns.activity else 0)
        words = _state_words(run, site, room)
        if columns.activity and site.problem and site.state in (State.PAUSED, State.STOPPED):
            words += f": {printable(site.problem.text)}"
        return [*line, (gap + cut(words, room, glyphs), style)]
    line += _figures(columns, glyphs, site.rates.now, site.rates.history, site.mean, site.seconds_left)
    line += [(f"{gap}{site.connections:>{columns.requests}}", "dim")] if columns.requests else []
    if columns.activity:
        text, text_style = _activity(run, site, columns.activity, glyphs)
        line.append((gap + text, text_style))
    return line


def _total_row(run: LiveRun, total: Total, columns: Columns, glyphs: Glyphs) -> Line:
    size = "" if total.only_looks else _of(total.done, total.total)
    style = "green" if total.complete and not total.failed else "cyan"
    line = _beginning(columns, glyphs, "total", "bold", style, total.percent, size, (total.arrived, total.slides))
    line += _failed(total.failed, columns)
    mean = sum(site.mean for site in run.sites.values() if not site.ended)
    line += _figures(columns, glyphs, run.rates.now, run.rates.history, mean, total.seconds_left)
    gap = " " * columns.gap
    return [*line, (f"{gap}{total.connections:>{columns.requests}}", "dim")] if columns.requests else line


def _beginning(
    columns: Columns,
    glyphs: Glyphs,
    name: str,
    style: str,
    bar_style: str,
    percent: int,
    size: str,
    slides: tuple[int, int],
) -> Line:
    gap = " " * columns.gap
    line: Line = fit([(printable(name), style)], columns.name, glyphs)
    if columns.bar:
        line += [(gap, ""), *bar(percent / 100, columns.bar, bar_style, glyphs)]
    line.append((f"{gap}{percent:>3}%", ""))
    if columns.size:
        line.append((f"{gap}{size:>{columns.size}}", ""))
    if columns.slides:
        line.append((f"{gap}{f'{slides[0]}/{slides[1]}':>{columns.slides}}", ""))
    return line


def _failed(count: int, columns: Columns) -> Line:
    if not columns.failed:
        return []
    return [(" " * columns.gap + (f"{count} failed" if count else "").ljust(columns.failed), "red")]


def _figures(
    columns: Columns, glyphs: Glyphs, rate: float, history: Sequence[float], mean: float, left: float | None
) -> Line:
    gap = " " * columns.gap
    line: Line = []
    if columns.rate:
        line.append((f"{gap}{_rate(rate):>{columns.rate}}", "bold"))
    if columns.spark:
        line.append((gap + sparkline(history, columns.spark, glyphs), "cyan"))
    if columns.mean:
        line.append((f"{gap}{_rate(mean):>{columns.mean}}", ""))
    if columns.left:
        line.append((f"{gap}{_left(left):>{columns.left}}", ""))
    return line


def _others(sites: Sequence[LiveSite], width: int, glyphs: Glyphs) -> Line:
    """Return the line about sites for which there is no room."""
    counts = Counter(site.state for site in sites)
    states = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
    return [(cut(f"+ {count_of(len(sites), 'site')}: {states}", width, glyphs), "dim")]


def _details(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> list[Line]:
    """Return up to two lines: what is being sent, and the last problem."""
    sending = _sending(site, width - 4, glyphs)
    problem = _problem(run, site, width - 4, glyphs)
    return [fit([("    ", ""), part], width, glyphs) for part in (sending, problem) if part[0]]


# Panels --------------------------------------------------------------------------------------------------------------


def _panels(
    run: LiveRun, sites: Sequence[LiveSite], total: Total, across: int, width: int, glyphs: Glyphs
) -> list[Line]:
    each = (width - (across - 1)) // across
    drawn = [_panel(run, site, each, glyphs) for site in sites]
    lines: list[Line] = []
    for start in range(0, len(drawn), across):
        lines += beside(drawn[start : start + across], 1)
    if len(sites) > 1:
        lines.append(_total_line(run, sites, total, width, glyphs))
    return lines


def _total_line(run: LiveRun, sites: Sequence[LiveSite], total: Total, width: int, glyphs: Glyphs) -> Line:
    """Return the total below panels, with a bar where there is room."""
    parts = [f"total {total.percent}%", _summed(total)]
    if not total.complete and not total.only_looks:
        mean = sum(site.mean for site in sites if not site.ended)
        long = f"{_rate(run.rates.now) or '-'} (mean {_rate(mean) or '-'})"
        parts.append(long if width >= WIDE else _rate(run.rates.now) or "-")
        if total.seconds_left is not None:
            parts.append(f"{_left(total.seconds_left)} left")
    text = ", ".join(parts)
    failed: Line = [(f", {total.failed} failed", "red")] if total.failed else []
    style = "green" if total.complete and not total.failed else "cyan"
    room = width - width_of([(text, ""), *failed]) - 2
    drawn = [*bar(total.percent / 100, min(room, 60), style, glyphs), ("  ", "")] if room >= SHORTEST_BAR else []
    return fit([*drawn, (text, "bold"), *failed], width, glyphs)


def _summed(total: Total) -> str:
    slides = f"{total.arrived} of {total.slides} slides"
    return slides if total.only_looks else f"{_of(total.done, total.total)}, {slides}"


def _panel(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> list[Line]:
    inner = width - 4
    style = _STYLES.get(site.state, "")
    words = f"{site.arrived} of {site.slides} slides"
    figures = f"{site.percent:>3}%  {_size(site)}{'  ' if _size(site) else ''}{words}"
    failed: Line = [(f"  {site.failed} failed", "red")] if site.failed else []
    room = inner - width_of([(figures, ""), *failed]) - 2
    bar_style = style if site.state not in (State.RUNNING, State.CONNECTING) else "cyan"
    first: Line = [*bar(site.percent / 100, max(room, SHORTEST_BAR), bar_style, glyphs), (f"  {figures}", ""), *failed]
    second: Line = []
    if site.state is State.RUNNING:
        rate: Line = [(f"{_rate(site.rates.now) or '-':>10}  ", "bold")]
        rest: Line = [
            (f"mean {_rate(site.mean) or '-':<10}  ", ""),
            (f"{_left(site.seconds_left)} left  " if site.seconds_left is not None else "", ""),
            (count_of(site.connections, "request"), "dim"),
        ]
        room = min(inner - width_of(rate) - width_of(rest) - 2, LONGEST_SPARKLINE)
        drawn = glyphs.levels and room >= SHORTEST_SPARKLINE
        second = [*rate, *([(sparkline(site.rates.history, room, glyphs) + "  ", "cyan")] if drawn else []), *rest]
    elif site.mean:
        second = [(f"mean {_rate(site.mean)}", "")]
    title: Line = [(cut(printable(site.name), max(width // 2, 8), glyphs), style or "bold")]
    lines = [first, second, [_sending(site, inner, glyphs)], [_problem(run, site, inner, glyphs)]]
    border = style if site.state in (State.PAUSED, State.STOPPED, State.DONE) else "dim"
    return box(title, [(_state_words(run, site, inner // 2), style)], lines, width, border, glyphs)


# Words ---------------------------------------------------------------------------------------------------------------


def _activity(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> tuple[str, str]:
    """Return what a running site is at, in a few columns: a problem that is new, else the slides being sent."""
    if site.waits_for:
        return cut(printable(site.waits_for), width, glyphs), "yellow"
    if site.problem is not None and (run.now - site.problem.at < 10 or not site.sending):
        return cut(printable(site.problem.text), width, glyphs), "yellow"
    return joined(map(printable, list(site.sending)[:10]), width, glyphs), "dim"


def _sending(site: LiveSite, width: int, glyphs: Glyphs) -> tuple[str, str]:
    if site.waits_for:
        return cut(printable(site.waits_for), width, glyphs), "yellow"
    if not site.sending or site.state is not State.RUNNING:
        return "", ""
    names = joined(map(printable, site.sending), width - 8, glyphs)
    return f"sending {names}", ""


def _problem(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> tuple[str, str]:
    if site.problem is None:
        return "", ""
    style = "red" if site.state is State.STOPPED else "yellow"
    ago = run.now - site.problem.at
    when = f"{format_duration(ago)} ago: " if ago >= 1 and not site.ended else ""
    return cut(when + printable(site.problem.text), width, glyphs), style


def _state_words(run: LiveRun, site: LiveSite, room: int) -> str:
    """Return a site's state, with how long it is so, and where there is room when a paused one is tried again."""
    if site.state is State.PAUSED:
        words = f"paused {format_duration(run.now - site.since)}"
        if site.retry_at is None:
            return words
        wait = site.retry_at - run.now
        longer = f"{words}, next try in {format_duration(wait)}" if wait >= 1 else f"{words}, trying again now"
        return longer if len(longer) <= room else words
    if site.state is State.CONNECTING:
        return f"connecting {format_duration(run.now - site.since)}"
    if site.state is State.DONE and site.failed:
        return f"done, {site.failed} failed"
    return str(site.state)


def _size(site: LiveSite) -> str:
    return "" if site.only_looks else _of(site.total if site.complete else site.done, site.total)


def _of(done: int, total: int) -> str:
    """Return `1.2/3.0 GiB`, or `55 MiB/3.0 GiB`."""
    here, whole = format_size(done), format_size(total)
    number, unit = here.split(" ")
    return f"{number}/{whole}" if not done or whole.endswith(f" {unit}") else f"{here}/{whole}"


def _rate(rate: float) -> str:
    return f"{format_size(rate)}/s" if rate >= 1 else ""


def _left(seconds: float | None) -> str:
    """Return the time left, no finer than it is known: steps of 5 s from 2 minutes on, of a minute from 10 on."""
    if seconds is None:
        return ""
    if seconds >= _DAY:
        days = seconds / _DAY
        return f"{days:.0f}d" if days < 100 else ">99d"
    step = 1 if seconds < 120 else 5 if seconds < 600 else 60
    shown = format_duration(max(round(seconds / step) * step, 1))
    return shown if seconds < 600 or seconds >= 3600 else shown.removesuffix("00s")
