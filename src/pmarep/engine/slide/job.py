"""One slide that a site still has to get, over all attempts of a run."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import NamedTuple

from ...events import SlideStatus, VerifiedBy
from ...slides import Slide
from ...source.prepared import source_of
from ...uploaders import TransferCounts
from ..circuit_breaker import LONGEST_PAUSE

FRUITLESS_ATTEMPTS = 3
"""So many attempts at least are made at a slide in one run without progress, each with its own retries ..."""

PATIENCE_SHARE = 10
"""... and for at least this part of the patience that the site gets; then the slide waits for the next run."""

SECOND_PAUSE = 4.0  # seconds, at most: the pause after a second failure; the first is half as long, the third twice


class Outcome(NamedTuple):
    """How a slide ended at a site; `error` is why it failed, `verified_by` how closely it was looked at otherwise.

    `proof`: the identity of the files here that are there beyond doubt, as at_all_sites.py defines it; known only where
    a run asks for that.
    `needs_decision`: the next run refuses it too, unless it is told otherwise.
    """

    status: SlideStatus
    error: str | None = None
    verified_by: VerifiedBy | None = None
    proof: str | None = None
    needs_decision: bool = False


@dataclass(slots=True, eq=False)
class SlideJob:
    """A slide on its way to one site. Times are the clock's, in seconds.

    `slide` is what is sent: `source`, or what `prepare` has made of that, once it is known.
    `counts`: bytes of all attempts together; `attempt`: of the one that goes on. `due`: when the next attempt may
    begin. `begun`: an attempt has begun to send it; `sending`: the last one came so far that something was to be sent.
    `error`: the failure of the last attempt. `ended`: its outcome in this run is known.
    """

    slide: Slide
    started: float
    source: Slide = field(init=False)
    counts: TransferCounts = field(default_factory=TransferCounts)
    attempt: TransferCounts = field(default_factory=TransferCounts)
    due: float = 0.0
    begun: bool = False
    sending: bool = False
    error: str | None = None
    ended: bool = False
    _most_bytes: int = 0  # that an attempt got to the site, with what it found there
    _fruitless: int = 0  # attempts since one got so many there
    _since: float | None = None

    def __post_init__(self) -> None:
        self.source = source_of(self.slide)

    @property
    def bytes_left(self) -> int:
        """Bytes that the site does not have yet, as far as is known."""
        had = self.attempt.bytes + self.attempt.resumed or self.counts.bytes + self.counts.resumed
        return max(self.slide.size - had, 0)

    def begin_attempt(self) -> TransferCounts:
        """Count another attempt from zero; return its counts."""
        self.attempt, self.sending = TransferCounts(earlier=self.counts.earlier), False
        return self.attempt

    def record_failure(self, progress: int, now: float, *, away: bool, patience: float, sent: int = 0) -> bool:
        """Count a failed attempt; return whether another one makes sense, from `due` on.

        `progress`: bytes at the site when it failed, of which this attempt sent `sent`. `away`: the site was to blame,
        so that the failure does not count; unless the site has taken bytes a second time. `patience` of the site, in
        seconds.
        """
        away = away and not (sent and progress <= self._most_bytes)
        if away or progress > self._most_bytes or self._since is None:
            self._since = now
        self._fruitless = 0 if progress > self._most_bytes else self._fruitless + (not away)
        self._most_bytes = max(self._most_bytes, progress)
        left = self._since + patience / PATIENCE_SHARE - now
        if self._fruitless >= FRUITLESS_ATTEMPTS and left <= 0:
            return False
        self.due = now
        if patience and not away:
            longest = min(SECOND_PAUSE * 2.0 ** min(self._fruitless - 2, 10), LONGEST_PAUSE)
            pause = random.uniform(0, longest)  # noqa: S311
            self.due += min(pause, left) if left > 0 else pause  # the last one when its time is over
        return True
