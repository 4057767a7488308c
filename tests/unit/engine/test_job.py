"""How long a slide that fails is tried."""

from __future__ import annotations

from pathlib import Path

from pmarep.engine.slide.job import FRUITLESS_ATTEMPTS, PATIENCE_SHARE, SlideJob
from pmarep.slides import Slide, SlideFile

PATIENCE = 600.0


def slide(name: str) -> Slide:
    return Slide(name, "Aperio SVS", Path(), (SlideFile(name, 1, 1),))


def attempts(patience: float, *, away: bool = False, takes: float = 1.0, end: float = 10_000) -> list[float]:
    """When a slide that never comes farther is tried, each attempt taking so many seconds."""
    job, now, found = SlideJob(slide("a"), 0.0), 0.0, []
    while now < end:
        found.append(now)
        now += takes
        if not job.record_failure(0, now, away=away, patience=patience):
            break
        assert job.due >= now
        now = job.due
    return found


def test_a_slide_gets_its_time_and_no_storm() -> None:
    for _ in range(50):
        found = attempts(PATIENCE)
        assert PATIENCE / PATIENCE_SHARE <= found[-1] <= PATIENCE / PATIENCE_SHARE + 2
        assert FRUITLESS_ATTEMPTS <= len(found) <= 60
    assert len(attempts(100 * PATIENCE)) < 100 * 60 / 5  # the pauses have grown


def test_slow_attempts_are_at_least_three() -> None:
    assert len(attempts(PATIENCE, takes=500)) == FRUITLESS_ATTEMPTS


def test_without_patience_three_at_once() -> None:
    assert attempts(0, takes=0) == [0.0] * FRUITLESS_ATTEMPTS


def test_failures_of_the_site_do_not_count() -> None:
    assert len(attempts(PATIENCE, away=True, end=2000)) == 2000


def test_progress_resets_the_count() -> None:
    job = SlideJob(slide("a"), 0.0)
    for number in range(1, 100):
        assert job.record_failure(number, number * 1000.0, away=False, patience=PATIENCE)
    assert [job.record_failure(99, 200_000.0, away=False, patience=PATIENCE) for _ in range(3)] == [True, True, False]


def test_a_site_that_took_the_bytes_again_was_not_away() -> None:
    """Else each of its acknowledgements would begin the slide's time anew, and it would be sent for hours."""
    job, attempts = SlideJob(slide("a"), 0.0), 1
    now = 0.0
    while job.record_failure(100, now, away=True, patience=PATIENCE, sent=100):
        now, attempts = max(job.due, now) + 10.0, attempts + 1
    assert now <= PATIENCE / PATIENCE_SHARE + 20.0 + 10.0 * FRUITLESS_ATTEMPTS
    away = SlideJob(slide("b"), 0.0)
    assert all(away.record_failure(100, second * 60.0, away=True, patience=PATIENCE) for second in range(100))


def test_no_number_of_failures_is_too_large() -> None:
    job = SlideJob(slide("a"), 0.0)
    assert all(job.record_failure(0, 0.0, away=False, patience=1e9) for _ in range(2000))
