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

    def across(moment: float) -> float:
        return round(min(max(moment / seconds, 0.0), 1.0) * WIDTH, 1)

    line = " ".join(f"{across(moment)},{round(HEIGHT - rate / highest * HEIGHT, 1)}" for moment, rate in points)
    pauses = [
        (across((begin - start).total_seconds()), across(((until or end) - start).total_seconds()))
        for begin, until in site.pauses
    ]
    bands = "".join(
        f'<rect class="pause" x="{left}" y="0" width="{max(round(right - left, 1), 1)}" height="{HEIGHT}"/>'
        for left, right in pauses
    )
    first, last = across(points[0][0]), across(points[-1][0])
    words = f"{site.name}: rate over {format_duration(seconds)}, at most {format_size(highest)}/s"
    words += f", paused {len(pauses)} times" if pauses else ""
    words = escape(printable(words))
    return (
        f'<svg class="rate" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{words}"><title>{words}</title>{bands}'
        f'<polygon class="area" points="{first},{HEIGHT} {line} {last},{HEIGHT}"/>'
        f'<polyline class="line" points="{line}"/></svg>'
    )


def _reduced(samples: Sequence[Sample], start: datetime) -> list[tuple[float, float]]:
    """Return at most POINTS pairs of seconds since the start and mean rate."""
    each = -(-len(samples) // POINTS)
    groups = [samples[index : index + each] for index in range(0, len(samples), each)]
    return [((group[-1].time - start).total_seconds(), sum(one.rate for one in group) / len(group)) for group in groups]
