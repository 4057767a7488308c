"""Which slide holds which upload id: a server that has restarted may give ids out again from the start.

The id is all that says where a file posted to a FileSystem root-directory goes. After such a restart, requests of a
slide announced before it go to a slide announced after it. A client knows of a restart by an id that it is given a
second time, by one that is lower than those before, and by the end of its session. What it does then:

- an id given a second time ends what hangs on the first: requests that are not wholly sent are broken off, the slide is
  announced anew, and whatever was acknowledged for it since the second announcement was asked for is not believed;
- after the end of a session, or a lower id, no file is posted to an id that was announced before, unless this goes on
  and on: the slide is announced anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from ..clock import Clock
from ..pmacore import AnnounceAgain, Announcement, UploadDoubtful
from ..slides.model import Slide
from .transport.body import UploadBody

NO_SESSION = -1
"""Number of a session that never was: what is vouched for by it is vouched for by none."""

BACKWARDS = 20
"""Ids that are lower than those before, in one run, until the order of a server's ids is taken to mean nothing."""


async def _nothing() -> None:
    pass


@dataclass(eq=False, slots=True)
class HeldId:
    """An upload id and the slide that sends by it.

    `session`: number of the session in which the server is known to mean this slide by it, None where that makes no
    difference. `look_again` reads the slide back once it has been said to be there. `lost_since`: the clock's time from
    which on the id may be another slide's. `strays`: requests of another slide that may have brought their file here.
    """

    id: str
    slide: Slide
    session: int | None = None
    look_again: Callable[[], Coroutine[Any, Any, None]] = _nothing
    lost_since: float | None = None
    strays: list[asyncio.Task[None]] = field(default_factory=list)
    _answered: float = float("-inf")  # when a file was last acknowledged
    _posts: dict[asyncio.Task[None], UploadBody] = field(default_factory=dict)

    def check(self) -> None:
        """Raise AnnounceAgain where what has been acknowledged may have gone to another slide."""
        if self.lost_since is not None and self._answered > self.lost_since:
            raise _given_again()

    def vouched(self, logins: int) -> bool:
        """Whether what the server says of this id is about this slide, when so many sessions have begun."""
        return self.lost_since is None and self.session in (None, logins)

    async def post(self, post: Callable[[], Coroutine[Any, Any, None]], body: UploadBody, clock: Clock) -> None:
        """Post one file. Raises AnnounceAgain where the id has become another slide's, and what `post` raises."""
        if self.lost_since is not None:
            raise _given_again()
        request = asyncio.create_task(post())
        self._posts[request] = body
        try:
            await request
        except asyncio.CancelledError:
            me = asyncio.current_task()
            if self.lost_since is None or (me is not None and me.cancelling()):
                raise
            raise _given_again() from None
        finally:
            del self._posts[request]
        self._answered = clock.monotonic()
        self.check()
        if self.session == NO_SESSION:
            raise UploadDoubtful("the server counts its uploads anew: it has restarted")

    def lose(self, since: float) -> list[asyncio.Task[None]]:
        """The id has been given out again. Its requests that may arrive all the same."""
        self.lost_since = since
        strays = []
        for request, body in self._posts.items():
            if body.may_arrive:
                strays.append(request)
            if not body.all_out:
                request.cancel()
        return strays

    def may_have_hit(self, other: HeldId, since: float) -> bool:
        """Whether a file of this slide, acknowledged after `since`, may lie in the other slide's place."""
        files = {(file.path, file.size) for file in self.slide.files}
        return self._answered > since and any((file.path, file.size) in files for file in other.slide.files)


class UploadIds:
    """Of one server, in one run, for all sites there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, HeldId] = {}
        self._ended: list[HeldId] = []  # those done since the first of the announcements under way was asked for
        self._asking: dict[object, float] = {}  # when they were asked for
        self._unfinished: dict[str, int | None] = {}  # sessions of ids that nobody holds just now
        self._highest = -1
        self._backwards = 0

    async def announce(
        self, slide: Slide, ask: Callable[[], Awaitable[Announcement]]
    ) -> tuple[Announcement, HeldId, list[HeldId]]:
        """The answer, its id held for `slide`, and those slides that it puts in doubt although they have ended."""
        question, began, highest = object(), self._clock.monotonic(), self._highest
        self._asking[question] = began
        try:
            announcement = await ask()
            held = HeldId(str(announcement.id), slide)
            suspects = [one for one in self._ended if one.id == held.id and one.may_have_hit(held, began)]
            self._give(held, began, highest)
        finally:
            del self._asking[question]
            self._forget_ended()
        return announcement, held, suspects

    def hold(self, held: HeldId) -> bool:
        """The id of an earlier announcement, if nobody else holds it by now."""
        return self._held.setdefault(held.id, held) is held

    def session_of(self, id: str) -> int | None:
        """The session in which this run has announced an unfinished upload; None: it has not, or any will do."""
        return self._unfinished.get(id)

    def done(self, held: HeldId) -> None:
        """All has been sent by it, and has been said to be there."""
        self.release(held)
        self._unfinished.pop(held.id, None)
        self._ended.append(held)
        self._forget_ended()

    def release(self, held: HeldId) -> None:
        """Nothing more is sent by it for the time being."""
        if self._held.get(held.id) is held:
            del self._held[held.id]
            self._unfinished[held.id] = held.session

    def _give(self, held: HeldId, began: float, highest: int) -> None:
        number = int(held.id) if held.id.isdecimal() else None
        before = self._held.get(held.id)
        if before is not None:
            held.strays = before.lose(began)
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
