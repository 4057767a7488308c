"""The rate that people see: true and steady, though bytes go out in bursts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pmarep.rates import RateMeter

MIB = 1024 * 1024
STEP = 0.05  # seconds


def slow_server(rate: float, file: float, requests: int, buffer: float, seconds: int) -> Iterator[tuple[int, int, int]]:
    """Yield second, bytes handed over and bytes under way, of a server that reads `rate` bytes per second in all.

    Buffers take the first `buffer` bytes of each file at once. Files end one after the other.
    """
    left = [file * (number + 1) / requests for number in range(requests)]
    held = [0.0] * requests
    handed, next_second = 0.0, 1
    for step in range(int(seconds / STEP)):
        for number in range(requests):
            taken = min(left[number], buffer - held[number])
            left[number] -= taken
            held[number] += taken
            handed += taken
        busy = [number for number in range(requests) if held[number] > 0]
        for number in busy:
            held[number] -= min(held[number], rate * STEP / len(busy))
            if left[number] <= 0 and held[number] <= 0:
                left[number] = file
        if (step + 1) * STEP >= next_second - 1e-9:
            yield next_second, int(handed), int(sum(file - one for one in left))
            next_second += 1


@pytest.mark.parametrize(
    ("rate", "file", "requests", "buffer"),
    [(1, 80, 1, 6), (1, 80, 2, 6), (1, 3, 1, 6), (1, 20, 4, 6), (10, 8, 16, 4), (10, 8, 16, 0.3), (1, 500, 1, 6)],
)
def test_the_rate_of_a_slow_server_is_steady(rate: float, file: float, requests: int, buffer: float) -> None:
    meter, rates, steady = RateMeter(), [], []
    for second, handed, under_way in slow_server(rate * MIB, file * MIB, requests, buffer * MIB, 300):
        meter.add(second, handed, under_way=under_way, requests=requests)
        if second >= 25:  # the first files are cut short, so that not all end together
            rates.append(meter.rate / MIB)
            steady.append(meter.steady_rate / MIB)
    assert 0.7 * rate <= min(rates)
    assert max(rates) <= 1.3 * rate
    assert 0.8 * rate <= min(steady)
    assert max(steady) <= 1.15 * rate


def test_without_buffers_it_follows_within_seconds() -> None:
    meter, count = RateMeter(), 0
    for second in range(30):
        meter.add(second, count)
        count += (10 if second < 20 else 1) * MIB
    assert meter.rate == MIB
    assert meter.steady_rate > MIB


def test_what_filled_buffers_before_the_first_sample_is_not_counted() -> None:
    meter = RateMeter()
    for second, count in enumerate([0, 0, 60, 61, 62, 63]):
        meter.add(second, count * MIB)
    assert meter.rate == MIB


def test_buffers_that_fill_for_seconds_are_not_counted() -> None:
    meter, rates = RateMeter(), []
    for second, count in enumerate([0, 9, 17, 22, 23, 24, 25, 26, 27, 28]):
        meter.add(second, count * MIB, under_way=count * MIB, requests=8)
        rates.append(meter.rate / MIB)
    assert rates[6:] == [1, 1, 1, 1]


def test_nothing_is_known_at_first_and_after_a_pause() -> None:
    meter = RateMeter()
    assert meter.rate == meter.steady_rate == 0
    for second in range(5):
        meter.add(second, (second + 1) * MIB)
        assert (meter.rate > 0) is (second >= 2)
    meter.restart()
    meter.add(100, 5 * MIB)
    assert meter.rate == meter.steady_rate == 0


def test_a_line_that_stands_still_has_no_rate() -> None:
    meter = RateMeter()
    for second in range(200):
        meter.add(second, min(second + 1, 20) * MIB)
    assert meter.rate == meter.steady_rate == 0
