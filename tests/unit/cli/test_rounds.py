"""When rounds begin and end, with a clock that moves by what is waited for."""

from __future__ import annotations

import asyncio
import gc
import os
import queue
import signal
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.clocks import FakeClock
from typer.testing import CliRunner

from pmarep.cli.app import app
from pmarep.cli.observer_options import idle_record_observers
from pmarep.cli.replication_run import PreparedRun
from pmarep.cli.rounds import Rounds, Schedule, parse_schedule, run_rounds
from pmarep.cli.signal_handlers import INTERRUPTED, signals_between_rounds, stop_on_signals
from pmarep.daily_window import DailyWindow
from pmarep.errors import ConfigError, PmarepError, UsageError
from pmarep.events import Event, Notice, RoundReason, RoundStarted, SiteSummary, Summary
from pmarep.system import service_manager

MINUTE = 60.0


@pytest.fixture(autouse=True)
def keep_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before each round, the collector would go through all tests and libraries: half a second."""
    monkeypatch.setattr("gc.unfreeze", lambda: None)


class Inbox(queue.SimpleQueue[RoundReason | Notice | None]):
    """Gives messages at their times; waiting moves the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.later: list[tuple[float, Callable[[], object]]] = []

    def get(self, block: bool = True, timeout: float | None = None) -> RoundReason | Notice | None:
        assert timeout is not None
        due = [at for at, _ in self.later if at <= self._clock.now + timeout]
        self._clock.now = max(self._clock.now, min([self._clock.now + timeout, *due]))
        for one in [one for one in self.later if one[0] <= self._clock.now]:
            self.later.remove(one)
            one[1]()
        return super().get(block=False)


@dataclass
class Play:
    """Rounds that take a minute each and end with `codes`; the third ends them unless told otherwise."""

    schedule: Schedule
    at: str = "12:00"
    codes: list[int | Exception] = field(default_factory=list)
    most: int = 3
    begun: list[tuple[str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    books: list[str | PmarepError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FakeClock(self.at)
        self.inbox = Inbox(self.clock)
        self.book = ""
        self.rounds = Rounds(self.schedule, self.prepare, self.tell, clock=self.clock, inbox=self.inbox)

    def prepare(self) -> PreparedRun:
        book = self.books.pop(0)
        if isinstance(book, PmarepError):
            raise book

        def run(begins: RoundStarted | None) -> int:
            assert begins is not None
            self.book = book
            return self.run(begins)

        return PreparedRun(run, ())

    def tell(self, event: Event) -> None:
        assert isinstance(event, Notice)
        self.said.append(event.text)

    def run(self, begins: RoundStarted) -> int:
        assert begins.round == len(self.begun) + 1
        self.begun.append((f"{self.clock.local():%H:%M}", begins.reason))
        self.clock.now += MINUTE
        if len(self.begun) == self.most:
            self.rounds._stop()
        code = self.codes.pop(0) if self.codes else 0
        if isinstance(code, Exception):
            raise code
        return code

    def send(self, minutes: float, what: Callable[[], object] | RoundReason) -> None:
        """Let something happen so many minutes after the beginning."""
        self.inbox.later.append((minutes * MINUTE, what if callable(what) else lambda: self.inbox.put(what)))

    def go(self) -> int:
        self.books.insert(0, "first")
        return self.rounds.run(self.prepare())


EVERY_10 = Schedule(10 * MINUTE)


def test_rounds_begin_so_long_after_the_last_one_has_ended() -> None:
    play = Play(EVERY_10)
    assert play.go() == 0
    assert play.begun == [("12:00", "start"), ("12:11", "time"), ("12:22", "time")]


def test_a_change_begins_a_round_at_once_and_counts_once() -> None:
    play = Play(EVERY_10)
    play.send(3, RoundReason.CHANGE)
    play.send(3, RoundReason.CHANGE)
    play.go()
    assert play.begun == [("12:00", "start"), ("12:03", "change"), ("12:14", "time")]


def test_a_change_during_a_round_begins_another_one() -> None:
    play = Play(EVERY_10, most=2)
    play.inbox.put(RoundReason.CHANGE)  # while the first one waits for its turn: that one sees it
    play.send(0.5, RoundReason.CHANGE)
    play.go()
    assert play.begun == [("12:00", "start"), ("12:01", "change")]


def test_rounds_begin_in_the_window_only() -> None:
    play = Play(Schedule(10 * MINUTE, DailyWindow.parse("19:00-19:15")), most=4)
    play.send(60, RoundReason.CHANGE)
    play.send(7 * 60 + 20, RoundReason.CHANGE)  # 19:20
    play.go()
    assert play.begun == [("19:00", "start"), ("19:11", "time"), ("19:00", "change"), ("19:11", "time")]


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_exit_code_is_that_of_the_last_round(code: int) -> None:
    assert Play(EVERY_10, codes=[1, 0, code]).go() == code


def test_an_interrupted_round_is_the_last_one() -> None:
    play = Play(EVERY_10, codes=[0, 130])
    assert play.go() == 130
    assert len(play.begun) == 2


def test_a_stop_between_rounds_ends_them_at_once() -> None:
    play = Play(EVERY_10, codes=[1])
    play.send(5, lambda: play.rounds._stop())
    assert play.go() == 1
    assert play.begun == [("12:00", "start")]
    assert play.clock.now == 5 * MINUTE


def test_an_error_of_the_first_round_ends_all() -> None:
    play = Play(EVERY_10, codes=[UsageError("no password")])
    with pytest.raises(UsageError, match="no password"):
        play.go()


def test_an_error_of_a_later_round_is_said_and_the_next_one_begins(capsys: pytest.CaptureFixture[str]) -> None:
    play = Play(EVERY_10, codes=[0, UsageError("the keyring is locked"), ZeroDivisionError("secret")], most=4)
    play.rounds.json = True
    assert play.go() == 0
    assert len(play.begun) == 4
    assert play.said == [
        "round 2 could not be made: the keyring is locked",
        "round 3 could not be made: internal error (ZeroDivisionError); please report it, with the output of -vv",
    ]
    first, second = capsys.readouterr().out.splitlines()
    assert '"exit_code": 2' in first
    assert '"exit_code": 1' in second


def test_a_site_book_that_is_read_anew_is_used_at_once() -> None:
    play = Play(EVERY_10, most=2, books=["second"])
    play.send(4, RoundReason.RELOAD)
    play.go()
    assert play.begun == [("12:00", "start"), ("12:04", "reload")]
    assert play.book == "second"
    assert play.said == ["the site book was read anew"]


def test_a_bad_site_book_leaves_the_old_one(tmp_path: Path) -> None:
    play = Play(EVERY_10, most=2, books=[ConfigError("sites.toml: line 3: no ]")])
    play.send(4, RoundReason.RELOAD)
    play.go()
    assert play.book == "first"
    assert play.said == ["the site book was not read anew, the rounds go on with the old one: sites.toml: line 3: no ]"]


def test_systemd_hears_between_rounds_as_often_as_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", str(240 * 10**6))
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    play = Play(EVERY_10, most=2)
    heard: list[float] = []

    def notify(*messages: str) -> None:
        if service_manager.ALIVE in messages:
            heard.append(play.clock.now)

    monkeypatch.setattr(service_manager, "notify", notify)
    play.go()
    # Two minutes apart at most, and whenever a round has ended; the rounds themselves have an event loop that says it.
    assert heard == [0, 60, 179, 298, 417, 536, 655, 720]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_signals_between_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)]
    play = Play(EVERY_10, most=5, books=["second"])
    play.send(4, lambda: os.kill(os.getpid(), signal.SIGHUP))
    play.send(7, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert play.go() == 0
    assert play.begun == [("12:00", "start"), ("12:04", "reload")]
    assert [signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGTERM)] == before


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
@pytest.mark.parametrize("terminal", ["stdout", "stderr"])
def test_a_closed_terminal_ends_the_rounds(monkeypatch: pytest.MonkeyPatch, terminal: str) -> None:
    monkeypatch.setattr(f"sys.{terminal}.isatty", lambda: True)
    play = Play(EVERY_10, most=5)
    play.send(4, lambda: os.kill(os.getpid(), signal.SIGHUP))
    assert play.go() == 0
    assert play.begun == [("12:00", "start")]


async def test_a_second_signal_ends_a_round_that_begins_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    monkeypatch.setattr("pmarep.cli.signal_handlers.REPEATED_SECONDS", 0.0)
    stop = asyncio.Event()
    with signals_between_rounds(lambda: None, lambda: None):
        signal.raise_signal(signal.SIGTERM)
        with stop_on_signals(stop, lambda: None):
            assert stop.is_set()
            assert codes == []
            signal.raise_signal(signal.SIGTERM)
            assert codes == [INTERRUPTED]


async def test_a_signal_that_is_sent_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As by timeout(1): to its command, and to the group that this is in."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    monkeypatch.setattr("pmarep.cli.signal_handlers.REPEATED_SECONDS", 3600.0)
    said: list[str] = []
    stop = asyncio.Event()
    with stop_on_signals(stop, lambda: said.append("stopping")):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        await stop.wait()
        await asyncio.sleep(0)
    with signals_between_rounds(lambda: said.append("the end"), lambda: None):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
    assert (said, codes) == (["stopping", "the end"], [])


@pytest.mark.parametrize(
    ("every", "between", "refused", "words"),
    [
        (None, "19:00-07:00", {}, "say how often with --every T"),
        ("0", None, {}, "--every 0 would never rest"),
        ("0.5s", None, {}, "would never rest"),
        ("often", None, {}, "--every: cannot read the duration 'often'"),
        ("10", None, {}, "--every: 10 of what"),
        ("10m", "19:00", {}, "--between: cannot read the times '19:00'"),
        ("10m", None, {"--dry-run": True, "--fresh": False}, "--dry-run is for one run, and --every makes many"),
    ],
)
def test_bad_schedules(every: str | None, between: str | None, refused: dict[str, bool], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_schedule(every, between, refused)


def test_schedules_name_their_times() -> None:
    assert str(parse_schedule("10m", None, {})) == "every 10m00s"
    assert str(parse_schedule("1h", "19:00-07:00", {})) == "every 1h00m between 19:00 and 07:00"


@pytest.mark.parametrize(
    ("code", "site", "kept"),
    [
        (0, SiteSummary(skipped=5), False),
        (0, SiteSummary(sent=1, skipped=5), True),
        (0, SiteSummary(skipped=5, deleted=1), True),
        (0, SiteSummary(skipped=5, extra=1), True),
        (0, SiteSummary(skipped=5, annotations_added=1), True),
        (4, SiteSummary(skipped=5, left_out=1), True),
        (1, SiteSummary(skipped=5, failed=1), True),
    ],
)
def test_records_of_rounds_in_which_nothing_happened_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, site: SiteSummary, kept: bool
) -> None:
    removed: list[object] = []
    monkeypatch.setattr("pmarep.state.run_records.own_record", lambda folder, _begun: folder)
    monkeypatch.setattr("pmarep.state.run_records.remove_records", removed.extend)
    (observer,) = idle_record_observers(tmp_path, None, rounds=True)
    observer.before()
    assert observer.after(Summary(exit_code=code, seconds=1.0, sites={"a": site}))
    assert removed == ([] if kept else [tmp_path / "runs"])
    assert idle_record_observers(tmp_path, None, rounds=False) == []


def test_of_rounds_that_fail_and_send_nothing_the_last_one_has_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conflict that nobody resolves would push out all others in some days."""
    records, number = set[int](), 0
    monkeypatch.setattr("pmarep.state.run_records.own_record", lambda *_: number)
    monkeypatch.setattr("pmarep.state.run_records.remove_records", records.difference_update)
    (observer,) = idle_record_observers(tmp_path, None, rounds=True)
    kept = []
    for code, sent in ((1, 0), (1, 0), (4, 0), (1, 1), (1, 0), (0, 0), (1, 0), (1, 0), (130, 0), (1, 0)):
        number += 1
        records.add(number)
        observer.before()
        assert observer.after(Summary(exit_code=code, seconds=1.0, sites={"a": SiteSummary(sent=sent)}))
        kept.append(sorted(records))
    assert kept[:7] == [[1], [2], [3], [3, 4], [3, 4, 5], [3, 4, 5], [3, 4, 5, 7]]
    assert kept[7:] == [[3, 4, 5, 8], [3, 4, 5, 8, 9], [3, 4, 5, 8, 9, 10]]
    monkeypatch.setattr("pmarep.state.run_records.own_record", lambda *_: None)
    assert observer.after(Summary(exit_code=3, seconds=1.0, sites={}))  # has no record, and puts none in its place
    assert records == {3, 4, 5, 8, 9, 10}


def test_what_a_round_leaves_to_the_collector_is_gone_in_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run keeps from the collector what there is when it begins."""
    monkeypatch.undo()

    class Loop:
        def __init__(self) -> None:
            self.me = self

    left: list[weakref.ref[Loop]] = []
    gone: list[bool] = []

    def run(_begins: RoundStarted | None) -> int:
        gone.extend(one() is None for one in left[-2:])
        early = Loop()
        left.append(weakref.ref(early))
        gc.freeze()
        left.append(weakref.ref(Loop()))
        return 0 if len(left) < 6 else INTERRUPTED

    clock = FakeClock()
    rounds = Rounds(EVERY_10, lambda: PreparedRun(run, ()), lambda _: None, clock=clock, inbox=Inbox(clock))
    try:
        assert rounds.run(rounds.prepare()) == INTERRUPTED
    finally:
        gc.collect()
        gc.freeze()  # as it was
    assert gone == [True] * 4


@pytest.mark.parametrize("local", [True, False])
def test_only_folders_on_local_disks_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, local: bool) -> None:
    watched: list[Path] = []

    class Watcher:
        def __init__(self, folders: list[Path], *_: object) -> None:
            watched.extend(folders)

        def close(self) -> None:
            pass

    monkeypatch.setattr("pmarep.source.change_watcher.ChangeWatcher", Watcher)
    monkeypatch.setattr("pmarep.system.file_systems.is_on_local_disk", lambda _: local)
    said: list[Event] = []
    prepared = PreparedRun(lambda _: INTERRUPTED, (tmp_path, tmp_path / "a file"))
    assert run_rounds(Rounds(EVERY_10, lambda: prepared, said.append), ()) == INTERRUPTED
    assert watched == ([tmp_path] if local else [])
    (first,) = said
    assert isinstance(first, Notice)
    assert first.text == f"rounds every 10m00s{f', and at once after a change in {tmp_path}' if local else ''}"


def test_no_file_that_pmarep_writes_is_taken_for_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its path is written, with every option that names one."""
    seen: list[set[Path]] = []

    def run_rounds(_rounds: Rounds, ours: Collection[Path]) -> int:
        seen.append({path.resolve() for path in ours})
        return 0

    monkeypatch.setattr("pmarep.cli.rounds.run_rounds", run_rounds)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    files = [f"--{option}=~/{option}" for option in ("log-file", "report", "metrics")]
    files += [f"--{option}={option}" for option in ("audit", "at-all-sites", "spool", "state-dir")]
    result = CliRunner().invoke(app, ["push", "src", "--sites", "a", "--every", "10m", *files])
    assert result.exit_code == 0, result.output
    (ours,) = seen
    assert ours >= {tmp_path / "home" / name for name in ("log-file", "report", "metrics")}
    assert ours >= {tmp_path / name for name in ("audit", "at-all-sites", "spool", "state-dir")}
