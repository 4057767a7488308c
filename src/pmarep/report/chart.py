"""Draw the rate of a site over time as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape

from ..text import printable
from ..units import format_duration, format_size
from .model import ReportSite, Sample

WIDTH, HEIGHT = 600, 56
POINTS = 300
"""Of a line at most: more cannot be told apart, and make the file long."""


def rate_chart(site: ReportSite, start: datetime, end: datetime) -> str:
    """Return the chart of one site from the start to the end of the run; empty where nothing was measured."""
    if not site.samples:
        return ""
    seconds = max((end - start).total_seconds(), 1.0)
    points = _reduced(site.samples, start)
    highest = max(max(rate for _, rate in points), 1.0)
    begun = [0.0, *(moment for moment, _ in points)]

    def across(moment: float) -> float:
        return round(min(max(moment / seconds, 0.0), 1.0) * WIDTH, 1)

    line = " ".join(
        f"{across(since)},{height} {across(moment)},{height}"
        for since, (moment, rate) in zip(begun, points, strict=False)
        for height in [round(HEIGHT - rate / highest * HEIGHT, 1)]
    )
    pauses = [
        (across((begin - start).total_seconds()), across(((until or end) - start).total_seconds()))
        for begin, until in site.pauses
    ]
    bands = "".join(
        f'<rect class="pause" x="{left}" y="0" width="{max(round(right - left, 1), 1)}" height="{HEIGHT}"/>'
        for left, right in pauses
    )
    last = across(points[-1][0])
    words = f"{site.name}: rate over {format_duration(seconds)}, at most {format_size(highest)}/s"
    words += f", paused {len(pauses)} times" if pauses else ""
    words = escape(printable(words))
    return (
        f'<svg class="rate" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{words}"><title>{words}</title>{bands}'
        f'<polygon class="area" points="0,{HEIGHT} {line} {last},{HEIGHT}"/>'
        f'<polyline class="line" points="{line}"/></svg>'
    )


def _reduced(samples: Sequence[Sample], start: datetime) -> list[tuple[float, float]]:
    """Return at most POINTS pairs: seconds since the start, and the mean rate since the pair before."""
    each = -(-len(samples) // POINTS)
    found, before, sent = [], start, 0
    for last in [samples[min(index, len(samples)) - 1] for index in range(each, len(samples) + each, each)]:
        found.append(((last.time - start).total_seconds(), (last.sent - sent) / (last.time - before).total_seconds()))
        before, sent = last.time, last.sent
    return found
