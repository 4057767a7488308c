"""The end of a site's work: who is sent once more, and that it makes no difference which comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
from support.clocks import FakeClock

from pmarep.limits import AdaptiveConcurrency
from pmarep.pmacore import TransferBroken
from pmarep.retry import Retry
from pmarep.uploaders import RequestScheduler, UploadBody
from pmarep.uploaders.transport import scheduler as scheduler_module
from pmarep.uploaders.transport.body import LARGEST_PIECE, RATE_AFTER_SECONDS
from pmarep.uploaders.transport.hedging import FULL_SECONDS, HedgedRequest, HedgeMode, HedgingPolicy, InFlight

MIB = 1024 * 1024


class Stream:
    """A request with 8 MiB in all."""

    def __init__(self, left: float, pace: float | None, alone: bool = True) -> None:
        self.size = 8 * MIB
        self.bytes_left = int(left * MIB)
        self.seconds_left = pace and left / pace
        self.hedge_wanted: asyncio.Future[None] | None = asyncio.get_running_loop().create_future() if alone else None

    @property
    def helped(self) -> bool:
        return self.hedge_wanted is not None and self.hedge_wanted.done()


class SimulatedLine:
    """That has carried 16 MiB/s, and now carries `rate`. A round trip takes 0.1 s, so a new stream alone 1.5 s."""

    def __init__(self, streams: list[Stream], rate: float, few: int = 10) -> None:
        self.rate = 16.0
        self.clock = FakeClock()
        self.hedging = HedgingPolicy(self.clock, lambda: few, lambda: list[InFlight](streams), self._rate)
        self.hedging.round_trip = 0.1
        self.hedging.enabled = True
        self.now = rate

    def _rate(self, seconds: float) -> float:
        return (16.0 if seconds == FULL_SECONDS else self.now) * MIB

    def check(self) -> None:
        self.hedging.check()
        self.clock.now += 1


async def test_the_slowest_are_sent_once_more_as_many_as_are_sooner_there() -> None:
    streams = [Stream(4, pace) for pace in (8.0, 1.0, 0.5, 2.0)]  # 0.5, 4, 8 and 2 seconds
    line = SimulatedLine(streams, rate=4)
    line.check()
    # The slowest is there after 1.5 s, the next after 2, both clearly sooner; a third would need 2.5.
    assert [stream.helped for stream in streams] == [False, True, True, False]
    line.check()
    assert [stream.helped for stream in streams] == [False, True, True, False]


async def test_a_request_that_is_hedged_already_needs_its_share_of_the_line() -> None:
    streams = [Stream(2, 1.0), Stream(4, 0.5, alone=False), Stream(8, None, alone=False)]
    line = SimulatedLine(streams, rate=4)
    line.check()
    assert not streams[0].helped


@pytest.mark.parametrize("case", ["full line", "many requests", "not the end", "nobody knows its pace"])
async def test_otherwise_nobody_is(case: str) -> None:
    streams = [Stream(4, None if case == "nobody knows its pace" else 0.5)]
    line = SimulatedLine(streams, rate=15 if case == "full line" else 4, few=1 if case == "many requests" else 10)
    line.hedging.enabled = case != "not the end"
    line.check()
    assert not streams[0].helped


# Hedged requests


class HedgedCase:
    """Requests that wait for their words: "arrive", "fail", or what is answered; all are the same body."""

    def __init__(self) -> None:
        _, self.scheduler = make_scheduler()
        self.words: list[asyncio.Future[str]] = []
        self.bodies: list[UploadBody] = []
        self.ended: list[str] = []

    async def send(self, body: UploadBody) -> str:
        number = len(self.words)
        self.words.append(asyncio.get_running_loop().create_future())
        self.bodies.append(body)
        try:
            word = await self.words[number]
        except asyncio.CancelledError:
            self.ended.append(f"{number} cancelled")
            raise
        if word == "fail":
            raise TransferBroken(f"{number} failed")
        return f"{number} arrived" if word == "arrive" else word

    async def help(self) -> bool:
        """Send it once more; False if that is not wanted any more."""
        (hedged,) = self.scheduler._in_flight
        if hedged.hedge_wanted is None:
            return False
        hedged.hedge_wanted.set_result(None)
        await let_others_run()
        return True

    async def run(self, play: Callable[[HedgedCase], Awaitable[None]], how: HedgeMode = HedgeMode.ANY_ORDER) -> str:
        work = asyncio.create_task(self.scheduler.run(self.send, MIB, hedge=lambda: how))
        await let_others_run()
        await self.help()
        assert [body.new_connection for body in self.bodies] == [False, True]
        await play(self)
        return await work


async def let_others_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(("first", "other"), [(0, 1), (1, 0)])
async def test_the_first_there_counts_and_the_other_is_broken_off(first: int, other: int) -> None:
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        case.words[first].set_result("arrive")

    assert await case.run(play) == f"{first} arrived"
    assert case.ended == [f"{other} cancelled"]
    assert (case.scheduler.connections, case.scheduler.bytes_in_flight) == (0, 0)


@pytest.mark.parametrize("together", [False, True])
async def test_the_other_attempt_counts_where_one_fails(together: bool) -> None:
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        case.words[0].set_result("fail")
        if not together:
            await let_others_run()
        case.words[1].set_result("arrive")

    assert await case.run(play) == "1 arrived"


async def test_a_slow_helper_gets_help_too_but_there_is_an_end() -> None:
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        assert await case.help()
        assert not await case.help()
        case.words[2].set_result("arrive")

    assert await case.run(play) == "2 arrived"
    assert sorted(case.ended) == ["0 cancelled", "1 cancelled"]


async def test_both_may_fail() -> None:
    async def play(case: HedgedCase) -> None:
        for word in case.words:
            word.set_result("fail")

    with pytest.raises(TransferBroken):
        await HedgedCase().run(play)


async def test_being_cancelled_ends_both() -> None:
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        for task in asyncio.all_tasks():
            if task.get_coro().__qualname__ == "RequestScheduler.run":  # type: ignore[union-attr]
                task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await case.run(play)
    assert sorted(case.ended) == ["0 cancelled", "1 cancelled"]
    assert case.scheduler.connections == 0


async def test_an_attempt_that_is_not_wholly_sent_cannot_arrive_later() -> None:
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        case.words[1].set_result("tag")

    assert await case.run(play, HedgeMode.LAST_WINS) == "tag"
    assert case.ended == ["0 cancelled"]


async def test_an_attempt_that_may_still_arrive_is_waited_for() -> None:
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        case.bodies[0].may_arrive = True
        case.words[1].set_result("tag")
        await let_others_run()
        assert case.scheduler.connections == 1
        case.words[0].set_result("tag")

    assert await case.run(play, HedgeMode.LAST_WINS) == "tag"
    assert len(case.words) == 2


@pytest.mark.parametrize("other", ["tag of the other", "fail"])
@pytest.mark.parametrize("together", [False, True])
async def test_where_nobody_knows_which_the_site_has_kept_another_decides(together: bool, other: str) -> None:
    """Two with different tags; or one failed, and nobody knows whether the site has kept it."""
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        case.bodies[0].may_arrive = True
        case.words[1].set_result("tag of one")
        if not together:
            await let_others_run()
        case.words[0].set_result(other)
        await let_others_run()
        case.words[2].set_result("tag of the last")

    assert await case.run(play, HedgeMode.LAST_WINS) == "tag of the last"


async def test_the_last_request_gets_help_although_nothing_moves_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line whose last stream has lost everything in flight is silent; somebody has to look all the same."""
    monkeypatch.setattr(scheduler_module, "STALLED", 0.001)
    clock, concurrency = FakeClock(), AdaptiveConcurrency()
    scheduler = RequestScheduler(concurrency, [], Retry(attempts=1, sleep=clock.sleep), clock)
    scheduler.set_round_trip(0.18)
    scheduler.set_draining(True)
    helped = asyncio.Event()

    async def send(body: UploadBody) -> str:
        if body.new_connection:
            helped.set()
            return "helper"
        async for _ in body.stream(chunks(2)):
            clock.now += 0.1
        clock.now += 10
        await asyncio.Event().wait()
        return "never"

    work = asyncio.create_task(scheduler.run(send, MIB, hedge=lambda: HedgeMode.ANY_ORDER))
    async with asyncio.timeout(60):
        await helped.wait()
        assert await work == "helper"


@pytest.mark.parametrize(
    ("how", "size", "more", "helped"),
    [
        (HedgeMode.ANY_ORDER, LARGEST_PIECE, 0, False),
        (HedgeMode.ANY_ORDER, LARGEST_PIECE, 1, True),
        (HedgeMode.LAST_WINS, LARGEST_PIECE, 1, True),
        (HedgeMode.NEVER, LARGEST_PIECE, 1, False),
    ],
)
async def test_a_request_of_one_piece_is_never_hedged(how: HedgeMode, size: int, more: int, helped: bool) -> None:
    """It may arrive as soon as it has begun, so nothing can be known of its pace."""
    _, scheduler = make_scheduler()
    assert (HedgedRequest(UploadBody(scheduler, size + more), how).hedge_wanted is not None) == helped


# How long a request still takes


def make_scheduler() -> tuple[FakeClock, RequestScheduler]:
    clock = FakeClock()
    return clock, RequestScheduler(4, [], Retry(attempts=1, sleep=clock.sleep), clock)


async def chunks(count: int) -> AsyncGenerator[bytes, None]:
    for _ in range(count):
        yield bytes(MIB // 4)


async def test_the_time_left_is_unknown_before_a_rate_is_measured() -> None:
    clock, scheduler = make_scheduler()
    body = UploadBody(scheduler, 4 * MIB)
    assert body.seconds_left is None
    sent = 0
    async for piece in body.stream(chunks(16)):
        clock.now += len(piece) / MIB  # a second for each MiB
        sent += len(piece)
        if sent <= MIB // 2:
            assert body.seconds_left is None
        assert body.may_arrive == (sent == body.size)
        if sent > 2 * MIB:
            assert body.seconds_left == pytest.approx(body.bytes_left / MIB, rel=0.3)  # a piece is waiting just now


async def test_a_stalled_request_is_known_to_be_slow() -> None:
    clock, scheduler = make_scheduler()
    first, second = UploadBody(scheduler, MIB), UploadBody(scheduler, MIB, new_connection=True)
    hedged = HedgedRequest(first, HedgeMode.ANY_ORDER)
    pieces = first.stream(chunks(1))
    await anext(pieces)
    clock.now += RATE_AFTER_SECONDS / 2
    assert first.seconds_left is None
    clock.now += 100
    assert first.seconds_left is not None
    assert hedged.seconds_left == first.seconds_left > 100
    hedged.add(second)
    assert hedged.seconds_left is None  # the other may be quicker
    await pieces.aclose()


async def test_the_one_that_decides_is_alone() -> None:
    """A third that is still being sent would come last."""
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        assert await case.help()
        case.bodies[0].may_arrive = True
        case.words[1].set_result("tag of one")
        await let_others_run()
        assert case.ended == ["2 cancelled"]
        case.words[0].set_result("tag of the other")
        await let_others_run()
        case.words[3].set_result("tag of the last")

    assert await case.run(play, HedgeMode.LAST_WINS) == "tag of the last"


async def test_a_request_that_stalls_after_a_good_beginning_is_slow() -> None:
    clock, scheduler = make_scheduler()
    body = UploadBody(scheduler, 8 * MIB)
    async for _ in body.stream(chunks(20)):
        if body.bytes_left < 4 * MIB:
            break
        clock.now += 0.25
    before = body.seconds_left
    clock.now += 30
    assert before is not None
    assert body.seconds_left is not None
    assert before < 10 < body.seconds_left


@pytest.mark.parametrize("other", ["tag", "another"])
async def test_bytes_that_are_sent_several_times_count_once(other: str) -> None:
    case = HedgedCase()

    async def play(case: HedgedCase) -> None:
        for body in case.bodies:
            async for _ in body.stream(chunks(4)):
                pass
        assert case.scheduler.bytes_in_flight == MIB
        case.words[0].set_result("tag")
        case.words[1].set_result(other)
        if other != "tag":
            await let_others_run()
            assert case.scheduler.bytes_acknowledged == 0  # nobody knows which the site has kept
            async for _ in case.bodies[2].stream(chunks(4)):
                pass
            case.words[2].set_result("last")

    assert await case.run(play, HedgeMode.LAST_WINS) == ("tag" if other == "tag" else "last")
    assert (case.scheduler.bytes_in_flight, case.scheduler.bytes_acknowledged) == (0, MIB)
