"""How far a run is, as its events tell it: the data behind the board and the plain lines. Nothing is printed here.

Sizes in bytes, times in seconds of the clock's monotonic time, rates in bytes per second.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ...clock import Clock
from ...events import (
    Event,
    Progress,
    RunStarted,
    SiteState,
    SlideFinished,
    SlidePlanned,
    SlideRestarted,
    SlideRetracted,
    SlideStarted,
    SlideStatus,
    SourceWaiting,
    State,
    Summary,
)
from ...rates import RateMeter

HISTORY_SECONDS, HISTORY = 3.0, 40
"""A rate is kept every so many seconds, and so many of them."""

ORDER_SECONDS = 10.0
"""Sites change places no more often, unless a state changes: nobody can read a row that jumps."""

FILLING_SECONDS = 10.0
"""For so long the first requests may fill buffers; those rates are not kept, or they would dwarf all later ones."""

WAITING_SECONDS = 5.0
"""Slides that wait are looked at again a little later than is said; then they wait no longer, or it is said again."""


@dataclass(slots=True)
class Problem:
    """The last thing that went wrong: `text`, one line, at the clock's time `at`."""

    text: str
    at: float


@dataclass(slots=True)
class Rates:
    """The rates of a site, or of all together: `now`, and their `history`, oldest first."""

    now: float = 0.0
    history: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    meter: RateMeter = field(default_factory=RateMeter)
    _kept_at: float | None = None

    def keep(self, rate: float, now: float, *, filling: bool = False) -> None:
        """Set the present rate, and keep it every few seconds. `filling`: it may be that at which buffers fill."""
        self.now = rate
        if (
            (rate or self.history)
            and not filling
            and (self._kept_at is None or now - self._kept_at >= HISTORY_SECONDS - 0.5)
        ):
            self._kept_at = now
            self.history.append(rate)


@dataclass(slots=True)
class LiveSite:
    """How far one site is.

    `since`: when it came into its state; `retry_at`: when a paused one is tried again. `done`, `total`: bytes that it
    has and needs; `sent`: bytes handed to the network in this run, `under_way` those not acknowledged. `arrived`,
    `failed`, `left_out`, `slides`: numbers of slides, the last of all that it needs. `sending`: slides being sent, the
    oldest first. `waits_for`: what it is silent about. `only_looks`: nothing is sent, so that slides count and not
    bytes. `pulls`: slides come from it.
    """

    name: str
    state: State = State.CONNECTING
    since: float = 0.0
    began: float | None = None
    retry_at: float | None = None
    waits_for: str = ""
    done: int = 0
    total: int = 0
    sent: int = 0
    under_way: int = 0
    connections: int = 0
    arrived: int = 0
    failed: int = 0
    left_out: int = 0
    slides: int = 0
    sending: dict[str, None] = field(default_factory=dict)
    problem: Problem | None = None
    rates: Rates = field(default_factory=Rates)
    seconds: float = 0.0  # in which it has been sent to
    only_looks: bool = False
    pulls: bool = False

    def measure(self, event: Progress, now: float) -> None:
        """Take over what a Progress says."""
        if event.bytes_done != self.done:
            self.waits_for = ""
        self.done, self.total, self.sent = event.bytes_done, event.bytes_total, event.bytes_sent
        self.under_way, self.connections = event.bytes_under_way, event.connections
        self.slides = event.slides_total or self.slides
        if not self.ended:
            self.seconds = 0.0 if self.began is None else now - self.began
        running = self.state is State.RUNNING
        if running:
            self.rates.meter.add(now, self.sent, under_way=event.bytes_under_way, requests=event.connections)
        self.rates.keep(event.rate if running else 0.0, now, filling=self.filling)

    def change(self, event: SiteState, now: float) -> None:
        """Take over a new state."""
        if event.state is not self.state:
            self.since = now
            self.rates.meter.restart()
        self.state = event.state
        self.retry_at = None if event.retry_seconds is None else now + event.retry_seconds
        if self.state is State.RUNNING and self.began is None:
            self.began = now
        if self.state in (State.PAUSED, State.STOPPED):
            self.problem = Problem(event.cause or str(event.state), now)
            self.waits_for = ""
        else:
            self.waits_for = event.reason or ""
        if self.ended:
            self.sending.clear()

    @property
    def filling(self) -> bool:
        """Whether all that was sent may only have filled buffers."""
        return self.state is State.RUNNING and self.sent == self.under_way and self.seconds < FILLING_SECONDS

    @property
    def ended(self) -> bool:
        return self.state in (State.DONE, State.STOPPED)

    @property
    def complete(self) -> bool:
        """Whether every slide is at the site."""
        return self.state is State.DONE and self.failed == 0

    @property
    def reached(self) -> tuple[int, int]:
        """Bytes done, and bytes that will be when it has ended: what a stopped site lacks, nobody waits for."""
        if self.complete:
            return self.total, self.total
        return self.done, self.done if self.ended else self.total

    @property
    def percent(self) -> int:
        """Per cent of the bytes; the last one is for what is looked at after sending."""
        if self.complete:
            return 100
        done, total = (self.looked_at, self.slides) if self.only_looks else (self.done, self.total)
        return min(100 * done // total, 99) if total else 0

    @property
    def looked_at(self) -> int:
        """Slides with an outcome."""
        return self.arrived + self.failed + self.left_out

    @property
    def mean(self) -> float:
        """Bytes per second since it was first sent to."""
        return self.sent / self.seconds if self.seconds >= 1 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all is sent; None while that cannot be told."""
        pace = self.rates.meter.steady_rate
        if self.state is not State.RUNNING or pace <= 0 or self.done >= self.total:
            return None
        return (self.total - self.done) / pace

    @property
    def rank(self) -> int:
        """Its place among others: troubled ones first, then those that are at work, then those that are done."""
        if self.state is State.RUNNING:
            return 2 if self.failed else 3
        return {State.PAUSED: 0, State.STOPPED: 1, State.CONNECTING: 4}.get(self.state, 5)


class LiveRun:
    """How far a run is. `slides_waiting` may still be being written, and are looked at again at `look_at`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self.sites: dict[str, LiveSite] = {}
        self.ended = False
        self.rates = Rates()
        self._heard: set[str] = set()  # sites that have been measured in this round
        self._waiting: tuple[int, float] = (0, 0.0)
        self._order: list[str] = []
        self._ranks: list[int] = []
        self._ordered_at = 0.0

    @property
    def now(self) -> float:
        return self._clock.monotonic()

    @property
    def elapsed(self) -> float:
        return self.now - self._began

    def site(self, name: str) -> LiveSite:
        """Return a site's progress; a new one where nothing is known of it yet."""
        if name not in self.sites:
            self.sites[name] = LiveSite(name, since=self.now)
        return self.sites[name]

    def handle(self, event: Event) -> None:
        """Take over an event."""
        now = self.now
        match event:
            case RunStarted():
                self.sites = {
                    name: LiveSite(name, since=now, total=event.bytes, slides=event.slides, pulls=event.pull)
                    for name in event.sites
                }
            case SourceWaiting():
                self._waiting = event.slides, now + event.seconds
            case SiteState():
                self._changed(self.site(event.site), event, now)
            case SlideStarted():
                self.site(event.site).sending[event.slide] = None
            case SlideRestarted() if event.bytes:  # else nothing is lost
                self.site(event.site).problem = Problem(f"{event.slide}: {event.reason}", now)
            case SlideFinished():
                self._finished(self.site(event.site), event, now)
            case SlidePlanned() if event.action != "exclude":
                site = self.site(event.site)
                site.arrived, site.only_looks = site.arrived + 1, True
            case SlideRetracted():
                site = self.site(event.site)
                site.arrived, site.failed = site.arrived - 1, site.failed + 1
                site.problem = Problem(f"damaged {event.slide}: {event.error}", now)
            case Progress():
                self._measured(event, now)
            case Summary():
                self.ended = True

    def _finished(self, site: LiveSite, event: SlideFinished, now: float) -> None:
        site.sending.pop(event.slide, None)
        site.waits_for = ""
        if event.status is SlideStatus.FAILED:
            site.failed += 1
            site.problem = Problem(f"failed {event.slide}: {event.error}", now)
        elif event.status is SlideStatus.LEFT_OUT:
            site.left_out += 1
        else:
            site.arrived += 1
        site.only_looks = event.status is SlideStatus.VERIFIED or site.only_looks

    def _changed(self, site: LiveSite, event: SiteState, now: float) -> None:
        if (site.state is State.RUNNING) is not (event.state is State.RUNNING):
            self.rates.meter.restart()
        site.change(event, now)

    def _measured(self, event: Progress, now: float) -> None:
        if event.site in self._heard:  # a new round: all that the last one has said is of the same moment
            self._heard.clear()
            sites = self.sites.values()
            self.rates.meter.add(
                now,
                sum(site.sent for site in sites),
                under_way=sum(site.under_way for site in sites),
                requests=sum(site.connections for site in sites),
            )
            # When a site has just begun or ended, the rate of before says nothing about all together.
            known = self.rates.meter.rate or sum(site.rates.now for site in sites)
            self.rates.keep(known, now, filling=any(site.filling for site in sites))
        self._heard.add(event.site)
        self.site(event.site).measure(event, now)

    @property
    def slides_waiting(self) -> tuple[int, float]:
        """How many slides may still be being written, and the seconds until they are looked at again."""
        slides, at = self._waiting
        return (slides, max(at - self.now, 0.0)) if slides and self.now < at + WAITING_SECONDS else (0, 0.0)

    def in_order(self) -> list[LiveSite]:
        """Return the sites: troubled ones first, then the slowest, those that are done last."""
        sites = list(self.sites.values())
        ranks = [site.rank for site in sites]
        if ranks != self._ranks or self.now - self._ordered_at >= ORDER_SECONDS:
            self._ranks, self._ordered_at = ranks, self.now
            ordered = sorted(sites, key=lambda site: (site.rank, -_left(site)))
            self._order = [site.name for site in ordered]
        return [self.sites[name] for name in self._order]


@dataclass(frozen=True, slots=True)
class Total:
    """All sites together: bytes, slides, failures, and the seconds that the slowest needs (None: unknown)."""

    done: int
    total: int
    arrived: int
    failed: int
    left_out: int
    slides: int
    connections: int
    mean: float
    seconds_left: float | None
    complete: bool
    only_looks: bool

    @classmethod
    def of(cls, sites: Iterable[LiveSite]) -> Total:
        sites = list(sites)
        reached = [site.reached for site in sites]
        return cls(
            done=sum(done for done, _ in reached),
            total=sum(total for _, total in reached),
            arrived=sum(site.arrived for site in sites),
            failed=sum(site.failed for site in sites),
            left_out=sum(site.left_out for site in sites),
            slides=sum(site.slides for site in sites),
            connections=sum(site.connections for site in sites if not site.ended),
            mean=sum(site.mean for site in sites if not site.ended),
            seconds_left=max((left for site in sites if (left := site.seconds_left) is not None), default=None),
            complete=all(site.ended for site in sites),
            only_looks=any(site.only_looks for site in sites),
        )

    @property
    def percent(self) -> int:
        """Per cent of what can be reached: all of it, once every site has ended."""
        if self.complete:
            return 100
        looked_at = self.arrived + self.failed + self.left_out
        done, total = (looked_at, self.slides) if self.only_looks else (self.done, self.total)
        return min(100 * done // total, 99) if total else 0


def _left(site: LiveSite) -> float:
    """Return how long a site needs for the order: one that does not move needs longest."""
    left = site.seconds_left
    if left is None:
        return float("inf") if site.done < site.total else 0.0
    return left
