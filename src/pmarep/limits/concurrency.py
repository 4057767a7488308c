"""Find the number of requests to a site at the same time: more while more arrives, fewer when that costs nothing.

What one stream carries over a long round trip is limited by losses and by its window, so several fill a line that one
does not (the reason for aria2's and Globus' parallel streams). The number is found as BBR finds a rate, or Netflix'
concurrency-limits a limit: measure for a while, change a little, keep what helped. Errors halve it, as in TCP.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

FEWEST, MOST = 2, 32
ALL_SITES = 96  # requests to all sites together, since each takes memory
FEWEST_UNFORCED = 4  # without errors there is nothing to win below
USUAL = 8  # requests at the start, at least, where the round trip is long
MOST_AT_START = 24
USUAL_NEAR = 5
"""Requests where it is short: few fill the line. So many parts of 8 MiB stay in memory
(`source.reader.CACHE_BYTES`) until each site has sent them; with more, what is hashed is read again to be sent."""

SECONDS_PER_STREAM = 0.008
"""Seconds of round trip for each request of the start: with 180 ms there are 22. TCP gives a stream with twice the
round trip half the rate, so this also makes sites that share a line about equal from the beginning."""

SECONDS_PER_DOWNLOAD = 0.0055
"""The same of downloads, of which each takes little memory: with 180 ms there are 32."""

EPOCH, SETTLING = 2.0, 1.0  # seconds of a measurement, and after each change until the next begins
LONG_EPOCH = 5.0  # seconds of a measurement where one request more costs something, so that it is better to be sure
ROUND_TRIPS = 10  # that both last at least: slow start alone takes some
NEAR = 0.01
"""Seconds of round trip: with a shorter one the number is not doubled at the start."""

CLEARLY, SLIGHTLY, SAME = 1.15, 1.05, 0.97
"""Rates compared with those before: worth doubling again; worth having more; not worse."""

FORGET = 0.99  # part of the best rate that is left after each measurement

PROBE_EVERY, SELDOM = 4, 128  # measurements from one probe to the next, at first and at most
FULL = 0.8  # part of a measurement's pieces that have to go while no slot is free, else the number limits nothing
HELD_BACK = 0.3  # part of them that waits for a bandwidth limit, from which on more requests make no sense


class _Phase(Enum):
    WARMING = auto()  # doubling, as long as that brings much
    STEADY = auto()
    UP = auto()  # probing a few more
    DOWN = auto()  # probing a few fewer


class SharedUplink:
    """The sites of a run, which may share their way out: each compares its rate with those of the others."""

    def __init__(self) -> None:
        self.sites: list[AdaptiveConcurrency] = []

    def limit_per_site(self, sites: int) -> int:
        """Return the most requests that each of so many sites may have."""
        return max(FEWEST_UNFORCED, min(MOST, ALL_SITES // max(1, sites)))


class AdaptiveConcurrency:
    """The number of requests of one site, `limit`. Times are in seconds, rates in bytes per second.

    Where other sites send too and the sum of all rates stays as it is, what this one wins is taken from them: then it
    grows only as long as it has less than its equal share. `initial` is the number that it starts with at this round
    trip. `downloads`: the requests are such.
    """

    def __init__(self, uplink: SharedUplink | None = None, most: int = MOST, *, downloads: bool = False) -> None:
        self._uplink = uplink or SharedUplink()
        self._uplink.sites.append(self)
        self._most = most
        self._seconds_each = SECONDS_PER_DOWNLOAD if downloads else SECONDS_PER_STREAM
        self._most_at_start = most if downloads else min(most, MOST_AT_START)
        self.limit = min(USUAL, most)
        self.long_round_trip = False
        self.initial = self.limit
        self._careful = False  # whether each request has to show that it brings more
        self.moved = 0  # bytes, since the start
        self.moved_at = float("-inf")
        self._phase = _Phase.STEADY
        self._epoch = EPOCH
        self._settling = SETTLING
        self._base: tuple[float, float] | None = None  # rates of this site and of all others, before the present probe
        self._peak = 0.0  # the best of these, slowly forgotten: many small losses are a large one
        self._before = self.limit  # before the present probe
        self._since_probe = 0
        self._probe_every = PROBE_EVERY
        self._next_probe = _Phase.UP
        self._began = float("inf")
        self._calm_until = float("-inf")
        self._begin = float("-inf")  # of the measurement
        self._open(float("-inf"))

    def start(self, round_trip: float) -> None:
        """Start the search as suits a round trip, in seconds."""
        self.long_round_trip = round_trip >= NEAR
        usual = max(USUAL, round(round_trip / self._seconds_each)) if self.long_round_trip else USUAL_NEAR
        self.initial = min(self._most_at_start, usual)
        if not self._careful:
            self.limit = self._before = self.initial
            self._phase = _Phase.WARMING if self.long_round_trip else _Phase.STEADY
        self._epoch = max(LONG_EPOCH if self._careful else EPOCH, ROUND_TRIPS * round_trip)
        self._settling = max(SETTLING, ROUND_TRIPS * round_trip)

    @property
    def warming_up(self) -> bool:
        """True while it is still doubling to find how many fill the line."""
        return self._phase is _Phase.WARMING

    def restart_with_one(self) -> None:
        """Start again with one request, and add another only if it brings more: a kill loses what each has sent."""
        self._careful = True
        self.limit = self._before = 1
        self._probe_every = PROBE_EVERY
        self._epoch = max(self._epoch, LONG_EPOCH)
        self._base = None
        self._phase = _Phase.WARMING
        self._next_probe = _Phase.DOWN
        self._open(float("-inf"))

    def add_one(self, now: float) -> None:
        """Allow one request more without measuring what it brings."""
        self._base = None
        self._set(self.limit + 1, now)
        self._before = self.limit

    def record_sent(self, now: float, count: int, *, full: bool, held_back: bool, over: bool = False) -> None:
        """Record that the network has taken `count` bytes, and end the present measurement if it is time.

        `full`: no slot is free; `over`: more requests are in flight than the limit allows by now; `held_back`: the
        bytes waited for a bandwidth limit.
        """
        self.moved += count
        self._began = min(self._began, now)
        if self._begin == float("-inf") or now - self.moved_at > self._epoch:
            self._open(now + self._settling)
        self.moved_at = now
        if over:  # a probe with fewer begins when they are fewer
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
        """Halve the limit after a failure that too many requests may have caused."""
        if now < self._calm_until:  # others that were in flight at the same time fail for the same reason
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

    def _is_starting(self, at: float) -> bool:
        """Return whether the site did not have its full rate yet at that time."""
        return self._began <= at < self._began + self._settling or at < self._began < float("inf")

    def _others(self) -> Sequence[AdaptiveConcurrency]:
        return [other for other in self._uplink.sites if other is not self]

    def _others_moved(self) -> int:
        return sum(other.moved for other in self._others())

    def _close(self, now: float) -> None:
        seconds = now - self._begin
        rate = (self.moved - self._moved_before) / seconds
        others = (self._others_moved() - self._others_before) / seconds
        full, held_back = self._full / self._pieces, self._held_back / self._pieces
        self._open(now)
        if full < FULL or held_back > HELD_BACK or seconds > 2 * self._epoch:
            self._abandon_probe(now)
        else:
            self._judge(rate, others, now)

    def _abandon_probe(self, now: float) -> None:
        """Go back to the number before a probe whose measurement says nothing."""
        if self._phase in (_Phase.UP, _Phase.DOWN):
            self._phase = _Phase.STEADY
            self._set(self._before, now)

    def _judge(self, rate: float, others: float, now: float) -> None:
        if self._phase is _Phase.WARMING:
            self._warm_up(rate, others, now)
        elif self._phase is _Phase.STEADY:
            self._steady(rate, others, now)
        else:
            self._conclude_probe(rate, others, now)

    def _warm_up(self, rate: float, others: float, now: float) -> None:
        if any(other._is_starting(now - self._epoch) for other in self._others()):
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

    def _steady(self, rate: float, others: float, now: float) -> None:
        old = self._base or (rate, others)
        self._base = (old[0] + rate) / 2, (old[1] + others) / 2
        self._peak = max(self._base[0], self._peak * FORGET)
        self._since_probe += 1
        if self._since_probe < self._probe_every:
            return
        self._since_probe = 0
        if self._next_probe is _Phase.UP:
            self._next_probe = _Phase.DOWN
            self._probe(_Phase.UP, self.limit + max(1, self.limit // 4), now)
        else:
            self._next_probe = _Phase.UP
            self._probe(_Phase.DOWN, self.limit - max(1, self.limit // 8), now)

    def _probe(self, phase: _Phase, limit: int, now: float) -> None:
        self._before = self.limit
        fewest = FEWEST if self._careful else FEWEST_UNFORCED  # with one, the line is empty between two files
        to = min(self._most, max(min(fewest, self.limit), limit))
        if to != self.limit:
            self._phase = phase
            self._set(to, now)

    def _conclude_probe(self, rate: float, others: float, now: float) -> None:
        up = self._phase is _Phase.UP
        self._phase = _Phase.STEADY
        if self._gained(rate, others, SLIGHTLY) if up else rate >= self._peak * SAME:
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
        """Return whether the rate is `much` times that before, and not at the cost of sites with less."""
        before, others_before = self._base or (0.0, 0.0)
        gain, taken = rate - before, others_before - others
        if rate < before * much:
            return False
        return taken < gain / 2 or rate < self._fair_share(rate, others)

    def _fair_share(self, rate: float, others: float) -> float:
        """Return the equal share of all rates for each site that is sending."""
        busy = sum(other.moved_at >= self.moved_at - self._epoch for other in self._others())
        return (rate + others) / (1 + busy)
