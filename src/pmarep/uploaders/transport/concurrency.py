"""How many requests to a site go at once, found by trying: more while more arrives, fewer when it makes no difference.

What one stream carries over a long way is limited by losses and by its window, so several fill a line that one does not
(the reason for aria2's and Globus' parallel streams). How many is found like a rate in BBR or in the gradient limits of
Netflix' concurrency-limits: measure for a while, change a little, keep what helped. Errors halve the number, as in TCP.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

FEWEST, MOST = 2, 32
ALL_SITES = 96  # together: every request takes memory
FEWEST_UNFORCED = 4  # without errors there is nothing to win below
USUAL = 8
USUAL_NEAR = 5
"""On a short way few fill the line. So many parts of 8 MiB stay in memory (`reading.reader.CACHE_BYTES`) until each
site has sent them; with more, what is hashed is read again to be sent."""

SECONDS_PER_STREAM = 0.008
"""Round trip for each request of the start: a way of 180 ms begins with 22. TCP gives a stream that has twice the way
half the rate, so this is also what makes sites that share a line about equal from the beginning."""

EPOCH, SETTLING = 2.0, 1.0  # seconds of a measurement, and after each change before one
LONG_EPOCH = 5.0  # where a request more costs something, it is better to be sure
ROUND_TRIPS = 10  # at least, of both: slow start alone takes some
NEAR = 0.01
"""Seconds: on a shorter round trip nothing is doubled to find out."""

CLEARLY, SLIGHTLY, SAME = 1.15, 1.05, 0.97
"""Rates compared with those before: worth doubling again; worth having more; not worse."""

NOTABLE = 0.05  # part of a rate that is no chance
FORGET = 0.99  # part of the best rate that is left after each measurement

PROBE_EVERY, GIVE_EVERY, SELDOM = 4, 8, 128  # measurements
GIFT = 0.75  # part of the requests that is kept at least when some are given up for others
FULL = 0.8  # part of the pieces of a measurement that went while no slot was free
HELD_BACK = 0.3  # part of them that waited for a bandwidth limit, from which on more requests make no sense


class _Phase(Enum):
    WARMING = auto()
    STEADY = auto()
    UP = auto()
    DOWN = auto()
    GIVING = auto()  # down too, and the others are to have it


class SharedUplink:
    """The sites of a run may share their way out, so their controllers look at each other's rates."""

    def __init__(self) -> None:
        self.controllers: list[AdaptiveConcurrency] = []

    def limit_per_site(self, sites: int) -> int:
        """Requests for each of so many sites."""
        return max(FEWEST_UNFORCED, min(MOST, ALL_SITES // max(1, sites)))


class AdaptiveConcurrency:
    """Of one site. All times are those of one monotonic clock, in seconds; rates in bytes per second.

    `limit` is how many requests there may be now. Where other sites send too and the sum stays as it is, what this one
    wins is taken from them: then it grows only as long as it has less than its equal part, and gives back what is more.
    """

    def __init__(self, line: SharedUplink | None = None, most: int = MOST) -> None:
        self._line = line or SharedUplink()
        self._line.controllers.append(self)
        self._most = most
        self.limit = min(USUAL, most)
        self.long_round_trip = False  # whether the way is a long one
        self.initial = self.limit  # what it begins with on such a way
        self._careful = False  # whether each request has to show that it brings more
        self.moved = 0  # bytes, since the beginning
        self.moved_at = float("-inf")
        self._phase = _Phase.STEADY
        self._epoch = EPOCH
        self._settling = SETTLING
        self._base: tuple[float, float] | None = None  # rates of this site and of all others, as they were so far
        self._peak = 0.0  # the best of these, slowly forgotten: many small losses are a large one
        self._before = self.limit  # what it was before a trial
        self._since_probe = 0
        self._probe_every = PROBE_EVERY
        self._next_probe = _Phase.UP
        self._no_gift = 0  # measurements until it is tried to give back what is more than an equal part
        self._give_every = GIVE_EVERY
        self._began = float("inf")
        self._calm_until = float("-inf")
        self._begin = float("-inf")  # of the measurement
        self._open(float("-inf"))

    def start(self, round_trip: float) -> None:
        """Begin as suits a way of so many seconds there and back."""
        self.long_round_trip = round_trip >= NEAR
        usual = (
            max(USUAL, min(round(round_trip / SECONDS_PER_STREAM), 3 * USUAL)) if self.long_round_trip else USUAL_NEAR
        )
        self.initial = min(self._most, usual)
        if not self._careful:
            self.limit = self._before = self.initial
            self._phase = _Phase.WARMING if self.long_round_trip else _Phase.STEADY
        self._epoch = max(LONG_EPOCH if self._careful else EPOCH, ROUND_TRIPS * round_trip)
        self._settling = max(SETTLING, ROUND_TRIPS * round_trip)

    @property
    def warming_up(self) -> bool:
        """Whether it still looks for how many fill the line."""
        return self._phase is _Phase.WARMING

    def restart_with_one(self) -> None:
        """Every request more has to show that it brings more: what they carry is lost when they end early."""
        self._careful = True
        self.limit = self._before = 1
        self._probe_every = PROBE_EVERY
        self._epoch = max(self._epoch, LONG_EPOCH)
        self._base = None
        self._phase = _Phase.WARMING
        self._next_probe = _Phase.DOWN
        self._open(float("-inf"))

    def add_one(self, now: float) -> None:
        """There may be one more that need not show anything."""
        self._base = None
        self._set(self.limit + 1, now)
        self._before = self.limit

    def record_sent(self, now: float, count: int, *, full: bool, held_back: bool, over: bool = False) -> None:
        """The network has taken `count` bytes.

        `full`: no slot is free; `over`: more requests are still under way than there may be by now; `held_back`: the
        bytes waited for a bandwidth limit.
        """
        self.moved += count
        self._began = min(self._began, now)
        if self._begin == float("-inf") or now - self.moved_at > self._epoch:
            self._open(now + self._settling)
        self.moved_at = now
        if over:  # fewer are no trial before they are fewer
            self._open(max(now, self._begin))
        if now < self._begin:
            return
        if self._pieces == 0:
            self._open(now)
        self._pieces += 1
        self._full += full
        self._held_back += held_back
        if now - self._begin >= self._epoch:
            self._close(now)

    def record_failure(self, now: float) -> None:
        """A request has failed in a way that may be because of too many of them."""
        if now < self._calm_until:  # the others that were on their way meanwhile fail for the same reason
            return
        self._calm_until = now + self._epoch
        self._base = None
        self._phase = _Phase.STEADY
        self._since_probe = -PROBE_EVERY
        self._set(max(min(FEWEST, self.limit), self.limit // 2), now)

    def _set(self, limit: int, now: float) -> None:
        self.limit = limit
        self._open(now + self._settling)

    def _open(self, at: float) -> None:
        self._begin = at
        self._pieces = self._full = self._held_back = 0
        self._moved_before = self.moved
        self._others_before = self._others_moved()

    def _begins(self, at: float) -> bool:
        """Whether it did not have its full rate yet."""
        return self._began <= at < self._began + self._settling or at < self._began < float("inf")

    def _others(self) -> Sequence[AdaptiveConcurrency]:
        return [other for other in self._line.controllers if other is not self]

    def _others_moved(self) -> int:
        return sum(other.moved for other in self._others())

    def _close(self, now: float) -> None:
        seconds = now - self._begin
        rate = (self.moved - self._moved_before) / seconds
        others = (self._others_moved() - self._others_before) / seconds
        full, held_back = self._full / self._pieces, self._held_back / self._pieces
        self._open(now)
        if full < FULL or held_back > HELD_BACK or seconds > 2 * self._epoch:
            self._give_up_trial(now)
        else:
            self._judge(rate, others, now)

    def _give_up_trial(self, now: float) -> None:
        """The measurement says nothing."""
        if self._phase in (_Phase.UP, _Phase.DOWN, _Phase.GIVING):
            self._phase = _Phase.STEADY
            self._set(self._before, now)

    def _judge(self, rate: float, others: float, now: float) -> None:
        if self._phase is _Phase.WARMING:
            self._warm(rate, others, now)
        elif self._phase is _Phase.STEADY:
            self._go_on(rate, others, now)
        else:
            self._weigh(rate, others, now)

    def _warm(self, rate: float, others: float, now: float) -> None:
        if any(other._begins(now - self._epoch) for other in self._others()):
            self._base = None  # what it takes from us or leaves to us is not known yet
            return
        if self._base is not None and not self._gained(rate, others, CLEARLY):
            self._phase = _Phase.STEADY
            if not self._gained(rate, others, SLIGHTLY):
                self._set(self._before, now)
                return
        self._base = rate, others
        self._before = self.limit
        if self._phase is _Phase.WARMING and self.limit < self._most:
            more = max(1, self.limit // 2) if self._careful else self.limit
            self._set(min(self._most, self.limit + more), now)
        else:
            self._phase = _Phase.STEADY

    def _go_on(self, rate: float, others: float, now: float) -> None:
        old = self._base or (rate, others)
        self._base = (old[0] + rate) / 2, (old[1] + others) / 2
        self._peak = max(self._base[0], self._peak * FORGET)
        self._since_probe += 1
        self._no_gift -= 1
        equal = self._equal_part(*self._base)
        if self._no_gift <= 0 and self._base[0] > equal * CLEARLY:
            self._no_gift = self._give_every
            self._give_every = min(2 * self._give_every, SELDOM)  # where nobody takes it, the line is not shared
            self._try(_Phase.GIVING, round(self.limit * max(GIFT, equal / self._base[0])), now)
        elif self._since_probe >= self._probe_every:
            self._since_probe = 0
            if self._next_probe is _Phase.UP:
                self._next_probe = _Phase.DOWN
                self._try(_Phase.UP, self.limit + max(1, self.limit // 4), now)
            else:
                self._next_probe = _Phase.UP
                self._try(_Phase.DOWN, self.limit - max(1, self.limit // 8), now)

    def _try(self, phase: _Phase, limit: int, now: float) -> None:
        self._before = self.limit
        fewest = FEWEST if self._careful else FEWEST_UNFORCED  # with one, the line is empty between two files
        to = min(self._most, max(min(fewest, self.limit), limit))
        if to != self.limit:
            self._phase = phase
            self._set(to, now)

    def _weigh(self, rate: float, others: float, now: float) -> None:
        up = self._phase is _Phase.UP
        given = self._phase is _Phase.GIVING and self._given(rate, others)
        self._phase = _Phase.STEADY
        if given:
            self._peak = rate
            self._no_gift, self._give_every = 0, GIVE_EVERY  # what is left may still be more than an equal part
        if given or (self._gained(rate, others, SLIGHTLY) if up else rate >= self._peak * SAME):
            self._base = rate, others
            if up:
                self._probe_every = PROBE_EVERY
                self._next_probe, self._since_probe = _Phase.UP, PROBE_EVERY - 1  # it may pay again
            elif self._careful:
                self._next_probe, self._since_probe = _Phase.DOWN, self._probe_every - 1
        else:
            if up and self._careful:  # one in vain stays until its file is whole
                self._probe_every = min(2 * self._probe_every, SELDOM)
            self._set(self._before, now)

    def _gained(self, rate: float, others: float, much: float) -> bool:
        before, others_before = self._base or (0.0, 0.0)
        gain, taken = rate - before, others_before - others
        if rate < before * much:
            return False
        return taken < gain / 2 or rate < self._equal_part(rate, others)

    def _given(self, rate: float, others: float) -> bool:
        """Whether the others have what this site has lost, and it still has its equal part."""
        before, others_before = self._base or (0.0, 0.0)
        lost, won = before - rate, others - others_before
        return (
            lost > before * NOTABLE and lost / 2 < won < lost * 3 / 2 and rate > self._equal_part(rate, others) * SAME
        )

    def _equal_part(self, rate: float, others: float) -> float:
        busy = sum(other.moved_at >= self.moved_at - self._epoch for other in self._others())
        return (rate + others) / (1 + busy)
