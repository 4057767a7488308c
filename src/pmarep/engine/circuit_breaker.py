"""Pause a site after failures that retries did not help, probe it, and take it up again.

Published examples of the same: the circuit breaker of M. Nygard's "Release It!", with one slide on trial when the site
answers again ("half-open").
"""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from ..aio import ChangeEvent
from ..clock import Clock
from ..errors import PmarepError, Remedy
from ..events import TRYING_AGAIN, State
from ..pmacore import Unreachable
from ..retry import requested_delay
from ..units import format_duration

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0  # seconds between probes
SEVERAL = 2
"""So many slides fail, and nothing works in between: then it is the site, although its PMA.core answers; perhaps
its storage is down."""
UNSEEN = 10
"""A site that has not answered once in this run gets this part of the patience: more often its url is wrong."""

Probe = Callable[[], Awaitable[object]]


class GivenUp(PmarepError):
    """A site that stays away."""

    remedy = Remedy.STOP_SITE


class _State(Enum):
    CLOSED = auto()
    OPEN = auto()
    HALF_OPEN = auto()  # it answers again; one slide on trial shows whether it works


class CircuitBreaker:
    """The circuit breaker of one site, which all its slides share.

    `patience`: seconds that a site may stay away before it is given up, counted from when it was found to be away;
    as long as `others_work`, it is not given up at all. 0: it is given up at once. `deadline`: the clock's time after
    which nothing is waited for. `say` makes a state visible: with its reason, and the seconds until it is tried again.
    """

    def __init__(
        self,
        clock: Clock,
        patience: float,
        deadline: float | None,
        say: Callable[[State, str | None, float | None], None],
        others_work: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._deadline = deadline
        self._say = say
        self._others_work = others_work
        self._state = _State.CLOSED
        self._changed = ChangeEvent()
        self._was_away = False  # at the last failure that was looked into
        self._seen = False
        self._away_since: float | None = None
        self._failing: dict[str, bool] = {}  # slides, since something worked; whether they were being sent
        self._arrivals = 0
        self._failed_at: dict[str, int] = {}  # slides that have failed; how many had arrived when they first did
        self._perhaps_refused = True  # whether all of these failures may have been about the slides
        self._pause = FIRST_PAUSE
        self._tried_by_one = False

    @property
    def is_closed(self) -> bool:
        return self._state is _State.CLOSED

    @property
    def is_half_open(self) -> bool:
        return self._state is _State.HALF_OPEN

    def record_success(self) -> None:
        """Note that the site has acknowledged slide bytes, or let us in."""
        self._seen = True
        self._failing.clear()
        self._begin_anew()
        self.trial_done()

    def _begin_anew(self) -> None:
        self._perhaps_refused = True
        self._away_since = None
        self._pause = FIRST_PAUSE

    def record_arrival(self, slide: str) -> None:
        """Note that a whole slide is at the site: those that failed before may have failed by their own fault."""
        self.record_success()
        self._arrivals += 1
        self._failed_at.pop(slide, None)

    def record_read_ok(self) -> None:
        """Note that the site has answered about a slide that need not be sent; its storage was not asked."""
        for slide in [slide for slide, sending in self._failing.items() if not sending]:
            del self._failing[slide]
        if not self._failing:
            self._begin_anew()

    def discount_sleep(self, seconds: float) -> None:
        """Count the time for which this machine was asleep as no absence of the site."""
        if self._away_since is not None:
            self._away_since += seconds

    async def admit(self) -> None:
        """Wait while the site is paused, or another slide is on trial; to be called before each slide."""
        while self._state is not _State.CLOSED:
            if self.is_half_open and not self._tried_by_one:
                self._tried_by_one = True
                return
            await self._changed.wait()

    async def wait_answering(self) -> None:
        """Wait while the site is paused; it may be on trial then."""
        while self._state is _State.OPEN:
            await self._changed.wait()

    async def wait_closed(self) -> None:
        """Wait while the site is paused or on trial."""
        while not self.is_closed:
            await self._changed.wait()

    def trial_done(self) -> None:
        """End the trial: an attempt has ended, whatever came of it; a slide that proved nothing is not waited for."""
        if self.is_half_open:
            self._state = _State.CLOSED
            self._changed.notify()

    async def handle_failure(self, error: PmarepError, probe: Probe, slide: str = "", *, sending: bool = True) -> bool:
        """Wait until another attempt makes sense after a failure that retries did not help.

        `slide`: its path; `sending`: whether something of it was to be sent.

        True where the site was away, so that the failure is not the slide's. Raises GivenUp.
        """
        self._failing[slide] = sending
        self._failed_at.setdefault(slide, self._arrivals)
        self._perhaps_refused &= getattr(error, "may_be_refusal", False)
        if self._state is _State.OPEN:  # another slide has begun to probe
            await self.wait_closed()
            return self._was_away
        self._state = _State.OPEN  # while it is probed, nobody begins a slide
        try:
            # Who says 500 itself need not be asked whether it answers.
            failure = None if getattr(error, "may_be_refusal", False) else await self._ask(probe)
            self._was_away = failure is not None or isinstance(error, Unreachable) or self._is_to_blame()
            if self._was_away:
                await self._outlast(failure or error, probe)
                self._state, self._tried_by_one = _State.HALF_OPEN, False
            else:
                await self._leave_alone(error)
                self._state = _State.CLOSED
            return self._was_away
        finally:
            if self._state is _State.OPEN:  # given up or cancelled
                self._state = _State.CLOSED
            self._changed.notify()

    @property
    def exhausted(self) -> bool:
        """Whether nothing has worked for as long as the site may be away, and it answers all the same.

        Slides are tried once then, and wait for the next run.
        """
        return self._patience > 0 and self._away() >= self._patience

    def _is_to_blame(self) -> bool:
        """Return whether slides that fail at a site that answers are hardly to blame themselves.

        Where all that the site says may be refusals (ASP.NET has one number for both), it is believed to be ill no
        longer than it may be away; then the slides fail one by one, and others get their turn.
        """
        witnesses = sum(self._failed_at[slide] == self._arrivals for slide in self._failing)
        if witnesses < SEVERAL or self._patience == 0 or self._over():
            return False
        return not (self._perhaps_refused and self._away() >= self._patience)

    async def _leave_alone(self, error: PmarepError) -> None:
        """Pause if the site, which answers, asks for it."""
        pause = requested_delay(error)
        if pause and self._patience:
            await self._wait(error, pause)
            self._say(State.RUNNING, None, None)

    def _next_pause(self) -> float:
        pause = random.uniform(0.5, 1) * self._pause  # noqa: S311
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return pause

    async def _wait(self, error: PmarepError, pause: float) -> None:
        if self._deadline is not None:
            pause = min(pause, max(self._deadline - self._clock.monotonic(), 0.0))
        self._say(State.PAUSED, f"{error}{TRYING_AGAIN}{format_duration(max(pause, 1))}", round(pause, 1))
        await self._clock.sleep(pause)

    async def _outlast(self, error: PmarepError, probe: Probe) -> None:
        while True:
            if self._away_since is None:
                self._away_since = self._clock.monotonic()
            self._give_up_perhaps(error)
            await self._wait(error, max(self._next_pause(), requested_delay(error)))
            failure = await self._ask(probe)
            if failure is None:
                break
            error = failure
        if self._seen:
            self._say(State.RUNNING, None, None)

    def _away(self) -> float:
        """Return for how many seconds the site has been away."""
        return 0.0 if self._away_since is None else self._clock.monotonic() - self._away_since

    def _over(self) -> bool:
        return self._deadline is not None and self._clock.monotonic() >= self._deadline

    def _give_up_perhaps(self, error: PmarepError) -> None:
        patience = self._patience if self._seen else self._patience / UNSEEN
        if patience == 0 or self._over():
            raise GivenUp(str(error))
        if self._away() >= patience and not self._others_work():
            raise GivenUp(f"{error}; given up after {format_duration(self._away())}, the next run sends the rest")

    async def _ask(self, probe: Probe) -> PmarepError | None:
        """Run a probe; return its failure, None if it is fine. Raises what no waiting can mend."""
        try:
            await probe()
        except PmarepError as error:
            if error.remedy in (Remedy.RETRY, Remedy.RETRY_SOURCE):
                return error
            raise
        return None
