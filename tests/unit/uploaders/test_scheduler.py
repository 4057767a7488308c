"""The limiter with a clock that only the test moves, and the counts of a scheduler."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator

import pytest
from support.clocks import FakeClock

from pmarep.clock import Clock
from pmarep.limits import AdaptiveConcurrency, NodeShare, RateLimiter
from pmarep.pmacore import Refused, ServerError
from pmarep.retry import Retry
from pmarep.timetable import Timetable
from pmarep.uploaders import RequestScheduler, UploadBody
from pmarep.uploaders.transport.body import LARGEST_PIECE, SMALLEST_PIECE
from pmarep.uploaders.transport.hedging import HedgeMode

MIB = 1024 * 1024


async def chunks(count: int, size: int = MIB) -> AsyncGenerator[bytes, None]:
    for _ in range(count):
        yield bytes(size)


def make_scheduler(clock: Clock, *limits: str, connections: int = 8) -> RequestScheduler:
    limiters = [RateLimiter(Timetable.parse(limit), clock) for limit in limits]
    return RequestScheduler(connections, limiters, Retry(sleep=clock.sleep), clock)


def sends(scheduler: RequestScheduler, count: int, size: int = MIB) -> asyncio.Future[None]:
    async def send(body: UploadBody) -> None:
        async for _ in body.stream(chunks(count, size)):
            pass

    return asyncio.ensure_future(scheduler.run(send))


@pytest.mark.parametrize("limit", ["1M", "7M", "100M", "300K"])
@pytest.mark.parametrize("streams", [1, 5])
async def test_the_rate_is_exact(limit: str, streams: int) -> None:
    clock = FakeClock()
    scheduler = make_scheduler(clock, limit)
    rate = Timetable.parse(limit).limit_at(dt.time())
    assert rate is not None
    total = max(rate * 10 // MIB, 10) // streams * streams
    work = asyncio.gather(*(sends(scheduler, total // streams) for _ in range(streams)))
    seconds = await clock.run(asyncio.ensure_future(_nothing(work)))
    assert seconds == pytest.approx(total * MIB / rate, rel=0.05)
    assert scheduler.bytes_acknowledged == total * MIB
    assert scheduler.bytes_in_flight == 0


async def _nothing(work: asyncio.Future[list[None]]) -> None:
    await work


async def test_the_narrower_of_two_limits_holds() -> None:
    clock = FakeClock()
    assert await clock.run(sends(make_scheduler(clock, "3M", "1M"), 20)) == pytest.approx(20, rel=0.05)


async def test_a_limit_shared_by_two_sites_is_for_both_together() -> None:
    clock = FakeClock()
    overall = RateLimiter(Timetable.parse("2M"), clock)
    schedulers = [RequestScheduler(4, [overall], Retry(), clock) for _ in range(2)]
    both = asyncio.gather(*(sends(scheduler, 20) for scheduler in schedulers))
    assert await clock.run(asyncio.ensure_future(_nothing(both))) == pytest.approx(20, rel=0.05)


async def test_one_slow_site_leaves_the_rest_of_a_shared_limit_to_the_other() -> None:
    clock = FakeClock()
    overall, own = RateLimiter(Timetable.parse("10M"), clock), RateLimiter(Timetable.parse("1M"), clock)
    slow, fast = RequestScheduler(4, [own, overall], Retry(), clock), RequestScheduler(4, [overall], Retry(), clock)
    dragging = sends(slow, 1000)
    assert await clock.run(sends(fast, 90)) == pytest.approx(10, rel=0.05)
    dragging.cancel()


async def test_no_limit_costs_no_time() -> None:
    clock = FakeClock()
    assert await clock.run(sends(make_scheduler(clock, "off"), 50)) == 0


async def test_a_timetable_changes_while_bytes_go() -> None:
    """One MiB/s until 19:00, which is in 10 s, then two."""
    clock = FakeClock("18:59:50")
    assert await clock.run(sends(make_scheduler(clock, "08:00,1M 19:00,2M"), 30)) == pytest.approx(20, rel=0.05)


async def test_a_timetable_that_ends_its_limit() -> None:
    clock = FakeClock("18:59:50")
    assert await clock.run(sends(make_scheduler(clock, "08:00,1M 19:00,off"), 500)) == pytest.approx(10, rel=0.05)


async def test_an_idle_time_gives_no_credit_beyond_the_burst() -> None:
    clock = FakeClock()
    scheduler = make_scheduler(clock, "1M")
    await clock.run(asyncio.ensure_future(clock.sleep(1000)))
    assert await clock.run(sends(scheduler, 10)) - 1000 == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("limit", ["1M", "100B", "1B"])
def test_pieces_are_an_eighth_of_a_second(limit: str) -> None:
    limiter = RateLimiter(Timetable.parse(limit), FakeClock())
    rate = Timetable.parse(limit).limit_at(dt.time()) or 0
    pieces = limiter.split(bytes(5000) + b"x")
    assert b"".join(pieces) == bytes(5000) + b"x"
    assert max(map(len, pieces)) <= max(rate // 8, 1)


# Counting and trying again


async def test_only_acknowledged_bytes_count() -> None:
    clock = FakeClock()
    scheduler = make_scheduler(clock)
    attempts = []

    async def send(body: UploadBody) -> str:
        async for _ in body.stream(chunks(3)):
            assert scheduler.connections == 1
        attempts.append(scheduler.bytes_in_flight)
        if len(attempts) < 3:
            raise ServerError("busy")
        return "done"

    async def work() -> None:
        assert await scheduler.run(send) == "done"

    assert await clock.run(asyncio.ensure_future(work())) > 0  # it paused between attempts
    assert attempts == [3 * MIB] * 3
    assert (scheduler.bytes_acknowledged, scheduler.bytes_in_flight, scheduler.connections) == (3 * MIB, 0, 0)


async def test_a_refusal_is_not_tried_again() -> None:
    scheduler = make_scheduler(FakeClock())
    calls = []

    async def send(body: UploadBody) -> None:
        calls.append(body)
        raise Refused("no")

    with pytest.raises(Refused):
        await scheduler.run(send)
    assert len(calls) == 1
    assert (scheduler.bytes_acknowledged, scheduler.bytes_in_flight, scheduler.connections) == (0, 0, 0)


async def test_attempts_end() -> None:
    clock = FakeClock()
    scheduler = make_scheduler(clock)
    calls = []

    async def send(body: UploadBody) -> None:
        calls.append(body)
        raise ServerError("busy")

    with pytest.raises(ServerError):
        await clock.run(asyncio.ensure_future(scheduler.run(send)))
    assert len(calls) == 5


async def test_where_a_server_fails_at_everything_requests_are_tried_once() -> None:
    clock = FakeClock()
    scheduler = make_scheduler(clock)
    calls = []

    async def send(body: UploadBody) -> None:
        calls.append(body)
        raise ServerError("busy")

    for before in (0, 5, 6):  # the sixth failure in a row ends the second request
        assert len(calls) == before
        with pytest.raises(ServerError):
            await clock.run(asyncio.ensure_future(scheduler.run(send)))
    async with scheduler.attempt(scheduler.attempts(0), 0):
        pass  # one that arrives, and all are tried again
    with pytest.raises(ServerError):
        await clock.run(asyncio.ensure_future(scheduler.run(send)))
    assert len(calls) == 7 + 5


@pytest.mark.parametrize(("seconds", "largest"), [(0.0, LARGEST_PIECE), (3.0, SMALLEST_PIECE)])
async def test_pieces_are_small_where_the_line_is_slow(seconds: float, largest: int) -> None:
    """A socket's time-out is for one piece: on a slow line it would strike although all goes well."""
    clock = FakeClock()
    scheduler = make_scheduler(clock)
    sizes: list[int] = []

    async def send(body: UploadBody) -> None:
        async for piece in body.stream(chunks(4)):
            sizes.append(len(piece))
            if seconds:
                await clock.sleep(seconds)

    await clock.run(asyncio.ensure_future(scheduler.run(send)))
    assert sum(sizes) == 4 * MIB == scheduler.bytes_acknowledged
    assert sizes[-1] == largest


async def test_how_a_site_takes_a_request_twice_is_asked_when_it_has_its_slot() -> None:
    """Not when it begins to wait for one: what the site's answers are like shows with the first of them."""
    scheduler = make_scheduler(FakeClock(), connections=1)
    happened: list[str] = []

    async def work(number: int) -> None:
        async def send(body: UploadBody) -> None:
            await asyncio.sleep(0)
            happened.append(f"{number} sent")

        def hedge() -> HedgeMode:
            happened.append(f"{number} asked")
            return HedgeMode.NEVER

        await scheduler.run(send, MIB, hedge=hedge)

    await asyncio.gather(work(1), work(2))
    assert happened == ["1 asked", "1 sent", "2 asked", "2 sent"]


async def test_no_more_requests_than_connections() -> None:
    clock = FakeClock()
    scheduler = make_scheduler(clock, connections=3)
    most = 0

    async def send(body: UploadBody) -> None:
        nonlocal most
        most = max(most, scheduler.connections)
        await clock.sleep(1)

    work = asyncio.gather(*(scheduler.run(send) for _ in range(10)))
    assert await clock.run(asyncio.ensure_future(_nothing(work))) == 4
    assert most == 3
    assert not scheduler._in_flight


async def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = FakeClock()
    scheduler = make_scheduler(clock, "2M")
    await clock.run(sends(scheduler, 40))
    assert scheduler.rate() == pytest.approx(2 * MIB, rel=0.1)
    await clock.run(asyncio.ensure_future(clock.sleep(60)))
    assert scheduler.rate() == 0


# The number that finds itself


def found(clock: Clock, *limits: str, round_trip: float = 0.18) -> tuple[RequestScheduler, AdaptiveConcurrency]:
    concurrency = AdaptiveConcurrency()
    concurrency.start(round_trip)
    limiters = [RateLimiter(Timetable.parse(limit), clock) for limit in limits]
    return RequestScheduler(concurrency, limiters, Retry(sleep=clock.sleep), clock), concurrency


async def flies(scheduler: RequestScheduler, count: int, seconds: float = 30.0, pieces: int = 60) -> int:
    """The most requests at once, of so many whose pieces take that long together."""
    most = 0
    clock = scheduler.clock
    assert isinstance(clock, FakeClock)

    async def send(body: UploadBody) -> None:
        nonlocal most
        async for _ in body.stream(chunks(pieces, 1000)):
            most = max(most, scheduler.connections)
            await clock.sleep(seconds / pieces)

    work = asyncio.gather(*(scheduler.run(send, MIB) for _ in range(count)))
    await clock.run(asyncio.ensure_future(_nothing(work)))
    return most


async def test_the_limit_grows_while_that_brings_more() -> None:
    scheduler, _ = found(FakeClock())
    assert await flies(scheduler, 100) == 32


async def test_the_limit_does_not_grow_against_a_bandwidth_limit() -> None:
    scheduler, _ = found(FakeClock(), "40K", round_trip=0.02)
    assert await flies(scheduler, 20, pieces=300) == 8


async def test_errors_make_it_smaller() -> None:
    clock = FakeClock()
    scheduler, concurrency = found(clock)

    async def send(body: UploadBody) -> None:
        raise ServerError("SlowDown")

    with pytest.raises(ServerError):
        await clock.run(asyncio.ensure_future(scheduler.run(send)))
    assert concurrency.limit < 22


async def test_a_refusal_is_not_about_the_number() -> None:
    scheduler, concurrency = found(FakeClock())

    async def send(body: UploadBody) -> None:
        raise Refused("no")

    with pytest.raises(Refused):
        await scheduler.run(send)
    assert concurrency.limit == 22


@pytest.mark.parametrize(
    ("round_trip", "limits", "counts"),
    [(0.18, [], True), (0.001, [], False), (0.18, ["100M"], False)],
    ids=["long way", "short way", "nothing to win below a limit"],
)
async def test_where_the_end_is_hurried(round_trip: float, limits: list[str], counts: bool) -> None:
    scheduler, _ = found(FakeClock(), *limits, round_trip=round_trip)
    scheduler.set_draining(True)
    assert scheduler.hedging.enabled is counts
    scheduler.set_draining(False)
    assert not scheduler.hedging.enabled


async def test_a_longer_way_than_thought_begins_anew_with_more() -> None:
    """PMA.core is near, its bucket is not: nobody knows that before the first connection to it."""
    scheduler, concurrency = found(FakeClock(), round_trip=0.001)
    assert (scheduler.limit, concurrency.long_round_trip) == (5, False)
    scheduler.set_round_trip(0.001)
    scheduler.set_round_trip(0.18)
    assert (scheduler.limit, concurrency.long_round_trip, scheduler.hedging.round_trip) == (22, True, 0.18)
    concurrency.record_failure(1000.0)
    for about_the_same in (0.2, 0.12):
        scheduler.set_round_trip(about_the_same)  # what was found by trying stays
    assert (scheduler.limit, scheduler.hedging.round_trip) == (11, 0.18)
    scheduler.set_round_trip(0.002)  # it was a slow name server that made it look far
    assert (scheduler.limit, concurrency.long_round_trip, scheduler.hedging.round_trip) == (5, False, 0.002)


async def test_requests_that_wait_begin_when_a_node_gives_its_part_to_others() -> None:
    clock, share, going = FakeClock(), NodeShare(0, 2), asyncio.Event()
    scheduler = RequestScheduler(4, [], Retry(sleep=clock.sleep), clock, share)

    async def send(_: UploadBody) -> None:
        await going.wait()

    requests = [asyncio.create_task(scheduler.run(send)) for _ in range(6)]
    await asyncio.sleep(0)
    assert scheduler.connections == 2
    share.change(0, 1)
    await asyncio.sleep(0)
    assert scheduler.connections == 4
    share.change(0, 4)
    kept = asyncio.create_task(share.wait_until_kept())
    await asyncio.sleep(0)
    assert not kept.done()  # three more than its part are under way
    going.set()
    await kept
    assert scheduler.connections <= 1
    await asyncio.gather(*requests)


async def test_the_bandwidth_of_a_node_is_its_part_of_the_limit() -> None:
    clock, share = FakeClock(), NodeShare(0, 2)
    limiter = RateLimiter(Timetable.parse("10M"), clock, share)
    scheduler = RequestScheduler(4, [limiter], Retry(sleep=clock.sleep), clock, share)
    assert scheduler.bandwidth == 5 * MIB
    work = sends(scheduler, 10)
    assert await clock.run(work) == pytest.approx(2.0, rel=0.06)
    share.change(0, 1)
    assert scheduler.bandwidth == 10 * MIB
