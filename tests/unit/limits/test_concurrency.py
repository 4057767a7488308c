"""The number of requests at once, found on lines that exist in this file only."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from pmarep.limits import AdaptiveConcurrency, SharedUplink
from pmarep.limits.concurrency import FEWEST, FEWEST_UNFORCED, MOST, USUAL

STEP = 0.1  # seconds
MB = 1e6

Rates = Callable[[Sequence[float]], Sequence[float]]
"""From the requests of each site to the bytes per second of each."""


def run(
    sites: Sequence[AdaptiveConcurrency],
    rates: Rates,
    seconds: float = 300,
    *,
    noise: float = 0.0,
    full: bool = True,
    held_back: bool = False,
    begin: float = 1000.0,
) -> list[list[int]]:
    """The limits of each site over time."""
    chance = random.Random(7)
    limits: list[list[int]] = [[] for _ in sites]
    for step in range(int(seconds / STEP)):
        now = begin + step * STEP
        moved = rates([concurrency.limit for concurrency in sites])
        for concurrency, rate, seen in zip(sites, moved, limits, strict=True):
            count = int(rate * STEP * chance.uniform(1 - noise, 1 + noise))
            if count:
                concurrency.record_sent(now, count, full=full, held_back=held_back)
            seen.append(concurrency.limit)
    return limits


def one(round_trip: float = 0.18) -> AdaptiveConcurrency:
    concurrency = AdaptiveConcurrency()
    concurrency.start(round_trip)
    return concurrency


def saturating(streams: int, per_stream: float = MB) -> Rates:
    return lambda limits: [min(limits[0], streams) * per_stream]


def late(values: Sequence[int]) -> Sequence[int]:
    return values[len(values) // 2 :]


@pytest.mark.parametrize(("round_trip", "requests"), [(0.0005, 5), (0.02, 8), (0.08, 10), (0.18, 22), (0.25, 24)])
def test_a_longer_way_begins_with_more(round_trip: float, requests: int) -> None:
    assert one(round_trip).limit == requests


@pytest.mark.parametrize("streams", [6, 12, 20, 28])
@pytest.mark.parametrize("round_trip", [0.001, 0.08, 0.18])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_line_is_filled_and_not_flooded(streams: int, round_trip: float, noise: float) -> None:
    (limits,) = run([one(round_trip)], saturating(streams), 600, noise=noise)
    late_limits = late(limits)
    assert sum(min(limit, streams) for limit in late_limits) / len(late_limits) >= 0.93 * streams
    assert sum(late_limits) / len(late_limits) <= streams + 5


def test_a_long_line_is_full_soon() -> None:
    (limits,) = run([one(0.18)], saturating(30), 12)
    assert limits[-1] >= 30


def test_never_more_than_the_most() -> None:
    (limits,) = run([one()], saturating(10_000))
    assert max(limits) == MOST
    assert late(limits)[-1] >= MOST - MOST // 8


@pytest.mark.parametrize(("full", "held_back"), [(False, False), (True, True)])
def test_a_site_that_is_not_limited_by_its_number_keeps_it(full: bool, held_back: bool) -> None:
    """Too little to do, or a bandwidth limit: the rate says nothing about the number."""
    concurrency = one(0.02)
    (limits,) = run([concurrency], saturating(100), full=full, held_back=held_back)
    assert set(limits) == {USUAL}


def test_errors_halve_it_and_never_below_two() -> None:
    concurrency = one()
    seen = [concurrency.limit]
    for step in range(10):
        concurrency.record_failure(1000 + 10 * step)
        seen.append(concurrency.limit)
    assert seen[:3] == [22, 11, 5]
    assert seen[-1] == FEWEST


def test_errors_that_come_together_count_once() -> None:
    concurrency = one()
    for step in range(20):
        concurrency.record_failure(1000 + step * 0.05)
    assert concurrency.limit == 11


def test_a_line_that_breaks_under_too_many() -> None:
    """Above ten requests, one of them fails now and then: it goes on with fewer, and comes back when that is over."""
    concurrency = one()
    for second in range(300):
        run([concurrency], saturating(24), 1, begin=1000.0 + second)
        if concurrency.limit > 10 and second % 5 == 0:
            concurrency.record_failure(1001.0 + second)
    assert concurrency.limit <= 14
    (limits,) = run([concurrency], saturating(24), 300, begin=1400.0)
    assert limits[-1] >= 20


def test_a_pause_is_no_measurement() -> None:
    concurrency = one()
    run([concurrency], saturating(20), 60)
    before = concurrency.limit
    run([concurrency], saturating(20), 3, begin=9000.0)
    assert abs(concurrency.limit - before) <= before // 4


def shared(capacity: float, round_trips: Sequence[float], per_window: float = 0.2 * MB) -> Rates:
    """One line for all: parts as TCP gives them, by requests over round trip; alone, a stream is held by its window."""

    def rates(limits: Sequence[float]) -> Sequence[float]:
        wanted = [limit * per_window / round_trip for limit, round_trip in zip(limits, round_trips, strict=True)]
        much = sum(wanted) or 1.0
        return [one * min(1.0, capacity / much) for one in wanted]

    return rates


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_two_sites_on_one_line_share_it(noise: float) -> None:
    uplink, round_trips = SharedUplink(), (0.04, 0.27)
    sites = [AdaptiveConcurrency(uplink) for _ in round_trips]
    for concurrency, round_trip in zip(sites, round_trips, strict=True):
        concurrency.start(round_trip)
    rates = shared(12 * MB, round_trips)
    limits = run(sites, rates, 1200, noise=noise)
    parts, sums = [], []
    for now in zip(*map(late, limits), strict=True):
        got = rates(now)
        sums.append(sum(got))
        parts.append(got[1] / sum(got))
    assert sum(sums) / len(sums) >= 0.95 * 12 * MB
    assert 0.3 <= sum(parts) / len(parts) <= 0.7


def test_a_site_does_not_grow_at_the_cost_of_another() -> None:
    """Two equal sites on a full line: nobody has anything to win, and both stay about as they are."""
    uplink, round_trips = SharedUplink(), (0.1, 0.1)
    sites = [AdaptiveConcurrency(uplink) for _ in round_trips]
    for concurrency in sites:
        concurrency.start(0.1)
    limits = run(sites, shared(5 * MB, round_trips), 1200)
    assert max(max(late(one)) for one in limits) <= 24
    assert min(min(late(one)) for one in limits) >= FEWEST_UNFORCED


@pytest.mark.parametrize(
    ("round_trip", "uploads", "downloads"), [(0.001, 5, 5), (0.02, 8, 8), (0.1, 12, 18), (0.18, 22, 32), (1.0, 24, 32)]
)
def test_requests_at_the_start_by_round_trip(round_trip: float, uploads: int, downloads: int) -> None:
    for expected, is_download in ((uploads, False), (downloads, True)):
        concurrency = AdaptiveConcurrency(downloads=is_download)
        concurrency.start(round_trip)
        assert concurrency.limit == concurrency.initial == expected
    few = AdaptiveConcurrency(most=4, downloads=True)
    few.start(0.18)
    assert few.limit == 4


@pytest.mark.parametrize(("sites", "each"), [(1, 32), (3, 32), (4, 24), (8, 12), (100, 4)])
def test_many_sites_have_fewer_each(sites: int, each: int) -> None:
    assert SharedUplink().limit_per_site(sites) == each


WAYS = (0.04, 0.1, 0.2, 0.27)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_no_site_is_starved_on_a_line_that_four_share(noise: float) -> None:
    """The near one has its full rate at once, while the others still find theirs."""
    uplink, capacity = SharedUplink(), 12.5 * MB
    sites = [AdaptiveConcurrency(uplink, 24) for _ in WAYS]
    for concurrency, round_trip in zip(sites, WAYS, strict=True):
        concurrency.start(round_trip)
    alike, step, got = shared(capacity, WAYS), 0, [0.0 for _ in WAYS]

    def rates(limits: Sequence[float]) -> Sequence[float]:
        nonlocal step
        step += 1
        # Each begins after some round trips, and needs ten more.
        risen = [min(1.0, max(0.0, step * STEP - 8 * round_trip) / (10 * round_trip)) for round_trip in WAYS]
        moved = alike([limit * part for limit, part in zip(limits, risen, strict=True)])
        if step * STEP > 20:
            got[:] = [before + rate for before, rate in zip(got, moved, strict=True)]
        return moved

    run(sites, rates, 60, noise=noise)
    assert all(0.15 < part / sum(got) < 0.42 for part in got), got


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4])
def test_lines_of_their_own_stay_full(noise: float) -> None:
    """Each has a line of its own, so what one loses the other does not win."""
    uplink = SharedUplink()
    sites = [AdaptiveConcurrency(uplink), AdaptiveConcurrency(uplink)]
    for concurrency, round_trip in zip(sites, (0.18, 0.22), strict=True):
        concurrency.start(round_trip)

    def rates(limits: Sequence[float]) -> Sequence[float]:
        return [min(25 * MB, limits[0] * 1.6 * MB), min(12.5 * MB, limits[1] * 0.6 * MB)]

    limits = run(sites, rates, 3600, noise=noise)
    moved = [rates(now) for now in zip(*map(late, limits), strict=True)]
    for site, capacity in enumerate((25 * MB, 12.5 * MB)):
        assert sum(each[site] for each in moved) / len(moved) >= 0.97 * capacity


def test_many_small_losses_are_a_large_one() -> None:
    """A line on which each request fewer costs less than is noticed, and all of them a fourth of the rate."""

    def part(requests: float) -> float:
        return float((requests / MOST) ** 0.15)

    (limits,) = run([one(0.18)], lambda limits: [10 * MB * part(limits[0])], 3600, noise=0.25)
    late_limits = late(limits)
    assert sum(map(part, late_limits)) / len(late_limits) >= 0.92


def test_a_trial_of_fewer_is_measured_when_they_are_fewer() -> None:
    """Requests of long parts end long after their number was lowered; until then the rate says nothing."""
    concurrency = one(0.18)
    ends: list[float] = []  # when each request that is one too many ends
    held, seen = concurrency.limit, []
    for step in range(int(1800 / STEP)):
        now = 1000.0 + step * STEP
        if held <= concurrency.limit:
            held, ends = concurrency.limit, []
        elif not ends:
            ends = [now + 15.0] * (held - concurrency.limit)
        while ends and ends[0] <= now:
            ends.pop(0)
            held -= 1
        count = int(min(held, 20) * MB * STEP)
        concurrency.record_sent(
            now, count, full=held >= concurrency.limit, held_back=False, over=held > concurrency.limit
        )
        seen.append(concurrency.limit)
    assert min(late(seen)) >= 20 - 20 // 8
    assert sum(min(limit, 20) for limit in late(seen)) / len(late(seen)) >= 0.95 * 20
