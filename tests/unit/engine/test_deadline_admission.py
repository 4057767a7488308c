"""What a site still begins when the run has to end soon."""

from __future__ import annotations

import asyncio

import pytest
from support.clocks import FakeClock
from support.slides import make_slide

from pmarep.engine.site.deadline_admission import DeadlineAdmission
from pmarep.engine.slide.job import SlideJob
from pmarep.engine.stop_time import StopTime

MB = 1_000_000


class FakeScheduler:
    """What DeadlineAdmission looks at of a RequestScheduler."""

    def __init__(self, whole: bool = False, connections: int = 1) -> None:
        self.has_unresumable = whole
        self.connections = connections
        self.bytes_transferred = 0


def job(size: int, name: str = "a.svs") -> SlideJob:
    return SlideJob(make_slide(name, size), 0.0)


def gate(
    scheduler: FakeScheduler, clock: FakeClock, *, hard: bool = False, at: float = 1000.0
) -> tuple[DeadlineAdmission, list[str]]:
    notices: list[str] = []
    stop_time = StopTime(at, hard, "--max-duration")
    return DeadlineAdmission(stop_time, scheduler, clock, lambda: notices.append("near")), notices  # type: ignore[arg-type]


def carry(one: DeadlineAdmission, scheduler: FakeScheduler, clock: FakeClock, seconds: int, rate: int = MB) -> None:
    for _ in range(seconds):
        clock.now += 1
        scheduler.bytes_transferred += rate
        one.tick()


@pytest.mark.parametrize("whole", [False, True])
def test_a_slide_is_begun_only_if_it_can_be_there_in_time(whole: bool) -> None:
    scheduler, clock = FakeScheduler(whole), FakeClock()
    one, notices = gate(scheduler, clock)
    assert one.may_begin(job(10_000 * MB))  # nobody knows how fast the line is
    carry(one, scheduler, clock, 600)
    assert not notices
    assert one.may_begin(job(390 * MB))
    assert not one.may_begin(job(410 * MB))
    assert not one.may_begin(job(420 * MB))
    assert notices == ["near"]
    assert one.may_begin(job(390 * MB))


def test_slides_in_progress_count_before_new_ones() -> None:
    scheduler, clock = FakeScheduler(), FakeClock()
    one, _ = gate(scheduler, clock)
    carry(one, scheduler, clock, 600)

    async def main() -> None:
        first = job(300 * MB, "first.svs")
        first.attempt.begun = True
        begun = asyncio.create_task(attempt(one, first))
        await asyncio.sleep(0)
        assert not one.may_begin(job(150 * MB))
        first.attempt.bytes = 60 * MB
        assert one.may_begin(job(150 * MB))
        begun.cancel()
        await asyncio.gather(begun, return_exceptions=True)
        assert not one.in_progress

    asyncio.run(main())


async def attempt(gate: DeadlineAdmission, job: SlideJob) -> str:
    """Take for ever; say how it ended."""
    gate.begin(job)
    gate.attempt_begins(job)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if gate.withdraws(job):
            return "withdrawn"
        raise
    finally:
        gate.end(job)
    return "done"


async def test_waiting_slides_are_given_up_and_sending_ones_are_not() -> None:
    scheduler, clock = FakeScheduler(), FakeClock()
    one, notices = gate(scheduler, clock)
    goes, waits = job(10 * MB, "goes.svs"), job(10 * MB, "waits.svs")
    goes.begun = waits.begun = goes.attempt.begun = True
    both = [asyncio.create_task(attempt(one, each)) for each in (goes, waits)]
    await asyncio.sleep(0)
    carry(one, scheduler, clock, 975)
    await asyncio.sleep(0)
    assert not notices
    carry(one, scheduler, clock, 100, rate=0)
    assert await both[1] == "withdrawn"
    assert notices == ["near"]
    assert list(one.in_progress) == [goes]
    both[0].cancel()
    await asyncio.gather(*both, return_exceptions=True)


def test_a_file_is_one_stream_of_several() -> None:
    scheduler, clock = FakeScheduler(whole=True, connections=4), FakeClock()
    one, _ = gate(scheduler, clock)
    carry(one, scheduler, clock, 600)
    assert one.may_begin(job(90 * MB))
    assert not one.may_begin(job(110 * MB))


@pytest.mark.parametrize(("whole", "may"), [(False, True), (True, False)])
def test_at_a_hard_end_parts_are_begun_that_can_be_kept(whole: bool, may: bool) -> None:
    scheduler, clock = FakeScheduler(whole), FakeClock()
    one, _ = gate(scheduler, clock, hard=True)
    carry(one, scheduler, clock, 600)
    assert one.may_begin(job(1000 * MB)) is may
    clock.now = 1001
    assert not one.may_begin(job(1))


def test_a_pause_is_no_slow_line() -> None:
    scheduler, clock = FakeScheduler(), FakeClock()
    one, _ = gate(scheduler, clock)
    carry(one, scheduler, clock, 60)
    scheduler.connections = 0
    carry(one, scheduler, clock, 300, rate=0)
    assert one.rate == pytest.approx(MB)


def test_without_an_end_everything_is_begun() -> None:
    assert DeadlineAdmission(None, FakeScheduler(), FakeClock(), lambda: None).may_begin(job(10**15))  # type: ignore[arg-type]
