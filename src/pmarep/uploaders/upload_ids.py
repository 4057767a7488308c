"""Lease each upload id to one slide, since a server that has restarted may give ids out again from the start.

The id is all that says where a file posted to a FileSystem root-directory goes. After such a restart, requests of a
slide announced before it go to a slide announced after it. A client notices a restart by an id that it is given a
second time, by an id that is lower than those before, and by the end of its session. Then:

- an id given a second time revokes the first lease: requests that are not wholly sent are cancelled, the slide is
  announced again, and what was acknowledged for it since the second announcement was asked for does not count;
- after the end of a session, or a lower id, no file is posted to an id that was announced before, and the slide is
  announced again, unless that happens over and over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ..clock import Clock
from ..pmacore import AnnounceAgain, Announcement, UploadDoubtful
from ..slides.model import Slide
from .transport.body import UploadBody

NO_SESSION = -1
"""Number of a session that never was: nothing is confirmed by it."""

BACKWARDS = 20
"""Ids lower than those before, in one run, after which the order of a server's ids is no sign of a restart."""


async def _nothing() -> None:
    pass


@dataclass(eq=False, slots=True)
class UploadIdLease:
    """An upload id and the slide whose files are sent with it.

    `session`: number of the session in which the server is known to mean this slide by it, None where that makes no
    difference. `look_again` verifies the slide once more after it has been reported as sent. `revoked_since`: the
    clock's time from which on the id may be another slide's. `late_requests`: the ends of requests of the slide that
    held the id before, which may have put their file here.
    """

    id: str
    slide: Slide
    session: int | None = None
    look_again: Callable[[], Coroutine[Any, Any, None]] = _nothing
    revoked_since: float | None = None
    late_requests: list[asyncio.Future[None]] = field(default_factory=list)
    _answered: float = float("-inf")  # when a file was last acknowledged
    _posts: dict[asyncio.Future[None], tuple[UploadBody, asyncio.Timeout]] = field(default_factory=dict)

    def check(self) -> None:
        """Raise AnnounceAgain if a file that was acknowledged may have gone to another slide."""
        if self.revoked_since is not None and self._answered > self.revoked_since:
            raise _given_again()

    def is_confirmed(self, logins: int) -> bool:
        """Return whether the server means this slide by the id, in the session that began with login `logins`."""
        return self.revoked_since is None and self.session in (None, logins)

    @asynccontextmanager
    async def posting(self, body: UploadBody, clock: Clock) -> AsyncIterator[None]:
        """Hold the id for the request with one file, which the block sends; break it off where the id is revoked.

        Raises AnnounceAgain if the id has become another slide's, UploadDoubtful if it may have.
        """
        if self.revoked_since is not None:
            raise _given_again()
        ended, broken_off = asyncio.get_running_loop().create_future(), asyncio.timeout(None)
        self._posts[ended] = body, broken_off
        try:
            async with broken_off:
                yield
        except TimeoutError:
            if not broken_off.expired():
                raise
            raise _given_again() from None
        finally:
            del self._posts[ended]
            ended.set_result(None)
        self._answered = clock.monotonic()
        self.check()
        if self.session == NO_SESSION:
            raise UploadDoubtful("the server counts its uploads anew: it has restarted")

    def revoke(self, since: float) -> list[asyncio.Future[None]]:
        """Revoke the lease and break off its unsent requests; return the ends of those that may arrive all the same."""
        self.revoked_since = since
        late_requests = []
        for ended, (body, broken_off) in self._posts.items():
            if body.may_arrive:
                late_requests.append(ended)
            if not body.all_sent:
                broken_off.reschedule(asyncio.get_running_loop().time())
        return late_requests

    def may_have_hit(self, other: UploadIdLease, since: float) -> bool:
        """Return whether a file of this slide, acknowledged after `since`, may lie in the other slide's place."""
        files = {(file.path, file.size) for file in self.slide.files}
        return self._answered > since and any((file.path, file.size) in files for file in other.slide.files)


class UploadIds:
    """The leases of one server in one run, for all sites there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, UploadIdLease] = {}
        self._ended: list[UploadIdLease] = []  # since the first of the present announcements was asked for
        self._asking: dict[object, float] = {}  # when they were asked for
        self._unfinished: dict[str, int | None] = {}  # sessions of ids that nobody holds just now
        self._highest = -1
        self._backwards = 0

    async def announce(
        self, slide: Slide, ask: Callable[[], Awaitable[Announcement]]
    ) -> tuple[Announcement, UploadIdLease, list[UploadIdLease]]:
        """Announce a slide by `ask`; return the answer, the lease of its id, and the suspects.

        Suspects are leases of slides that have been sent, but whose files may have gone to another slide.
        """
        question, began, highest = object(), self._clock.monotonic(), self._highest
        self._asking[question] = began
        try:
            announcement = await ask()
            held = UploadIdLease(str(announcement.id), slide)
            suspects = [one for one in self._ended if one.id == held.id and one.may_have_hit(held, began)]
            self._give(held, began, highest)
        finally:
            del self._asking[question]
            self._forget_ended()
        return announcement, held, suspects

    def hold(self, held: UploadIdLease) -> bool:
        """Take the lease of an earlier announcement; return False if another slide has it by now."""
        return self._held.setdefault(held.id, held) is held

    def session_of(self, id: str) -> int | None:
        """Return the session in which this run has announced an unfinished upload; None if not, or if any will do."""
        return self._unfinished.get(id)

    def done(self, held: UploadIdLease) -> None:
        """End the lease of a slide that has been reported as sent."""
        self.release(held)
        self._unfinished.pop(held.id, None)
        self._ended.append(held)
        self._forget_ended()

    def release(self, held: UploadIdLease) -> None:
        """Give a lease back for now; its upload may be resumed."""
        if self._held.get(held.id) is held:
            del self._held[held.id]
            self._unfinished[held.id] = held.session

    def _give(self, held: UploadIdLease, began: float, highest: int) -> None:
        number = int(held.id) if held.id.isdecimal() else None
        before = self._held.get(held.id)
        if before is not None:
            held.late_requests = before.revoke(began)
        backwards = number is not None and number < highest and self._backwards < BACKWARDS
        self._backwards += backwards
        if before is not None or backwards:
            for other in self._held.values():
                if other.session is not None:
                    other.session = NO_SESSION
        self._held[held.id] = held
        if number is not None:
            self._highest = number if backwards else max(number, self._highest)

    def _forget_ended(self) -> None:
        if not self._asking:
            self._ended.clear()


def _given_again() -> AnnounceAgain:
    return AnnounceAgain("the server has given the id of this upload to another one: it has restarted")
