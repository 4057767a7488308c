"""The live board on a terminal: what is said scrolls by, and below it stands how far each site is.

Not rich's Live: it hides the cursor, which a second Ctrl-C, Ctrl-Z or a kill then leaves hidden, its thread draws while
events change what is drawn, and after a window has become narrower or a shell has written, it erases the wrong lines.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from io import StringIO
from types import FrameType, TracebackType
from typing import Any, Self

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from ...clock import Clock
from ...events import Event, RunStarted, Summary
from ...text import printable
from .base import Output, left_out_line, summary_lines
from .cells import ASCII, UNICODE, Frame, Glyphs, Line, plain
from .layout import board_lines
from .live import LiveRun
from .messages import Messages
from .terminal import TerminalWriter, can_show_blocks, in_foreground

SECONDS = 0.5  # between two drawings


class _Page(StringIO):
    """The file that the console has instead of the terminal, and takes for one: writing to that may block."""

    def isatty(self) -> bool:
        return True

    def take(self) -> str:
        """Return all that was written since the last time."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


class BoardOutput(Output):
    """The live board. File names are never read as markup or control codes: only Text and Segments are printed.

    The cursor stays visible, at the beginning of the line below the board: whatever ends or stops the process, the
    shell goes on there.
    """

    def __init__(
        self, console: Console | None = None, *, glyphs: Glyphs | None = None, clock: Clock | None = None
    ) -> None:
        self._console = console or Console(highlight=False)
        self._glyphs = glyphs or (UNICODE if can_show_blocks(self._console) else ASCII)
        self._clock = clock or Clock()
        self._run = LiveRun(self._clock)
        self._messages = Messages()
        self._drawn: list[int] = []  # widths of the lines that stand there now
        self._drawn_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._continued = False
        self._before: Any = None
        self._terminal = self._console.file
        self._page = _Page()
        self._writer: TerminalWriter | None = None
        self._unsaid: list[Text] = []  # while the terminal takes nothing

    def __enter__(self) -> Self:
        if not self._console.legacy_windows:  # which rich writes to by calls of its own
            self._writer = TerminalWriter(self._terminal)
            self._console.file = self._page
        if hasattr(signal, "SIGCONT"):
            with suppress(ValueError):  # not in the main thread
                self._before = signal.signal(signal.SIGCONT, self._on_continue)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._before is not None:
            signal.signal(signal.SIGCONT, self._before)
        with suppress(OSError):
            self.flush()
            self._print([])
        if self._writer is not None:
            self._writer.close()
            self._console.file = self._terminal

    def flush(self) -> None:
        """Wait until all that was to be written is written."""
        if self._writer is not None:
            self._writer.wait()

    def _on_continue(self, _number: int, _frame: FrameType | None) -> None:
        self._continued = True  # the shell has written below the board, which stays where it is

    def announce_stopping(self) -> None:
        self._say("stopping; once more to stop at once", "yellow")

    def handle(self, event: Event) -> None:
        self._run.handle(event)
        message = self._messages.about(event)
        if isinstance(event, Summary):
            self._end(event)
        elif message is not None:
            time = "" if isinstance(event, RunStarted) else f"{event.time.astimezone():%H:%M:%S} "
            self._say(time + message.text, message.level.value)
        else:
            self._draw_soon()

    def lines(self) -> list[Line]:
        """Return the board for the window as it is now."""
        width, height = self._console.size
        return board_lines(self._run, width, height - 1, self._glyphs)

    def _say(self, text: str, style: str = "") -> None:
        """Print a line above the board."""
        self._print([Text(printable(text), style)], self.lines())

    def _end(self, event: Summary) -> None:
        self.flush()
        said = []
        if line := left_out_line(event):
            said.append(Text(printable(line), "yellow" if event.left_out.get("unknown", 0) else ""))
        *sites, verdict = summary_lines(event, self.selection)
        said += [Text(printable(line), "red" if "STOPPED" in line else "") for line in sites]
        said.append(Text(printable(verdict), "bold green" if event.exit_code == 0 else "bold red"))
        self._print(said)
        self.flush()

    def _draw_soon(self) -> None:
        """Draw the board, not too often; without an event loop, whoever wants it asks for the lines."""
        if self._timer is not None:
            return
        with suppress(RuntimeError):
            wait = max(self._drawn_at + SECONDS - self._clock.monotonic(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._draw)

    def _draw(self) -> None:
        self._timer = None
        if not self._run.ended:
            with suppress(OSError):  # a terminal that is gone
                self._print([], self.lines())

    def _print(self, said: list[Text], lines: list[Line] | None = None) -> None:
        """Replace the board by what is said and the board, in one write, so that nothing flickers.

        A terminal that is still busy with what was before gets it later.
        """
        console = self._console
        self._drawn_at = self._clock.monotonic()
        self._unsaid += said
        if self._writer is not None and not self._writer.ready:
            self._draw_soon()
            return
        said, self._unsaid = self._unsaid, []
        if not in_foreground(self._terminal):  # a shell has the terminal: no board, or it would erase what others write
            lines = []
        with console:
            self._erase()
            for text in said:
                console.print(text, soft_wrap=True)
            if lines:
                console.print(Frame(lines), end="", no_wrap=True, crop=False)
        if self._writer is not None:
            self._writer.write(self._page.take())
        self._drawn = [cell_len(plain(line)) for line in lines or ()]

    def _erase(self) -> None:
        """Erase the board. In a window that has become narrower, its lines take more rows than they did."""
        drawn, self._drawn = self._drawn, []
        if self._continued:
            self._continued, drawn = False, []
        width = max(self._console.width, 1)
        rows = sum(max(-(-one // width), 1) for one in drawn)
        codes: list[Any] = [ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)]
        self._console.control(Control(*codes, *[(ControlType.CURSOR_UP, 1), (ControlType.ERASE_IN_LINE, 2)] * rows))
