"""Nothing is waited for without a word, and nothing longer than the run may take."""

from __future__ import annotations

from support.clocks import FakeClock

from pmarep.engine.site.stall_monitor import QUIET_SECONDS, SAID_AFTER, StallMonitor
from pmarep.engine.stop_time import StopTime
from pmarep.events import State

END = 100.0


class Watched:
    """Each second of a site that is in some state, and says what it said and when it was stopped."""

    def __init__(self, stop_time: StopTime | None = None) -> None:
        self.clock = FakeClock()
        self.notices: list[tuple[float, str]] = []
        self.stopped: list[tuple[float, str]] = []
        self.watch = StallMonitor(
            stop_time,
            self.clock,
            lambda what: self.notices.append((self.clock.now, what)),
            lambda why: self.stopped.append((self.clock.now, why)),
        )

    def live(self, seconds: int, state: State, *, moves: bool = False, waits_for: str | None = "a to answer") -> None:
        for _ in range(seconds):
            if self.stopped:
                return
            self.clock.now += 1
            self.watch.tick(state, self.clock.now if moves else 0, waits_for)


def test_what_takes_ten_seconds_is_reported_once() -> None:
    one = Watched()
    one.live(60, State.CONNECTING)
    assert one.notices == [(SAID_AFTER, "waiting for a to answer, for 10s now")]
    one.live(5, State.RUNNING, moves=True)
    one.live(20, State.RUNNING)
    assert len(one.notices) == 2


def test_no_notice_while_moving_paused_or_idle() -> None:
    one = Watched()
    one.live(60, State.RUNNING, moves=True)
    one.live(60, State.PAUSED)
    one.live(60, State.RUNNING, waits_for=None)
    assert not one.notices


def test_a_log_in_ends_with_the_run() -> None:
    one = Watched(StopTime(END, False, "--max-duration"))
    one.live(500, State.CONNECTING)
    assert one.stopped == [(END, "while waiting for a to answer")]


def test_slides_that_were_begun_may_be_finished_as_long_as_bytes_move() -> None:
    one = Watched(StopTime(END, False, "--max-duration"))
    one.live(300, State.RUNNING, moves=True)
    assert not one.stopped
    one.live(300, State.RUNNING)
    assert one.stopped == [(301 + QUIET_SECONDS, "while waiting for a to answer")]


def test_a_site_that_was_silent_before_the_end_has_some_seconds_after_it() -> None:
    one = Watched(StopTime(END, False, "--max-duration"))
    one.live(500, State.PAUSED)
    assert [at for at, _ in one.stopped] == [END + QUIET_SECONDS]
