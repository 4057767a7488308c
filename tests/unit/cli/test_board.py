"""The live board on a terminal: what is drawn, when, and what is left of it."""

from __future__ import annotations

import asyncio
import re
import signal
import threading
from io import StringIO

import pytest
from rich.console import Console
from support.boards import MIB, SetClock, failed, paused, progress, sent, started

from pmarep.cli.render import board as board_module
from pmarep.cli.render.board import SECONDS, BoardOutput
from pmarep.cli.render.cells import UNICODE, plain
from pmarep.cli.render.terminal import DUMB, is_live, speaks_unicode
from pmarep.events import (
    Event,
    RunStarted,
    SiteState,
    SiteSummary,
    SlideFinished,
    SlideStarted,
    SlideStatus,
    SourceProblem,
    SourceWaiting,
    State,
    Summary,
)

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Window:
    """A terminal with a board; `said` is everything that was printed, `screen` what a person sees of it."""

    def __init__(self, width: int = 80, height: int = 24, **options: bool) -> None:
        self._file = StringIO()
        self.console = Console(
            file=self._file,
            force_terminal=True,
            width=width,
            height=height,
            color_system="standard",
            _environ={"TERM": "xterm"},  # whatever terminal the tests run in
            **options,  # type: ignore[arg-type]
        )
        self.clock = SetClock()
        self.board = BoardOutput(self.console, glyphs=UNICODE, clock=self.clock)

    def handle(self, *events: Event) -> None:
        for event in events:
            self.board.handle(event)

    @property
    def shown(self) -> str:
        self.board.flush()
        return self._file.getvalue()

    @property
    def rows(self) -> list[str]:
        return [plain(line) for line in self.board.lines()]

    @property
    def screen(self) -> list[str]:
        """Play the codes that boards use: carriage return, erase the line, up, colours."""
        lines, row, column = [""], 0, 0
        for text in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", self.shown):
            if text == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            elif text == "\r":
                column = 0
            elif text == "\x1b[2K":
                lines[row] = ""
            elif text == "\x1b[1A":
                assert row > 0, "above the window"
                row -= 1
            elif not text.startswith("\x1b"):
                lines[row] = lines[row][:column].ljust(column) + text
                column += len(text)
            else:
                assert text.endswith("m"), text
        return lines


def draw(window: Window) -> None:
    """What the event loop does some time after an event."""
    window.board.flush()
    window.board._draw()
    window.board.flush()


def test_reported_lines_stand_above_the_board() -> None:
    window = Window()
    window.handle(*started("tokyo"), progress("tokyo", 10))
    draw(window)
    window.handle(failed("tokyo", "x.svs", "the disk is full"))
    draw(window)
    window.handle(progress("tokyo", 20))
    draw(window)
    screen = window.screen
    assert screen[0] == "6 slides, 100 MiB, to tokyo"
    assert re.fullmatch(r"\d\d:\d\d:\d\d tokyo: failed x\.svs: the disk is full", screen[1])
    assert screen[2:] == [*window.rows, ""]
    assert "20%" in screen[3]


def test_the_cursor_is_never_hidden_and_stays_below_the_board() -> None:
    window = Window()
    with window.board:
        window.handle(*started("tokyo"), progress("tokyo", 10))
        draw(window)
        assert window.shown.endswith("\n")
    assert "\x1b[?25" not in window.shown


def test_a_board_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window()
    window.handle(*started("tokyo"), progress("tokyo", 10))
    written: list[str] = []
    monkeypatch.setattr(window._file, "write", written.append)
    draw(window)
    assert len(written) == 1


def test_a_pause_is_reported_once_and_never_cut() -> None:
    window = Window()
    cause = "https://tokyo.example/core/ refused the connection; is the server running, and the port right?" * 2
    window.handle(*started("tokyo"), *(paused("tokyo", cause, seconds) for seconds in (1, 2, 4, 8)))
    assert _CODES.sub("", window.shown).count(f"tokyo: paused: {cause} (trying again)\n") == 1
    window.handle(SiteState(site="tokyo", state=State.RUNNING), paused("tokyo", cause))
    assert window.shown.count("answers again") == 1
    assert _CODES.sub("", window.shown).count(f"tokyo: paused: {cause}") == 2


def test_forty_young_slides_are_reported_once() -> None:
    window = Window()
    window.handle(*started("tokyo"), *(SourceWaiting(slides=slides, seconds=9) for slides in range(40, 0, -1)))
    assert window.shown.count("40 slides are still being written or just copied") == 1
    assert window.shown.count(" are still being written") == 1
    assert window.rows[-1].endswith("1 slide still being written or just copied, looking again in 9s")


class HeldFile(StringIO):
    """A terminal that takes nothing until `released`."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.released = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        assert self.released.wait(60)
        return super().write(text)


def test_a_terminal_that_is_held_holds_up_nothing_and_loses_nothing() -> None:
    window = Window()
    held = window._file = window.board._terminal = HeldFile()
    with window.board:
        window.handle(*started("tokyo"))
        assert held.reached.wait(60)
        for number in range(20):
            window.handle(failed("tokyo", f"{number}.svs"))  # would stand still, if the board waited
        held.released.set()
        window.board.flush()
        window.handle(progress("tokyo", 1))
        draw(window)
        assert [int(found) for found in re.findall(r"failed (\d+)\.svs: no room", window.shown)][:20] == list(range(20))
    assert "─" not in "".join(window.screen)


def test_an_interruption_is_reported_once_and_not_for_each_site() -> None:
    window = Window()
    window.handle(*started("tokyo", "b"))
    window.board.announce_stopping()
    window.handle(*(SiteState(site=name, state=State.STOPPED, reason="interrupted") for name in ("tokyo", "b")))
    assert "stopped: interrupted" not in window.shown
    assert window.shown.count("stopping; once more to stop at once") == 1


def test_what_is_waited_for_is_on_the_board_until_something_moves() -> None:
    window = Window()
    waiting = SiteState(site="a", state=State.RUNNING, reason="waiting for https://a.example/ to answer the log-in")
    window.handle(*started("a"), waiting, progress("a", 0))
    assert any("waiting for https://a.example/" in row for row in window.rows)
    window.handle(progress("a", 50))
    assert not any("waiting" in row for row in window.rows)


def test_names_are_neither_markup_nor_control_codes() -> None:
    window = Window(width=120)
    window.handle(*started("[red]"), SlideStarted(site="[red]", slide="[bold]a[/bold]\x1b[2J.svs"))
    assert window.rows[0].startswith("╭─ [red] ")
    assert r"sending [bold]a[/bold]\x1b[2J.svs" in window.rows[3]
    window.handle(failed("[red]", "[/]\x1b[2J.svs", "it said\r\n\x07\x9b1m"))
    window.handle(SourceProblem(path="[link=x]\x1b]0;y", why="incomplete", detail=":smile:"))
    draw(window)
    assert r"[red]: failed [/]\x1b[2J.svs: it said\x0d\x0a\x07\x9b1m" in window.shown
    assert r"not sent: [link=x]\x1b]0;y: :smile: (incomplete)" in window.shown
    assert not set(_CODES.sub("", window.shown)) & set("\x1b\x07\x9b")


def test_after_a_shell_has_written_the_board_begins_anew() -> None:
    """Ctrl-Z, some commands, fg: what the shell has written is not erased."""
    if not hasattr(signal, "SIGCONT"):
        pytest.skip("no job control here")
    window = Window()
    with window.board:
        window.handle(*started("tokyo"), progress("tokyo", 10))
        draw(window)
        window._file.write("[1]+  Stopped\n")
        signal.raise_signal(signal.SIGCONT)
        window.handle(progress("tokyo", 20))
        draw(window)
        draw(window)
    at = window.screen.index("[1]+  Stopped")
    assert "10%" in window.screen[at - 6]
    assert signal.getsignal(signal.SIGCONT) is signal.SIG_DFL


def test_in_the_background_there_are_lines_and_no_board(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window()
    window.handle(*started("tokyo"))
    draw(window)
    monkeypatch.setattr(board_module, "in_foreground", lambda _terminal: False)
    window.handle(progress("tokyo", 10))
    draw(window)
    before = window.shown
    draw(window)
    window.handle(failed("tokyo", "x"))
    assert "─" not in window.shown[len(before) :]
    assert "tokyo: failed x: no room" in window.shown[len(before) :]


def test_in_a_narrower_window_the_old_board_goes_all_the_same() -> None:
    window = Window(width=80)
    window.handle(*started("tokyo"))
    draw(window)
    before = len(window.shown)
    window.console.width = 40
    draw(window)
    # Five panel lines of 80 columns are two rows each now, and the last is one.
    assert window.shown[before:].count("\x1b[1A") == 6 * 2 + 1


def test_at_the_end_there_is_a_summary_and_no_board() -> None:
    window = Window()
    with window.board:
        window.handle(*started("tokyo", "saopaulo"))
        draw(window)
        done = SiteSummary(sent=6, bytes_sent=100 * MIB, seconds=10)
        down = SiteSummary(failed=6, error="cannot reach it")
        window.handle(Summary(exit_code=1, seconds=10, sites={"tokyo": done, "saopaulo": down}))
        draw(window)
    assert [line for line in window.screen if line][1:] == [
        "tokyo     6 sent, 0 skipped, 0 failed; 100 MiB in 10s; 10.0 MiB/s",
        "saopaulo  0 sent, 0 skipped, 6 failed; 0 B in 0s; STOPPED, see above",
        "6 slides did not arrive; see above, then run it again to send the rest",
    ]


def test_an_exception_leaves_no_board() -> None:
    window = Window()

    def run() -> None:
        with window.board:
            window.handle(*started("tokyo"))
            draw(window)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        run()
    assert [line for line in window.screen if line] == ["6 slides, 100 MiB, to tokyo"]


async def test_many_events_are_one_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window()
    drawn: list[float] = []
    real = window.board._draw

    def draw() -> None:
        drawn.append(window.clock.now)
        real()

    monkeypatch.setattr(window.board, "_draw", draw)
    window.handle(*started("tokyo"))
    window.clock.now = 10
    for number in range(1000):
        window.handle(SlideFinished(site="tokyo", slide=str(number), status=SlideStatus.SKIPPED))
    assert drawn == []
    while not drawn:
        await asyncio.sleep(0)
    window.handle(sent("tokyo", "x"))
    timer = window.board._timer
    assert timer is not None
    assert timer.when() - asyncio.get_running_loop().time() > SECONDS / 2
    timer.cancel()
    assert drawn == [10]


def test_without_colours_everything_is_reported_all_the_same() -> None:
    window = Window(no_color=True)
    window.handle(*started("tokyo"), progress("tokyo", 10), failed("tokyo", "x"))
    draw(window)
    assert not re.search(r"\x1b\[[0-9;]*3\dm", window.shown)
    assert "10%" in window.shown


@pytest.mark.parametrize(
    ("environment", "unicode"),
    [
        ({}, False),
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # which Python has set
        ({"LC_CTYPE": "C.UTF-8"}, False),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({"LANG": "C.UTF-8", "LC_CTYPE": "C.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.utf8"}, True),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "en_US.UTF-8", "LANG": "C"}, True),
        ({"LC_CTYPE": "UTF-8"}, True),  # macOS
    ],
)
def test_blocks_are_for_locales_with_unicode(environment: dict[str, str], unicode: bool) -> None:
    assert speaks_unicode(environment) is unicode


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)


@pytest.mark.usefixtures("terminal")
def test_a_dumb_terminal_gets_lines() -> None:
    assert is_live({"TERM": "xterm"})
    assert is_live({})
    assert not any(is_live({"TERM": name}) for name in DUMB)


def test_a_run_that_cannot_begin_has_no_board() -> None:
    window = Window()
    with window.board:
        window.handle(Summary(exit_code=130, seconds=0, sites={}, error="interrupted"))
    assert [line for line in window.screen if line] == ["interrupted"]


def test_the_first_line_says_what_goes_where() -> None:
    window = Window()
    window.handle(RunStarted(sites=["a", "b"], slides=1, bytes=0, scanning=True))
    assert window.screen[0] == "1 slide, 0 B so far, still looking, to a, b"
