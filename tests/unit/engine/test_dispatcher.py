"""How a site brings its slides there: several at a time, again where that makes sense, and what ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.clocks import FakeClock
from support.slides import make_slide

from pmarep.engine.circuit_breaker import CircuitBreaker, GivenUp
from pmarep.engine.options import Options
from pmarep.engine.site.admission import FEWEST, AdmissionGate
from pmarep.engine.site.deadline_admission import DeadlineAdmission
from pmarep.engine.site.dispatcher import SlideDispatcher
from pmarep.engine.slide.job import Outcome, SlideJob
from pmarep.engine.stop_time import StopTime
from pmarep.errors import PmarepError, SourceError
from pmarep.events import SlideStatus
from pmarep.limits import AdaptiveConcurrency
from pmarep.pmacore import Refused, Unreachable
from pmarep.retry import Retry
from pmarep.slides import Slide
from pmarep.uploaders import Replaced, RequestScheduler

SENT = Outcome(SlideStatus.SENT)
Work = Callable[[SlideJob], Awaitable[Outcome]]


class FakeReport:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[SlideStatus]] = {}
        self.errors: dict[str, str | None] = {}
        self.unfinished = 0
        self.bytes_broken_off = 0
        self.ended_early = False
        self.error: str | None = None

    async def record_outcome(self, slide: Slide, outcome: Outcome, _counts: object, _started: float) -> None:
        self.outcomes.setdefault(slide.path, []).append(outcome.status)
        self.errors[slide.path] = outcome.error

    def add_bytes(self, sent: int, resumed: int) -> None:
        pass

    def add_unfinished(self, _slide: Slide, _counts: object) -> None:
        self.unfinished += 1


class Bench:
    """A dispatcher whose attempts are what the test says."""

    def __init__(self, slides: int = 0, stop_at: float | None = None) -> None:
        self.clock = FakeClock()
        self.slides = [make_slide(f"{number}.svs", 1000) for number in range(slides)]
        self.report = FakeReport()
        self.at_once = self.most_at_once = 0
        self.tried: list[str] = []
        self.work: Work = self.send
        self.repeat: Callable[[SlideJob, PmarepError], Awaitable[bool]] = self.never
        stop_time = None if stop_at is None else StopTime(stop_at, False, "--max-duration")
        self.scheduler = RequestScheduler(AdaptiveConcurrency(), [], Retry(sleep=self.clock.sleep), self.clock)
        self.breaker = CircuitBreaker(self.clock, 600, None, lambda *_: None, lambda: False)
        self.gate = DeadlineAdmission(stop_time, self.scheduler, self.clock, lambda: None)
        context = SimpleNamespace(
            clock=self.clock,
            options=Options(sources=(Path("/cases"),)),
            deadline=stop_at,
            stop_time=stop_time,
        )
        self.dispatcher = SlideDispatcher(
            cast(Any, context),
            self.scheduler,
            AdmissionGate(self.scheduler, None),
            self.breaker,
            self.gate,
            cast(Any, self.report),
            self.slide_there,
        )

    def slide_there(self, slide: Slide, *, planned: bool) -> None:
        pass

    async def send(self, job: SlideJob) -> Outcome:
        self.dispatcher.slide_announced(job.slide)
        await asyncio.sleep(0.01)
        return SENT

    async def never(self, _job: SlideJob, _error: PmarepError) -> bool:
        return False

    # as KnownSlideFilter and SlideAttempts

    async def filter(self, put: Callable[[Slide], Awaitable[None]]) -> None:
        for slide in self.slides:
            await put(slide)

    async def attempt(self, job: SlideJob) -> Outcome:
        self.tried.append(job.slide.path)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.work(job)
        finally:
            self.at_once -= 1

    async def may_be_repeated(self, job: SlideJob, error: PmarepError) -> bool:
        return await self.repeat(job, error)

    async def run(self) -> None:
        prefilter = SimpleNamespace(run=self.filter)
        attempts = SimpleNamespace(run=self.attempt, may_be_repeated=self.may_be_repeated)
        await self.dispatcher.run(cast(Any, prefilter), cast(Any, attempts))


async def test_every_slide_is_tried_once_and_several_at_a_time() -> None:
    bench = Bench(slides=100)
    await bench.run()
    assert sorted(bench.tried) == sorted(slide.path for slide in bench.slides)
    assert all(outcome == [SlideStatus.SENT] for outcome in bench.report.outcomes.values())
    assert 1 < bench.most_at_once <= FEWEST


async def test_a_slide_that_fails_is_tried_again_and_recorded_once() -> None:
    bench = Bench(slides=3)

    async def work(job: SlideJob) -> Outcome:
        if bench.tried.count(job.slide.path) < 3 and job.slide.path == "1.svs":
            raise Unreachable("the connection ended")
        return SENT

    async def repeat(job: SlideJob, _error: PmarepError) -> bool:
        job.error = "the connection ended"
        return True

    bench.work, bench.repeat = work, repeat
    await bench.run()
    assert bench.tried.count("1.svs") == 3
    assert bench.report.outcomes == {slide.path: [SlideStatus.SENT] for slide in bench.slides}


async def test_a_failure_that_is_not_repeated_leaves_the_others_alone() -> None:
    bench = Bench(slides=5)

    async def work(job: SlideJob) -> Outcome:
        if job.slide.path == "2.svs":
            raise Refused("no such root-directory")
        return SENT

    bench.work = work
    await bench.run()
    assert bench.report.outcomes["2.svs"] == [SlideStatus.FAILED]
    assert sum(outcome == [SlideStatus.SENT] for outcome in bench.report.outcomes.values()) == 4


async def test_a_probe_that_finds_a_slide_hopeless_leaves_the_others_alone() -> None:
    """The share is back, and the slide is gone or has changed: that is no trouble of the site's."""
    bench = Bench(slides=5)

    async def work(job: SlideJob) -> Outcome:
        if job.slide.path == "2.svs":
            raise Unreachable("the share is away")
        await asyncio.sleep(0.01)
        return SENT

    async def repeat(_job: SlideJob, _error: PmarepError) -> bool:
        raise SourceError("2.svs has changed")

    bench.work, bench.repeat = work, repeat
    await bench.run()
    assert bench.report.outcomes.pop("2.svs") == [SlideStatus.FAILED]
    assert bench.report.errors["2.svs"] == "2.svs has changed"
    assert list(bench.report.outcomes.values()) == [[SlideStatus.SENT]] * 4


@pytest.mark.parametrize(("status", "proves"), [(SlideStatus.SENT, True), (SlideStatus.SKIPPED, False)])
async def test_only_a_slide_that_was_sent_proves_that_storage_works(
    monkeypatch: pytest.MonkeyPatch, status: SlideStatus, proves: bool
) -> None:
    bench = Bench(slides=1)
    arrived: list[str] = []
    read: list[bool] = []
    monkeypatch.setattr(bench.breaker, "record_arrival", arrived.append)
    monkeypatch.setattr(bench.breaker, "record_read_ok", lambda: read.append(True))

    async def work(job: SlideJob) -> Outcome:
        return Outcome(status)

    bench.work = work
    await bench.run()
    assert (arrived, read) == ((["0.svs"], []) if proves else ([], [True]))


async def test_errors_that_stop_the_site_are_raised_and_harmed_slides_recorded() -> None:
    bench, all_begun = Bench(slides=3), asyncio.Event()

    async def work(job: SlideJob) -> Outcome:
        job.begun = True
        if len(bench.tried) == 3:
            all_begun.set()
        await all_begun.wait()
        if job.slide.path == "0.svs":
            raise GivenUp("the site stays away")
        if job.slide.path == "1.svs":
            job.counts.replaced = Replaced.MIXED
        await asyncio.Event().wait()
        raise AssertionError

    bench.work = work
    with pytest.raises(GivenUp):
        await bench.run()
    assert bench.report.outcomes == {"1.svs": [SlideStatus.FAILED]}
    assert "partly the old and partly the new slide" in str(bench.report.errors["1.svs"])
    assert bench.at_once == 0


async def test_a_run_that_is_interrupted_counts_what_was_begun() -> None:
    bench, begun = Bench(slides=2), asyncio.Event()

    async def work(job: SlideJob) -> Outcome:
        job.begun = True
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    bench.work = work
    running = asyncio.create_task(bench.run())
    await begun.wait()
    while bench.at_once < 2:
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (bench.report.unfinished, bench.report.outcomes, bench.at_once) == (2, {}, 0)


async def test_an_error_of_the_prefilter_stops_the_site() -> None:
    bench = Bench()

    async def fail(put: Callable[[Slide], Awaitable[None]]) -> None:
        raise OSError("no space left")

    prefilter = SimpleNamespace(run=fail)
    with pytest.raises(OSError, match="no space left"):
        await bench.dispatcher.run(cast(Any, prefilter), cast(Any, SimpleNamespace()))


async def test_no_slide_is_begun_after_the_stop_time() -> None:
    bench = Bench(slides=100, stop_at=50.0)

    async def work(job: SlideJob) -> Outcome:
        bench.clock.now = 60.0
        return SENT

    bench.work = work
    await bench.run()
    assert 1 <= len(bench.tried) <= FEWEST
    assert bench.report.ended_early
    assert "stopped at --max-duration" in str(bench.report.error)


async def test_a_slide_that_is_withdrawn_comes_again_and_ends_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, waits, ended = Bench(slides=1, stop_at=50.0), asyncio.Event(), []
    monkeypatch.setattr(bench.breaker, "trial_done", lambda: ended.append(True))
    monkeypatch.setattr(bench.gate, "_in_time", lambda job, before: not waits.is_set() or len(bench.tried) == 1)

    async def work(job: SlideJob) -> Outcome:
        if len(bench.tried) == 1:
            job.begun = True
            waits.set()
            await asyncio.Event().wait()
        return SENT

    bench.work = work
    running = asyncio.create_task(bench.run())
    await waits.wait()
    monkeypatch.setattr(bench.gate, "_in_time", lambda job, before: False)
    bench.gate.tick()
    monkeypatch.setattr(bench.gate, "_in_time", lambda job, before: True)
    await running
    assert bench.tried == ["0.svs"] * 2
    assert bench.report.outcomes == {"0.svs": [SlideStatus.SENT]}
    assert len(ended) >= 2
