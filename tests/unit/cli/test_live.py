"""How far a run is, from its events alone."""

from __future__ import annotations

from typing import Any

import pytest
from support.boards import MIB, SetClock, failed, paused, progress, sent, started

from pmarep.cli.render.live import ORDER_SECONDS, LiveRun, Total
from pmarep.events import (
    Event,
    Progress,
    RunStarted,
    SiteState,
    SlideFinished,
    SlidePlanned,
    SlideRestarted,
    SlideRetracted,
    SlideStarted,
    SlideStatus,
    SourceWaiting,
    State,
)


class Run:
    def __init__(self, *events: Event) -> None:
        self.clock = SetClock()
        self.progress = LiveRun(self.clock)
        self.handle(*events)

    def handle(self, *events: Event) -> None:
        for event in events:
            self.progress.handle(event)

    def at(self, now: float, *events: Event) -> None:
        self.clock.now = now
        self.handle(*events)

    def site(self, name: str = "tokyo") -> Any:
        return self.progress.sites[name]

    @property
    def total(self) -> Total:
        return Total.of(self.progress.sites.values())

    @property
    def order(self) -> list[str]:
        return [site.name for site in self.progress.in_order()]


def test_slides_and_bytes_are_counted() -> None:
    run = Run(*started("tokyo", "saopaulo"))
    run.handle(SlideStarted(site="tokyo", slide="a"), SlideStarted(site="tokyo", slide="b"), sent("saopaulo", "a"))
    run.handle(progress("tokyo", 30), progress("saopaulo", 10), failed("tokyo", "a", "full"))
    tokyo = run.site()
    assert (tokyo.arrived, tokyo.failed, tokyo.slides, list(tokyo.sending)) == (0, 1, 6, ["b"])
    assert (tokyo.done, tokyo.total, tokyo.percent) == (30 * MIB, 100 * MIB, 30)
    assert tokyo.problem.text == "failed a: full"
    total = run.total
    assert (total.done, total.total, total.percent) == (40 * MIB, 200 * MIB, 20)
    assert (total.arrived, total.failed, total.slides, total.connections) == (1, 1, 12, 4)


def test_a_retracted_slide_has_failed() -> None:
    run = Run(*started("tokyo"), sent("tokyo", "a"), SlideRetracted(site="tokyo", slide="a", error="torn"))
    assert (run.site().arrived, run.site().failed) == (0, 1)


def test_the_number_of_slides_grows_while_the_source_is_read() -> None:
    run = Run(RunStarted(sites=["tokyo"], slides=1, bytes=0, scanning=True))
    assert run.site().slides == 1
    run.handle(progress("tokyo", 1))
    assert run.site().slides == 6


def test_it_is_complete_only_when_all_has_been_looked_at() -> None:
    run = Run(*started("tokyo"), progress("tokyo", 100))
    assert run.site().percent == run.total.percent == 99
    run.handle(SiteState(site="tokyo", state=State.DONE))
    assert run.site().percent == run.total.percent == 100


def test_a_stopped_site_keeps_no_total_from_100_per_cent() -> None:
    run = Run(*started("tokyo", "boston"), progress("tokyo", 50), progress("boston", 20))
    assert run.total.percent == 35
    run.handle(SiteState(site="boston", state=State.STOPPED, reason="wrong password"))
    assert run.total.total == 120 * MIB
    assert run.total.percent == 58
    assert run.site("boston").percent == 20
    run.handle(progress("tokyo", 100), SiteState(site="tokyo", state=State.DONE))
    assert run.total.percent == 100


def test_a_site_that_failed_is_not_complete() -> None:
    run = Run(*started("tokyo"), progress("tokyo", 40), failed("tokyo", "x"))
    run.handle(SiteState(site="tokyo", state=State.DONE))
    assert run.site().percent == 40
    assert run.total.percent == 100


def test_the_time_left_is_steady_where_the_rate_jumps() -> None:
    run = Run(*started("tokyo"))
    left, done = [], 0.0
    for second in range(1, 200):
        done += 6 if second % 6 == 0 else 0  # a buffer of 6 MiB, 1 MiB/s
        run.at(second, progress("tokyo", done, total=1000, under_way=3))
        left.append(run.site().seconds_left)
    assert left[:5] == [None] * 5
    expected = [1000 - second for second in range(1, 200)]
    wrong = [found / wanted for found, wanted in zip(left[30:], expected[30:], strict=True)]
    assert 0.75 < min(wrong) <= max(wrong) < 1.25
    assert 0.9 < min(wrong[60:]) <= max(wrong[60:]) < 1.1


def test_a_pause_leaves_the_forecast_alone() -> None:
    run = Run(*started("tokyo"))
    for second in range(1, 20):
        run.at(second, progress("tokyo", second, 1))
    run.at(20, paused("tokyo"))
    for second in range(21, 60):
        run.at(second, progress("tokyo", 19))
    assert run.site().seconds_left is None
    assert run.site().rates.now == 0
    run.at(60, SiteState(site="tokyo", state=State.RUNNING))
    for second in range(61, 66):
        run.at(second, progress("tokyo", second - 40, 1))
    assert run.site().seconds_left == pytest.approx(75, abs=2)


def test_the_total_rate_is_that_of_all_bytes_and_not_a_sum_of_bursts() -> None:
    run = Run(*started("tokyo", "saopaulo"))
    for second in range(1, 30):  # a limit of 8 MiB/s, which they have by turns
        tokyo, saopaulo = 8 * ((second + 1) // 2), 8 * (second // 2)
        run.at(second, progress("tokyo", tokyo, 8, 999), progress("saopaulo", saopaulo, 6, 999))
    assert run.progress.rates.now == pytest.approx(8 * MIB, rel=0.1)


def test_the_whole_takes_as_long_as_its_slowest_site() -> None:
    run = Run(*started("tokyo", "saopaulo"))
    for second in range(1, 11):
        run.at(second, progress("tokyo", 2 * second), progress("saopaulo", second))
    assert run.total.seconds_left == run.site("saopaulo").seconds_left == pytest.approx(90)


def test_the_mean_counts_from_the_first_connection_to_the_end() -> None:
    run = Run(RunStarted(sites=["tokyo"], slides=1, bytes=1))
    run.at(10, SiteState(site="tokyo", state=State.RUNNING))
    run.at(20, progress("tokyo", 50, 5))
    assert run.site().mean == 5 * MIB
    run.handle(SiteState(site="tokyo", state=State.DONE))
    run.at(100, progress("tokyo", 50))
    assert run.site().mean == 5 * MIB


def test_the_history_has_a_rate_every_few_seconds() -> None:
    run = Run(*started("tokyo", "saopaulo"))
    for second in range(1, 13):
        run.at(second, progress("tokyo", second, second), progress("saopaulo", 0))
    assert [rate / MIB for rate in run.site().rates.history] == [1, 4, 7, 10]


def test_rates_at_which_buffers_fill_are_not_kept() -> None:
    run = Run(*started("tokyo"))
    for second in range(1, 20):
        run.at(second, progress("tokyo", 60 + second, 60 / second, under_way=60 + second))
    assert max(run.site().rates.history) <= 6 * MIB
    assert set(run.progress.rates.history) == {MIB}


def test_troubled_sites_come_first_then_slow_ones_and_they_do_not_jump() -> None:
    names = ["done", "fast", "slow", "stuck", "ill", "away", "stopped", "new"]
    run = Run(*started(*names), failed("ill", "x"))
    for second in range(1, 10):
        for name, pace in (("fast", 5), ("slow", 1), ("stuck", 0), ("ill", 4)):
            run.at(second, progress(name, pace * second))
    run.handle(SiteState(site="done", state=State.DONE), SiteState(site="new", state=State.CONNECTING))
    run.handle(paused("away"), SiteState(site="stopped", state=State.STOPPED, reason="x"))
    before = run.order
    assert before == ["away", "stopped", "ill", "stuck", "slow", "fast", "new", "done"]
    for second in range(10, 40):
        run.at(second, progress("slow", min(9 + (second - 9) * 20, 95)), progress("fast", 50))
        if second < 9 + ORDER_SECONDS - 1:
            assert run.order == before
    assert run.order.index("fast") < run.order.index("slow")
    run.handle(SiteState(site="away", state=State.RUNNING))
    assert run.order[0] == "stopped"


def test_a_pause_has_its_reason_its_start_and_the_time_of_the_next_try() -> None:
    run = Run(*started("tokyo"))
    run.at(5, paused("tokyo", "it refused", 43))
    site = run.site()
    assert (site.since, site.retry_at, site.problem.text, site.problem.at) == (5, 48, "it refused", 5)
    run.at(50, paused("tokyo", "no answer", 60))
    assert (site.since, site.retry_at, site.problem.text) == (5, 110, "no answer")


def test_bytes_sent_again_are_a_problem_too() -> None:
    run = Run(*started("tokyo"), SlideRestarted(site="tokyo", slide="a", bytes=7, reason="the upload expired"))
    assert run.site().problem.text == "a: the upload expired"
    run.handle(SlideRestarted(site="tokyo", slide="b", bytes=0, reason="the session has ended"))
    assert run.site().problem.text == "a: the upload expired", "nothing is lost"


def test_slides_that_wait_are_forgotten_when_they_have_come() -> None:
    run = Run(*started("tokyo"), SourceWaiting(slides=40, seconds=10))
    assert run.progress.slides_waiting == (40, 10)
    run.at(12)
    assert run.progress.slides_waiting == (40, 0)
    run.at(16)
    assert run.progress.slides_waiting == (0, 0)


def test_where_nothing_is_sent_slides_count() -> None:
    run = Run(*started("tokyo", "saopaulo"))
    run.handle(SlideFinished(site="tokyo", slide="a", status=SlideStatus.VERIFIED), failed("tokyo", "b"))
    run.handle(Progress(site="tokyo", bytes_done=0, bytes_total=10, rate=0, connections=0, slides_total=6))
    assert run.site().percent == 33
    assert run.total.percent == 16
    plan = SlidePlanned(site="saopaulo", slide="a", action="send", reason="", to="", bytes=1)
    run.handle(plan)
    assert run.site("saopaulo").percent == 16
