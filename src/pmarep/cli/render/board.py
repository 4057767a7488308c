"""The live board on a terminal: a row per site with its bar, rate, time left, slides and failures, and a total."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ...events import (
    Event,
    Notice,
    Progress,
    RunStarted,
    SiteState,
    SlideFinished,
    SlidePlanned,
    SlideRestarted,
    SlideRetracted,
    SlideStarted,
    SlideStatus,
    SourceProblem,
    SourceWaiting,
    State,
    Summary,
)
from ...text import printable
from ...units import format_duration, format_size
from .base import Output, count_of, left_out_line, planned_line, summary_lines, waiting_line

_SMOOTHING = 0.2  # how much of a new rate goes into the time left, once a second
_RATES_NEEDED = 3
_COLOURS = {State.DONE: "green", State.STOPPED: "red", State.PAUSED: "yellow", State.CONNECTING: "dim"}


@dataclass(slots=True)
class _Row:
    """The board's numbers of one site. Sizes in bytes, rates in bytes/s."""

    name: str
    state: State = State.CONNECTING
    reason: str = ""  # of a pause
    done: int = 0
    total: int = 0
    rate: float = 0.0
    arrived: int = 0  # slides: sent, skipped or verified
    failed: int = 0
    under_way: dict[str, None] = field(default_factory=dict)  # an ordered set
    seconds_left: float | None = None  # None while it cannot be told
    _events: int = 0
    _pace: float = 0.0  # the rate, smoothed

    def handle(self, event: Progress) -> None:
        self.done, self.total, self.rate = event.bytes_done, event.bytes_total, event.rate
        self._events += 1
        # The first rates say how fast buffers are filled; the later ones go up and down with every file.
        early = self._events <= _RATES_NEEDED
        self._pace = event.rate if early else self._pace + _SMOOTHING * (event.rate - self._pace)
        unknown = self._events < _RATES_NEEDED or self._pace <= 0 or self.done >= self.total
        self.seconds_left = None if unknown else (self.total - self.done) / self._pace

    @property
    def complete(self) -> bool:
        return self.state is State.DONE and self.failed == 0

    @property
    def now(self) -> str:
        """The slide that has been sent for longest; the site's state where there is none."""
        if self.state is not State.RUNNING:
            return f"{self.state}: {self.reason}" if self.reason else str(self.state)
        if self.reason:
            return self.reason
        # The board is drawn by a thread of its own: a copy is made in one step, an iteration is not.
        return next(iter(list(self.under_way)), "")


def _total(rows: list[_Row]) -> _Row:
    """Sum up all sites in one row. A complete site counts as its total: no event came after its last second."""
    at_work = [row for row in rows if row.state is State.RUNNING]
    return _Row(
        "total",
        State.RUNNING,
        done=sum(row.total if row.complete else row.done for row in rows),
        total=sum(row.total for row in rows),
        rate=sum(row.rate for row in at_work),
        seconds_left=max((row.seconds_left for row in at_work if row.seconds_left is not None), default=None),
        arrived=sum(row.arrived for row in rows),
        failed=sum(row.failed for row in rows),
    )


class _Tail:
    """A path cut at its beginning to the columns that there are: names differ at their end."""

    def __init__(self, path: str, more: str, style: str) -> None:
        self._path = path
        self._more = more
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - cell_len(self._more)
        path = self._path
        if cell_len(path) > room:
            while path and cell_len(path) > room - 1:
                path = path[1:]
            path = "…" + path
        yield Text(path + self._more, self._style, no_wrap=True, overflow="crop")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, 1)  # the rest of the line, whatever that is


class BoardOutput(Output):
    """The live board. File names are never read as markup or control codes: only Text objects are printed."""

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

    def announce_stopping(self) -> None:
        self._say("stopping; once more to stop at once", "yellow")

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(Text(printable(text), style), soft_wrap=True)

    def handle(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case SourceProblem():
                self._say(f"not sent: {event.path}: {event.detail} ({event.why})", "yellow")
            case Notice():
                self._say(f"note: {event.text}", "yellow")
            case SourceWaiting():
                self._say(waiting_line(event))
            case SlideRestarted():
                size = format_size(event.bytes)
                self._say(f"{event.site}: {event.slide}: {size} have to be sent again: {event.reason}", "yellow")
            case SlideRetracted():
                row = self._rows[event.site]
                row.arrived, row.failed = row.arrived - 1, row.failed + 1
                self._say(f"{event.site}: damaged {event.slide}: {event.error}", "red")
            case SlidePlanned():
                self._say(planned_line(event))
            case SiteState():
                row = self._rows[event.site]
                row.state, row.reason = event.state, "" if event.state is State.STOPPED else event.reason or ""
                if event.state is State.STOPPED:
                    self._say(f"{event.site}: stopped: {event.reason}", "red")
            case SlideStarted():
                self._rows[event.site].under_way[event.slide] = None
            case SlideFinished():
                self._finished(event)
            case Progress():
                row = self._rows[event.site]
                row.reason = row.reason if row.state is not State.RUNNING or event.bytes_done == row.done else ""
                row.handle(event)
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
        row.reason = ""
        if event.status is not SlideStatus.FAILED:
            row.arrived += 1
        else:
            row.failed += 1
            self._say(f"{event.site}: failed {event.slide}: {event.error}", "red")

    def _end(self, event: Summary) -> None:
        self._rows = {}
        self._live.refresh()
        if line := left_out_line(event):
            self._say(line, "yellow" if event.left_out.get("unknown", 0) else "")
        good = event.exit_code == 0
        *sites, verdict = summary_lines(event, self.selection)
        for line in sites:
            self._say(line, "red" if "STOPPED" in line else "")
        self._say(verdict, "bold green" if good else "bold red")

    def _table(self) -> Table:
        """Return as many rows as the window is high, sites that are at work first, and always the total."""
        rows = list(self._rows.values())
        shown = rows
        room = max(self._console.size.height - 3, 1)
        if len(rows) > room:
            shown = sorted(rows, key=lambda row: row.state in (State.DONE, State.CONNECTING))[: room - 1]
        any_failed = any(row.failed for row in rows)
        table = self._grid(rows)
        for row in shown:
            table.add_row(*self._cells(row, self._slides, any_failed))
        if len(shown) < len(rows):
            table.add_row(Text(f"+ {len(rows) - len(shown)} sites", "dim"))
        if len(rows) > 1:
            table.add_row(*self._cells(_total(rows), self._slides * len(rows), any_failed))
        return table

    def _grid(self, rows: list[_Row]) -> Table:
        """Return an empty table of columns with fixed widths, so that nothing jumps; the slide has the rest."""
        width = self._console.size.width
        names = max((cell_len(printable(row.name)) for row in rows), default=0)
        slides = 2 * len(str(self._slides * len(rows))) + 1
        failed = sum(row.failed for row in rows)
        table = Table.grid(padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=min(max(names, 5), width // 4), no_wrap=True, overflow="ellipsis")
        table.add_column(width=min(max(width // 4 - 10, 8), 30))
        for fixed in (5, 10, 11, slides):
            table.add_column(width=fixed, justify="right", no_wrap=True)
        if failed:
            table.add_column(width=len(f"{failed} failed"), no_wrap=True)
        table.add_column(no_wrap=True, overflow="crop", ratio=1)
        return table

    def _cells(self, row: _Row, slides: int, any_failed: bool) -> list[RenderableType]:
        total = max(row.total, 1)
        done = total if row.complete else row.done
        # The last per cent is for what has been looked at after sending.
        percent = 100 if row.complete else min(100 * done // total, 99)
        running = row.state is State.RUNNING
        left = row.seconds_left if running else None
        more = f" +{len(row.under_way) - 1}" if running and len(row.under_way) > 1 else ""
        failures = [Text(f"{row.failed} failed" if row.failed else "", "red")] if any_failed else []
        return [
            Text(printable(row.name), _COLOURS.get(row.state, "bold")),
            ProgressBar(total=total, completed=done),
            Text(f"{percent} %"),
            Text(f"{format_size(row.rate)}/s" if row.rate and running else ""),
            Text("" if left is None else f"{format_duration(max(left, 1))} left"),
            Text(f"{row.arrived}/{slides}"),
            *failures,
            _Tail(printable(row.now), more, _COLOURS.get(row.state, "dim")),
        ]
