"""The words and figures of a site, short enough for a board."""

from __future__ import annotations

from ...events import State
from ...text import printable
from ...units import format_duration, format_size
from .cells import Glyphs, Span, cut, joined
from .live import LiveRun, LiveSite

STYLES = {State.DONE: "green", State.STOPPED: "red", State.PAUSED: "yellow", State.CONNECTING: "dim"}
"""The styles of states; a running site has none."""

_NEW_SECONDS = 10
_DAY = 86400.0


def bar_style(state: State) -> str:
    """Return the style of a site's bar: that of its state, and never that of errors for a healthy one."""
    return "cyan" if state in (State.RUNNING, State.CONNECTING) else STYLES[state]


def activity_words(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> Span:
    """Return what a running site is at, in a few columns: a problem that is new, else the slides being sent."""
    if site.waits_for:
        return cut(printable(site.waits_for), width, glyphs), "yellow"
    if site.problem is not None and (run.now - site.problem.at < _NEW_SECONDS or not site.sending):
        return cut(printable(site.problem.text), width, glyphs), "yellow"
    return joined(map(printable, site.sending), width, glyphs), "dim"


def sending_words(site: LiveSite, width: int, glyphs: Glyphs) -> Span:
    """Return what a site is silent about, else the slides being sent there, or pulled."""
    if site.waits_for:
        return cut(printable(site.waits_for), width, glyphs), "yellow"
    if not site.sending or site.state is not State.RUNNING:
        return "", ""
    verb = "pulling" if site.pulls else "sending"
    return f"{verb} {joined(map(printable, site.sending), width - 8, glyphs)}", ""


def problem_words(run: LiveRun, site: LiveSite, width: int, glyphs: Glyphs) -> Span:
    """Return the last problem of a site, and how long ago that was."""
    if site.problem is None:
        return "", ""
    style = "red" if site.state is State.STOPPED else "yellow"
    ago = run.now - site.problem.at
    when = f"{format_duration(ago)} ago: " if ago >= 1 and not site.ended else ""
    return cut(when + printable(site.problem.text), width, glyphs), style


def state_words(run: LiveRun, site: LiveSite, room: int) -> str:
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
    if site.state is State.DONE and site.left_out:
        return f"done, {site.left_out} left out"
    return str(site.state)


def size_of(site: LiveSite) -> str:
    """Return the bytes done of all bytes; empty where nothing is to be sent."""
    return "" if site.only_looks or not site.total else done_of(site.total if site.complete else site.done, site.total)


def done_of(done: int, total: int) -> str:
    """Return `1.2/3.0 GiB`, or `55 MiB/3.0 GiB`."""
    here, whole = format_size(done), format_size(total)
    number, unit = here.split(" ")
    return f"{number}/{whole}" if not done or whole.endswith(f" {unit}") else f"{here}/{whole}"


def rate_of(rate: float) -> str:
    """Return `1.2 MiB/s`; empty where nothing moves."""
    return f"{format_size(rate)}/s" if rate >= 1 else ""


def time_left(seconds: float | None) -> str:
    """Return the time left, no finer than it is known: steps of 5 s from 2 minutes on, of a minute from 10 on."""
    if seconds is None:
        return ""
    if seconds >= _DAY:
        days = seconds / _DAY
        return f"{days:.0f}d" if days < 100 else ">99d"
    step = 1 if seconds < 120 else 5 if seconds < 600 else 60
    shown = format_duration(max(round(seconds / step) * step, 1))
    return shown if seconds < 600 or seconds >= 3600 else shown.removesuffix("00s")
