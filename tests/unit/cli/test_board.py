"""The live board: what stands in a window of 80 columns after some events."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from pmarep.cli.render.board import BoardOutput
from pmarep.events import (
    Event,
    Progress,
    RunStarted,
    SiteState,
    SiteSummary,
    SlideFinished,
    SlideStarted,
    SlideStatus,
    SourceProblem,
    State,
    Summary,
)

MIB = 1024 * 1024
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Window:
    """A terminal; `rows` is the board as it stands now, `said` everything that was printed."""

    def __init__(self, width: int = 80, height: int = 24) -> None:
        self._file = StringIO()
        console = Console(
            file=self._file,
            force_terminal=True,
            width=width,
            height=height,
            color_system="standard",
            _environ={"TERM": "xterm"},  # whatever terminal the tests run in
        )
        self._console = console
        self.board = BoardOutput(console)

    def handle(self, *events: Event) -> None:
        for event in events:
            self.board.handle(event)

    @property
    def said(self) -> str:
        return self._file.getvalue()

    @property
    def rows(self) -> list[str]:
        with self._console.capture() as captured:
            self._console.print(self.board._table())
        return _CODES.sub("", captured.get()).splitlines()


def started(*sites: str, slides: int = 6, size: int = 100 * MIB) -> list[Event]:
    running = [SiteState(site=site, state=State.RUNNING) for site in sites]
    return [RunStarted(sites=list(sites), slides=slides, bytes=size), *running]


def progress(site: str, done: float, rate: float, total: float = 100) -> Progress:
    return Progress(site=site, bytes_done=int(done * MIB), bytes_total=int(total * MIB), rate=rate * MIB, connections=2)


def sent(site: str, slide: str) -> SlideFinished:
    return SlideFinished(site=site, slide=slide, status=SlideStatus.SENT)


def failed(site: str, slide: str, error: str = "no room") -> SlideFinished:
    return SlideFinished(site=site, slide=slide, status=SlideStatus.FAILED, error=error)


def test_a_row_per_site_and_a_total() -> None:
    window = Window()
    window.handle(*started("tokyo", "saopaulo"))
    window.handle(SlideStarted(site="tokyo", slide="a/b.svs"), SlideStarted(site="tokyo", slide="c.svs"))
    window.handle(sent("saopaulo", "c.svs"))
    for done in (10, 20, 30):
        window.handle(progress("tokyo", done, 10), progress("saopaulo", done / 2, 5))
    tokyo, saopaulo, total = window.rows
    assert re.fullmatch(r"tokyo     ━+[╸╺]━+   30 %  10\.0 MiB/s      7s left    0/6  a/b\.svs \+1 *", tokyo)
    assert re.fullmatch(r"saopaulo  ━+[╸╺]━+   15 %   5\.0 MiB/s     17s left    1/6 *", saopaulo)
    # The whole is done when the slowest site is.
    assert re.fullmatch(r"total     ━+[╸╺]━+   22 %  15\.0 MiB/s     17s left   1/12 *", total)


def test_one_site_needs_no_total() -> None:
    window = Window()
    window.handle(*started("tokyo"))
    assert len(window.rows) == 1


def test_failures_are_counted_and_told() -> None:
    window = Window()
    window.handle(*started("tokyo", "saopaulo"), failed("tokyo", "x.svs", "the disk is full"))
    tokyo, saopaulo, total = window.rows
    assert "0/6  1 failed" in tokyo
    assert "failed" not in saopaulo
    assert "1 failed" in total
    assert "tokyo: failed x.svs: the disk is full" in window.said


@pytest.mark.parametrize("width", [60, 80, 140])
def test_every_row_has_the_width_of_the_window_whatever_is_in_it(width: int) -> None:
    window = Window(width)
    slide = "スライド標本/" * 20 + "胃生検 12.mrxs"
    window.handle(*started("tokyo", "saopaulo-" * 10), SlideStarted(site="tokyo", slide=slide))
    for rate in (0.0001, 1000, 9.5):
        window.handle(progress("tokyo", 1, rate))
        assert {cell_len(row) for row in window.rows} == {width}
        starts = {row.index("━") for row in window.rows}
        assert len(starts) == 1


def test_of_a_long_name_the_end_is_shown() -> None:
    window = Window()
    window.handle(*started("tokyo"), SlideStarted(site="tokyo", slide="2026/研究/" * 9 + "スライド 12.mrxs"))
    assert window.rows[0].rstrip().endswith("スライド 12.mrxs")
    assert "…" in window.rows[0]


def test_the_time_left_does_not_jump_with_the_rate() -> None:
    window = Window()
    window.handle(*started("tokyo"))
    left = []
    for second, rate in enumerate([80, 40, 10, 10, 10, 14, 6, 10, 0.5, 10], start=1):
        window.handle(progress("tokyo", second * 10, rate, total=1000))
        found = re.search(r"(\d+)(m\d\d)?s left", window.rows[0])
        left.append(found and found[0])
    assert left[:2] == [None, None]  # buffers were filling
    seconds = [_seconds(text) for text in left[2:] if text]
    assert len(seconds) == 8
    assert max(seconds) < 1.35 * min(seconds)


def _seconds(text: str) -> int:
    minutes, _, rest = text.removesuffix("s left").rpartition("m")
    return 60 * int(minutes or 0) + int(rest)


def test_it_is_not_complete_before_it_has_been_looked_at() -> None:
    window = Window()
    window.handle(*started("tokyo"), progress("tokyo", 100, 10))
    assert "99 %" in window.rows[0]
    window.handle(SiteState(site="tokyo", state=State.DONE))
    assert "100 %" in window.rows[0]
    assert window.rows[0].rstrip().endswith("done")


def test_a_site_that_failed_is_not_shown_as_complete() -> None:
    window = Window()
    window.handle(*started("tokyo"), progress("tokyo", 40, 10), failed("tokyo", "x.svs"))
    window.handle(SiteState(site="tokyo", state=State.DONE))
    assert " 40 %" in window.rows[0]


def test_a_stopped_site_says_why() -> None:
    window = Window()
    window.handle(*started("tokyo", "saopaulo"), progress("tokyo", 40, 10))
    window.handle(SiteState(site="tokyo", state=State.STOPPED, reason="cannot reach it"))
    tokyo, _, total = window.rows
    assert tokyo.rstrip().endswith("stopped")
    assert "/s" not in tokyo
    assert "/s" not in total
    assert "tokyo: stopped: cannot reach it" in window.said


def test_more_sites_than_lines_keep_the_total_in_sight() -> None:
    window = Window(height=10)
    names = [f"site{number}" for number in range(40)]
    window.handle(*started(*names))
    window.handle(*(SiteState(site=name, state=State.DONE) for name in names[:30]))
    rows = window.rows
    assert len(rows) <= 9
    assert rows[0].startswith("site30")
    assert rows[-2].startswith("+ 34")
    assert rows[-1].startswith("total")


def test_names_are_neither_markup_nor_control_codes() -> None:
    window = Window(width=120)
    window.handle(*started("[red]"))
    window.handle(SlideStarted(site="[red]", slide="[bold]a[/bold].svs"))
    assert window.rows[0].startswith("[red] ")
    assert "[bold]a[/bold].svs" in window.rows[0]
    window.handle(failed("[red]", "[/]\x1b[2J.svs", "it said\r\n\x07\x9b1m"))
    window.handle(SourceProblem(path="[link=x]\x1b]0;y", why="incomplete", detail=":smile:"))
    assert r"[red]: failed [/]\x1b[2J.svs: it said\x0d\x0a\x07\x9b1m" in window.said
    assert r"not sent: [link=x]\x1b]0;y: :smile: (incomplete)" in window.said
    assert not set(_CODES.sub("", window.said)) & set("\x1b\x07\x9b\r")


def test_at_the_end_there_is_a_summary_and_no_board() -> None:
    window = Window()
    with window.board:
        window.handle(*started("tokyo", "saopaulo"))
        done = SiteSummary(sent=6, bytes_sent=100 * MIB, seconds=10)
        down = SiteSummary(failed=6, error="cannot reach it")
        window.handle(Summary(exit_code=1, seconds=10, sites={"tokyo": done, "saopaulo": down}))
        assert "".join(window.rows) == ""
    said = _CODES.sub("", window.said)
    assert "tokyo     6 sent, 0 skipped, 0 failed; 100 MiB in 10s; 10.0 MiB/s" in said
    assert "saopaulo  0 sent, 0 skipped, 6 failed; 0 B in 0s; STOPPED" in said
    assert "6 slides did not arrive" in said
    assert window.said.rindex("\x1b[?25h") > window.said.rindex("\x1b[?25l")
