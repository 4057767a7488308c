"""Handle Ctrl-C and the signals that end programs: the first stops a run cleanly, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from types import FrameType

INTERRUPTED = 130


REPEATED_SECONDS = 0.5
"""A second signal so soon after the first one is no wish to end at once: timeout(1) sends each to its command, and
again to the whole group of processes."""


class _Signals:
    """The signals that have come to end what goes on."""

    def __init__(self) -> None:
        self._first_at: float | None = None

    @property
    def have_come(self) -> bool:
        """True after the first one."""
        return self._first_at is not None

    def is_first(self) -> bool:
        """Take a signal: return whether it is the first. A later one ends the process, unless it is a repetition."""
        now = time.monotonic()
        if self._first_at is None:
            self._first_at = now
            return True
        if now - self._first_at >= REPEATED_SECONDS:
            os._exit(INTERRUPTED)  # the journal is on disk already; there is nothing to lose
        return False


class _Rounds:
    """What signals do to a command that repeats: the first ends it, and the round that goes on, if one does."""

    def __init__(self, stop: Callable[[], None], hangup_reloads: bool) -> None:
        self.stop = stop
        self.hangup_reloads = hangup_reloads
        self.signals = _Signals()


_rounds: _Rounds | None = None
"""Set while a command repeats."""


def termination_signals() -> list[signal.Signals]:
    """Return the signals that end programs on this platform, without those ignored on purpose, as by nohup."""
    names = (
        ("SIGINT", "SIGTERM", "SIGBREAK")
        if _rounds is not None and _rounds.hangup_reloads
        else ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    )
    known = [getattr(signal, name, None) for name in names]
    return [number for number in known if number is not None and signal.getsignal(number) is not signal.SIG_IGN]


INTERRUPTED_BEFORE_START = "interrupted before anything was sent"

_run_started = False
"""True once a run has begun, which says itself how it ended."""


@contextmanager
def exit_on_signals(*, events: bool) -> Iterator[None]:
    """Until a run begins, end the process at a signal with one line; `events`: with the summary of `--json`.

    A KeyboardInterrupt would come anywhere, in the middle of an import or in a destructor, where Python drops it.
    """

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # Nothing is imported here, and nothing of ours used: any module may be half there.
        with suppress(OSError):
            if events and not _run_started:
                now = time.strftime("%Y-%m-%dT%H:%M:%S.000+00:00", time.gmtime())
                os.write(1, (_SUMMARY % (now, INTERRUPTED, INTERRUPTED_BEFORE_START)).encode())
            elif not _run_started:
                os.write(2, f"pmarep: {INTERRUPTED_BEFORE_START}\n".encode())
        os._exit(INTERRUPTED)

    before = {number: signal.signal(number, on_signal) for number in termination_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SUMMARY = (
    '{"event": "summary", "time": "%s", "exit_code": %d, "seconds": 0.0, "sites": {}, "source_problems": 0, '
    '"source": {"slides": 0, "bytes": 0, "reasons": {}, "empty": [], "filtered": [], "may_be_empty": false}, '
    '"left_out": {}, '
    '"dry_run": false, "verify_only": false, "error": "%s", "annotations": false, "bytes_downloaded": 0, '
    '"shard": null, "pull": false, "mirror": false, "unfinished": 0, "map_only": false}\n'
)
"""The `summary` event as JSON; nothing of ours may be imported to make it."""


@contextmanager
def stop_on_signals(stop: asyncio.Event, tell: Callable[[], None]) -> Iterator[None]:
    """While inside, the first signal sets `stop` and calls `tell`; the second ends the process.

    Works on Windows too, where event loops take no signal handlers.
    """
    import asyncio

    global _run_started
    loop = asyncio.get_running_loop()
    signals = _Signals() if _rounds is None else _rounds.signals

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if not signals.is_first():
            return
        if _rounds is not None:
            _rounds.stop()
        loop.call_soon_threadsafe(stop.set)
        loop.call_soon_threadsafe(tell)

    before = {number: signal.signal(number, on_signal) for number in termination_signals()}
    _run_started = True
    if signals.have_come:  # just before
        stop.set()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def signals_between_rounds(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """While inside, call `stop` at the first signal that ends programs, in a round too; the second ends the process.

    SIGHUP calls `reload`, but for a program on a terminal: there it says that the window was closed. Handlers call
    both, so they have to be quick and to wait for nothing.
    """
    global _rounds, _run_started
    hangup = getattr(signal, "SIGHUP", None)
    rounds = _rounds = _Rounds(stop, hangup is not None and not (sys.stdout.isatty() or sys.stderr.isatty()))

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if rounds.signals.is_first():
            rounds.stop()

    before = {number: signal.signal(number, on_signal) for number in termination_signals()}
    if hangup is not None and rounds.hangup_reloads:
        before[hangup] = signal.signal(hangup, lambda _number, _frame: reload())
    _run_started = True
    try:
        yield
    finally:
        _rounds = None
        for number, handler in before.items():
            signal.signal(number, handler)
