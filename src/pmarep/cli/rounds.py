"""Repeat a push or copy until a signal ends it: `--every`, `--between`."""

from __future__ import annotations

import gc
import queue
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..clock import Clock
from ..daily_window import DailyWindow
from ..errors import PmarepError, ProblemsError, UsageError, internal_error
from ..events import Event, Notice, RoundReason, RoundStarted, Summary
from ..system import service_manager
from ..units import format_duration, parse_duration
from .option_values import parse_option
from .replication_run import PreparedRun, emit_error_summary
from .run_observers import RunObserver
from .signal_handlers import INTERRUPTED, signals_between_rounds

if TYPE_CHECKING:
    from ..events import SiteSummary
    from ..state.run_records import RunFile

SLICE_SECONDS = 1.0
"""One wait at most: on Windows a signal is heard only between two of them."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When rounds begin: so many seconds after the last one has ended, and only in the window, if there is one."""

    every: float
    between: DailyWindow | None = None

    def __str__(self) -> str:
        return f"every {format_duration(self.every)}{f' between {self.between}' if self.between else ''}"


@dataclass
class Rounds:
    """Repeats what `prepare` returns until a signal ends it. `tell` hears what is said between rounds.

    `inbox` has what interrupts the time between two rounds: reasons for a round now, what is to be said, None for the
    end. Signal handlers and the thread that notices changes write to it: a SimpleQueue, which handlers may write to.
    """

    schedule: Schedule
    prepare: Callable[[], PreparedRun]
    tell: Callable[[Event], None]
    json: bool = False
    clock: Clock = field(default_factory=Clock)
    inbox: queue.SimpleQueue[RoundReason | Notice | None] = field(default_factory=queue.SimpleQueue)
    stopping: bool = False

    def run(self, prepared: PreparedRun) -> int:
        """Run the rounds and return the exit code: 130 where a round was interrupted, else that of the last one.

        An error of the first round is raised, so that whoever starts a service learns of it.
        """
        with signals_between_rounds(self._stop, lambda: self.inbox.put(RoundReason.RELOAD)):
            service_manager.notify(service_manager.READY)
            try:
                return self._run(prepared)
            finally:
                service_manager.notify(service_manager.STOPPING)

    def _stop(self) -> None:
        self.stopping = True
        self.inbox.put(None)

    def _run(self, prepared: PreparedRun) -> int:
        number = code = 0
        due, reason = self.clock.monotonic(), RoundReason.START
        while True:
            begins, prepared = self._wait(prepared, due, reason)
            if begins is None:
                return code
            number += 1
            service_manager.notify(service_manager.status(f"round {number}"))
            code = self._one(prepared, RoundStarted(round=number, reason=begins))
            if code == INTERRUPTED:
                return code
            due, reason = self.clock.monotonic() + self.schedule.every, RoundReason.TIME

    def _one(self, prepared: PreparedRun, started: RoundStarted) -> int:
        gc.unfreeze()  # each run keeps what there is from the collector, also what the last one has left
        gc.collect()
        try:
            return prepared.run(started)
        except Exception as error:
            if started.round == 1:
                raise
            code, words = (
                (error.exit_code, str(error)) if isinstance(error, PmarepError) else (1, internal_error(error))
            )
            for problem in error.problems if isinstance(error, ProblemsError) else ():
                self.tell(Notice(text=problem))
            self.tell(Notice(text=f"round {started.round} could not be made: {words}"))
            if self.json:
                emit_error_summary(code, words)
            return code

    def _wait(self, prepared: PreparedRun, due: float, reason: RoundReason) -> tuple[RoundReason | None, PreparedRun]:
        """Wait until a round is to begin. Return the reason, None for the end, and what is to be run.

        `due`: of clock.monotonic(); `reason`: that of a round which begins then.
        """
        heartbeat = _Heartbeat(self.clock)
        self._say_status(due)
        while not self.stopping:
            left = self._seconds_left(due)
            if left <= 0 and self.inbox.empty():
                return reason, prepared
            heartbeat.beat()
            try:
                message = self.inbox.get(timeout=max(min(SLICE_SECONDS, left), 0.001))
            except queue.Empty:
                continue
            if isinstance(message, Notice):
                self.tell(message)
            if message is None or isinstance(message, Notice):
                continue
            if message is RoundReason.RELOAD:
                prepared = self._reload(prepared)
            if due > self.clock.monotonic():
                due, reason = self.clock.monotonic(), message
                self._say_status(due)
        return None, prepared

    def _seconds_left(self, due: float) -> float:
        """Return how long it is until a round that is due then may begin."""
        window = self.schedule.between
        closed = 0.0 if window is None else window.seconds_until_open(self.clock.local())
        return max(due - self.clock.monotonic(), closed)

    def _reload(self, prepared: PreparedRun) -> PreparedRun:
        """Read the site book anew; where it cannot be used, say why and go on with the old one."""
        service_manager.notify(service_manager.reloading())
        try:
            prepared = self.prepare()
        except PmarepError as error:
            self.tell(Notice(text=f"the site book was not read anew, the rounds go on with the old one: {error}"))
        else:
            self.tell(Notice(text="the site book was read anew", passing=True))
        service_manager.notify(service_manager.READY)
        return prepared

    def _say_status(self, due: float) -> None:
        if (left := self._seconds_left(due)) > 0:
            service_manager.notify(service_manager.status(f"the next round begins in {format_duration(left)}"))


class _Heartbeat:
    """Tells systemd that this process lives, as often as it asks for, where `beat` is called in every slice of time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._every = service_manager.watchdog_seconds()
        self._last = float("-inf")
        self.beat()

    def beat(self) -> None:
        now = self._clock.monotonic()
        if self._every is not None and now + SLICE_SECONDS - self._last >= self._every:
            self._last = now
            service_manager.notify(service_manager.ALIVE)


def parse_schedule(every: str | None, between: str | None, refused: Mapping[str, bool]) -> Schedule:
    """Parse `--every` and `--between`. `refused`: options that do not go along, where given. Raises UsageError."""
    if every is None:
        raise UsageError("--between says when rounds begin; say how often with --every T")
    seconds = parse_option("--every", parse_duration, every)
    if seconds < 1:
        raise UsageError(f"--every {every} would never rest; write it as 10s, 10m or 1h")
    for option, given in refused.items():
        if given:
            raise UsageError(f"{option} is for one run, and --every makes many; leave one of them out")
    return Schedule(seconds, parse_option("--between", DailyWindow.parse, between) if between is not None else None)


def run_rounds(rounds: Rounds, ours: Collection[Path]) -> int:
    """Run rounds until a signal ends them, and return the exit code. Changes in folders on local disks begin one.

    `ours`: files that pmarep writes, and folders in which it does; they are no changes.
    """
    from ..source.change_watcher import ChangeWatcher
    from ..system.file_systems import is_on_local_disk

    prepared, schedule = rounds.prepare(), rounds.schedule
    folders = [path for path in prepared.folders if path.is_dir() and is_on_local_disk(path)]
    at_once = f", and at once after a change in {', '.join(map(str, folders))}" if folders else ""
    rounds.tell(Notice(text=f"rounds {schedule}{at_once}", passing=True))

    def changed() -> None:
        rounds.inbox.put(RoundReason.CHANGE)

    def not_watched(why: str) -> None:
        text = f"changes are not noticed at once any more ({why}); rounds go on {schedule}"
        rounds.inbox.put(Notice(text=text, passing=True))

    with ExitStack() as ending:
        if folders:
            ending.enter_context(closing(ChangeWatcher(folders, schedule.every, ours, changed, not_watched)))
        return rounds.run(prepared)


class IdleRecordRemover(RunObserver):
    """Removes the records of rounds in which nothing happened: they would push out those of rounds that sent slides.

    Of rounds, one after the other, that fail and send nothing, such as with a conflict, the last one keeps its record.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._superseded: RunFile | None = None

    def before(self) -> None:
        self._begun = time.time()

    def after(self, summary: Summary) -> bool:
        from ..state.run_records import own_record, remove_records

        if summary.exit_code == INTERRUPTED or any(_did_something(site) for site in summary.sites.values()):
            self._superseded = None
            return True
        record = own_record(self._folder, self._begun)
        if summary.exit_code == 0:
            remove_records([] if record is None else [record])
            self._superseded = None
        elif record is not None:  # else the round could not begin
            remove_records([] if self._superseded is None else [self._superseded])
            self._superseded = record
        return True


def _did_something(site: SiteSummary) -> bool:
    return any((site.sent, site.annotations_added, site.extra, site.deleted))
