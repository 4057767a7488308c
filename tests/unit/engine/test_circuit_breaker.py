"""Pausing, probing and giving up, with a clock that only the test moves."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from support.clocks import FakeClock

from pmarep.engine.circuit_breaker import LONGEST_PAUSE, UNSEEN, CircuitBreaker, GivenUp
from pmarep.errors import PmarepError
from pmarep.events import State
from pmarep.pmacore import CredentialsRefused, ServerError, Unreachable

PATIENCE = 600.0


class Site:
    """A site whose probes fail until `back_at`, or for ever."""

    def __init__(self, patience: float = PATIENCE, deadline: float | None = None) -> None:
        self.clock = FakeClock()
        self.back_at: float | None = None
        self.others_work = False
        self.probes: list[float] = []
        self.states: list[tuple[State, str | None]] = []
        self.failure: PmarepError = Unreachable("no")
        self.breaker = CircuitBreaker(self.clock, patience, deadline, self._record_state, lambda: self.others_work)

    def _record_state(self, state: State, reason: str | None, retry_seconds: float | None) -> None:
        assert (retry_seconds is not None) is (state is State.PAUSED)
        self.states.append((state, reason))

    async def probe(self) -> None:
        self.probes.append(self.clock.monotonic())
        if self.back_at is None or self.clock.monotonic() < self.back_at:
            raise self.failure

    def overcome(self, error: PmarepError, slide: str = "a") -> asyncio.Future[bool]:
        return asyncio.ensure_future(self.breaker.handle_failure(error, self.probe, slide))


async def test_a_site_that_answers_is_not_paused() -> None:
    site = Site()
    site.back_at = 0
    assert await site.overcome(ServerError("busy")) is False
    assert site.states == []
    assert site.breaker.is_closed


async def test_away_and_back() -> None:
    site = Site()
    site.breaker.record_success()
    site.back_at = 200
    failed = site.overcome(Unreachable("refused"))
    at = await site.clock.run(failed)
    assert failed.result() is True
    assert 200 <= at <= 200 + LONGEST_PAUSE
    states = [state for state, _ in site.states]
    assert states == [State.PAUSED] * (len(states) - 1) + [State.RUNNING]
    assert all("; trying again in " in (reason or "") for _, reason in site.states[:-1])
    pauses = [later - earlier for earlier, later in zip(site.probes, site.probes[1:], strict=False)]
    assert all(pause <= min(2.0**number, LONGEST_PAUSE) for number, pause in enumerate(pauses))
    assert pauses[-1] > pauses[0]


async def test_all_lanes_wait_and_one_tries_first() -> None:
    site = Site()
    site.breaker.record_success()
    site.back_at = 30
    first, second = site.overcome(Unreachable("a")), site.overcome(Unreachable("b"))
    begins = [asyncio.ensure_future(site.breaker.admit()) for _ in range(2)]
    await site.clock.run(first)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not second.done()
    assert [one.done() for one in begins] == [True, False]  # on trial: only one may begin
    site.breaker.record_success()
    assert await second is True
    await begins[1]
    assert len([state for state, _ in site.states if state is State.RUNNING]) == 1


async def test_a_trial_that_proves_nothing_is_over_with_its_slide() -> None:
    site = Site()
    site.back_at = 5
    await site.clock.run(site.overcome(Unreachable("a")))
    await site.breaker.admit()
    begins = asyncio.ensure_future(site.breaker.admit())
    await asyncio.sleep(0)
    assert not begins.done()
    site.breaker.trial_done()
    await begins


async def test_a_site_that_lets_us_in_needs_no_trial() -> None:
    site = Site()
    site.back_at = 5
    await site.clock.run(site.overcome(Unreachable("a")))
    site.breaker.record_success()
    await site.breaker.admit()


async def test_a_site_that_stays_away_is_given_up() -> None:
    site = Site()
    site.breaker.record_success()
    failed = site.overcome(Unreachable("refused"))
    with pytest.raises(GivenUp, match=r"no; given up after 1\d+m\d\ds, the next run sends the rest"):
        await site.clock.run(failed)
    assert PATIENCE <= site.clock.now <= PATIENCE + LONGEST_PAUSE
    assert site.breaker.is_closed  # slides that wait must come to their end too


async def test_a_site_never_seen_is_given_up_sooner() -> None:
    site = Site()
    with pytest.raises(GivenUp):
        await site.clock.run(site.overcome(Unreachable("refused")))
    assert PATIENCE / UNSEEN <= site.clock.now < PATIENCE / 2


async def test_not_while_others_work() -> None:
    site = Site()
    site.breaker.record_success()
    site.others_work = True
    site.back_at = 5 * PATIENCE
    failed = site.overcome(Unreachable("refused"))
    await site.clock.run(failed)
    assert failed.result() is True


async def test_a_storage_that_cannot_be_reached_is_away_although_the_server_answers() -> None:
    site = Site()
    site.breaker.record_success()
    site.back_at = 0  # probes are answered

    async def try_for_ever() -> None:
        for number in itertools.count():
            await site.breaker.handle_failure(Unreachable("no storage"), site.probe, f"{number}.svs")

    with pytest.raises(GivenUp, match="no storage"):
        await site.clock.run(asyncio.ensure_future(try_for_ever()))
    assert PATIENCE <= site.clock.now <= PATIENCE + 2 * LONGEST_PAUSE


async def test_one_slide_that_fails_at_a_site_that_answers_is_the_slides_fault() -> None:
    site = Site()
    site.breaker.record_success()
    site.back_at = 0
    for _ in range(5):
        assert await site.overcome(ServerError("busy")) is False
    assert site.clock.now == 0
    assert site.states == []


async def test_several_slides_that_fail_are_the_sites_fault_until_something_works() -> None:
    """Its storage is down: it gets growing pauses, which people see, and one slide is on trial after each."""
    site = Site()
    site.breaker.record_success()
    site.back_at = 0
    assert await site.overcome(ServerError("storage"), "1") is False
    pauses = []
    for number in range(2, 9):
        before = site.clock.now
        failed = site.overcome(ServerError("storage"), str(number))
        await site.clock.run(failed)
        assert failed.result() is True
        assert site.breaker.is_half_open
        pauses.append(site.clock.now - before)
        await site.breaker.admit()  # one may try
        other = asyncio.ensure_future(site.breaker.admit())
        await asyncio.sleep(0)
        assert not other.done()  # and no other
        other.cancel()
    assert pauses[-1] > 8 * pauses[0] > 0
    assert [state for state, _ in site.states] == [State.PAUSED, State.RUNNING] * 7
    site.breaker.record_success()
    before = site.clock.now
    assert await site.overcome(ServerError("busy")) is False
    assert site.clock.now == before


async def fail_for_ever(site: Site, error: PmarepError) -> int:
    """One slide after the other; which one is first found to be at fault itself, after the second."""
    for number in itertools.count():
        failed = asyncio.ensure_future(site.breaker.handle_failure(error, site.probe, str(number)))
        if not await failed and number > 1:
            return number
    raise AssertionError


async def test_a_storage_that_stays_down_is_given_up() -> None:
    site = Site()
    site.breaker.record_success()
    site.back_at = 0
    with pytest.raises(GivenUp, match="storage; given up after "):
        await site.clock.run(asyncio.ensure_future(fail_for_ever(site, ServerError("storage"))))
    assert PATIENCE <= site.clock.now <= PATIENCE + 2 * LONGEST_PAUSE
    assert len(site.probes) < 60


async def test_possible_refusals_are_in_the_end_the_slides_fault() -> None:
    """ASP.NET says 500 to what it does not want: a folder of such slides does not keep others from this site."""
    site = Site()
    site.breaker.record_success()
    site.back_at = 0
    error = ServerError("no", may_be_refusal=True)
    failing = asyncio.ensure_future(fail_for_ever(site, error))
    assert PATIENCE <= await site.clock.run(failing) <= PATIENCE + LONGEST_PAUSE
    assert failing.result() < 60
    site.breaker.record_success()  # the next ones are a new matter
    assert await site.overcome(error, "a") is False
    failed = site.overcome(error, "b")
    await site.clock.run(failed)
    assert failed.result() is True


async def test_slides_that_need_not_be_sent_say_nothing_about_the_storage() -> None:
    site = Site()
    site.breaker.record_success()
    site.back_at = 0
    for sending, away in ((True, True), (False, False)):
        assert await site.breaker.handle_failure(ServerError("a"), site.probe, "a", sending=sending) is False
        site.breaker.record_read_ok()
        failed = asyncio.ensure_future(site.breaker.handle_failure(ServerError("b"), site.probe, "b", sending=sending))
        await site.clock.run(failed)
        assert failed.result() is away
        site.breaker.record_success()


async def test_a_slide_that_failed_before_another_arrived_is_no_witness_against_the_site() -> None:
    site = Site()
    site.breaker.record_success()
    site.back_at = 0
    for name in ("a", "b"):
        assert await site.overcome(ServerError("poison"), name) is False
        site.breaker.record_arrival("c")
    for name in ("a", "b", "a"):
        failed = site.overcome(ServerError("poison"), name)
        await site.clock.run(failed)
        assert failed.result() is False
    assert site.states == []


async def test_two_absences_of_a_site_that_needs_nothing_are_two() -> None:
    """Nothing is sent in between, so no bytes are acknowledged: it is enough that it answers about slides."""
    site = Site()
    site.breaker.record_success()
    for begin in (0.0, PATIENCE):
        site.clock.now = max(site.clock.now, begin)
        site.back_at = site.clock.now + PATIENCE / 2
        failed = asyncio.ensure_future(site.breaker.handle_failure(Unreachable("no"), site.probe, "a", sending=False))
        await site.clock.run(failed)
        assert failed.result() is True
        site.breaker.record_read_ok()


async def test_no_slide_is_suspected_without_patience_or_after_max_duration() -> None:
    for site in (Site(patience=0), Site(deadline=0)):
        site.breaker.record_success()
        site.back_at = 0
        for number in range(5):
            assert await site.overcome(ServerError("busy"), str(number)) is False
        assert site.states == []


async def test_a_lane_that_waits_for_another_learns_what_it_was() -> None:
    """Slides that fail at a site that answers count, however many fail at once: else they would be tried for ever."""
    for back_at, was_away in ((0.0, False), (20.0, True)):
        site = Site()
        site.breaker.record_success()
        site.back_at = back_at
        busy = ServerError("busy", retry_after=5)
        failed = [site.overcome(busy) for _ in range(3)]  # parts of one slide, say
        await site.clock.run(failed[0])
        site.breaker.trial_done()
        assert [await one for one in failed] == [was_away] * 3


async def test_retry_after_is_waited_for() -> None:
    site = Site()
    site.back_at = 0
    failed = site.overcome(ServerError("busy", retry_after=300))
    assert await site.clock.run(failed) == pytest.approx(300)
    assert failed.result() is False


async def test_no_pause_goes_beyond_max_duration() -> None:
    site = Site(deadline=30)
    site.back_at = 0
    assert await site.clock.run(site.overcome(ServerError("busy", retry_after=600))) == pytest.approx(30)


@pytest.mark.parametrize("others", [True, False])
async def test_no_patience_at_all(others: bool) -> None:
    site = Site(patience=0)
    site.others_work = others
    with pytest.raises(GivenUp, match=r"^no$"):
        await site.overcome(Unreachable("refused"))
    assert site.clock.now == 0


async def test_max_duration_ends_waiting() -> None:
    site = Site(deadline=100)
    site.breaker.record_success()
    site.others_work = True
    with pytest.raises(GivenUp):
        await site.clock.run(site.overcome(Unreachable("refused")))
    assert 100 <= site.clock.now <= 100 + LONGEST_PAUSE


async def test_lasting_errors_are_raised() -> None:
    site = Site()
    site.failure = CredentialsRefused("the password was changed")
    with pytest.raises(CredentialsRefused):
        await site.overcome(Unreachable("refused"))
    assert site.breaker.is_closed


async def test_sleep_of_the_machine_is_nobodys_absence() -> None:
    site = Site()
    site.breaker.record_success()
    failed = site.overcome(Unreachable("refused"))
    for _ in range(20):
        await asyncio.sleep(0)
    site.clock.now += 8 * 3600
    site.breaker.discount_sleep(8 * 3600)
    site.back_at = site.clock.now + 60
    await site.clock.run(failed)
    assert failed.result() is True


async def test_cancelled_in_the_middle() -> None:
    site = Site()
    site.breaker.record_success()
    failed = site.overcome(Unreachable("refused"))
    for _ in range(20):
        await asyncio.sleep(0)
    failed.cancel()
    with pytest.raises(asyncio.CancelledError):
        await failed
    await site.breaker.admit()
