"""The live board on a terminal: a row per site with its bar, rate, time left, slides and failures, and a total."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...events import (
    Event,
    Progress,
    RunStarted,
    SiteState,
    SlideFinished,
    SlidePlanned,
    SlideStarted,
    SlideStatus,
    SourceProblem,
    State,
    Summary,
)
from ...units import format_duration, format_size
from .base import Output, count_of, summary_lines

_COLOURS = {State.DONE: "green", State.STOPPED: "red", State.PAUSED: "yellow", State.CONNECTING: "dim"}


@dataclass(slots=True)
class _Row:
    """What the board knows of one site."""

    name: str
    state: State = State.CONNECTING
    done: int = 0
    total: int = 0
    rate: float = 0.0
    sent: int = 0
    skipped: int = 0
    failed: int = 0
    under_way: dict[str, None] = field(default_factory=dict)  # an ordered set

    @property
    def time_left(self) -> str:
        if self.state is not State.RUNNING:
            return str(self.state)
        if self.rate <= 0 or self.total <= 0:
            return ""
        return f"{format_duration((self.total - self.done) / self.rate)} left"


class BoardOutput(Output):
    """File names are never read as markup or control codes: only Text objects are printed."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._rows: dict[str, _Row] = {}
        self._slides = 0
        self._live = Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._table)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def stopping(self) -> None:
        self._say("stopping; once more to stop at once", "yellow")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)

    def hear(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case SourceProblem():
                self._say(f"not sent: {event.path}: {event.detail} ({event.why})", "yellow")
            case SlidePlanned():
                self._say(f"{event.site}: would {event.action} {event.slide} to {event.to} ({event.reason})")
            case SiteState():
                self._rows[event.site].state = event.state
                if event.state is State.STOPPED:
                    self._say(f"{event.site}: stopped: {event.reason}", "red")
            case SlideStarted():
                self._rows[event.site].under_way[event.slide] = None
            case SlideFinished():
                self._finished(event)
            case Progress():
                row = self._rows[event.site]
                row.done, row.total, row.rate = event.bytes_done, event.bytes_total, event.rate
            case Summary():
                self._end(event)

    def _start(self, event: RunStarted) -> None:
        self._slides = event.slides
        self._rows = {name: _Row(name, total=event.bytes) for name in event.sites}
        more = " so far, still looking" if event.scanning else ""
        self._say(f"{count_of(event.slides, 'slide')}, {format_size(event.bytes)}{more}, to {', '.join(event.sites)}")

    def _finished(self, event: SlideFinished) -> None:
        row = self._rows[event.site]
        row.under_way.pop(event.slide, None)
        if event.status is SlideStatus.SENT:
            row.sent += 1
        elif event.status is SlideStatus.SKIPPED:
            row.skipped += 1
        else:
            row.failed += 1
            self._say(f"{event.site}: failed {event.slide}: {event.error}", "red")

    def _end(self, event: Summary) -> None:
        self._rows = {}
        self._live.refresh()
        good = event.exit_code == 0
        *sites, verdict = summary_lines(event)
        for line in sites:
            self._say(line, "red" if "STOPPED" in line else "")
        self._say(verdict, "bold green" if good else "bold red")

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for justify in ("left", "left", "right", "right", "right", "right"):
            table.add_column(justify=justify, no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in self._with_total():
            table.add_row(*self._cells(row))
        return table

    def _with_total(self) -> Iterator[_Row]:
        rows = list(self._rows.values())
        yield from rows
        if len(rows) > 1:
            total = _Row("total", State.RUNNING)
            for row in rows:
                total.done += row.done
                total.total += row.total
                total.rate += row.rate
                total.sent += row.sent
                total.skipped += row.skipped
                total.failed += row.failed
            yield total

    def _cells(self, row: _Row) -> list[Text | ProgressBar]:
        finished = row.state is State.DONE or (row.total == 0 and row.sent + row.skipped > 0)
        done, total = (1, 1) if finished else (row.done, max(row.total, 1))
        slides = f"{row.sent + row.skipped} of {self._slides * (len(self._rows) if row.name == 'total' else 1)}"
        failed = Text(f"{row.failed} failed", "red") if row.failed else Text("")
        return [
            Text(row.name, _COLOURS.get(row.state, "bold")),
            ProgressBar(total=total, completed=done, width=24),
            Text(f"{100 * done // total} %"),
            Text(f"{format_size(row.rate)}/s" if row.rate else ""),
            Text(row.time_left),
            Text.assemble(slides, " ", failed),
            Text(next(reversed(row.under_way), ""), "dim"),
        ]
