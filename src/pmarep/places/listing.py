"""List several places of several sites at once, each as far ahead of who reads as some hundred rows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from ..aio import cancel_all
from ..errors import PmarepError
from ..pmacore import PmaCore
from ..remote.session_pool import Passwords, SessionPool
from ..remote.tree import AT_ONCE, RemoteFolder, RemoteSlide, RemoteTree, Unlisted, is_about_one
from ..retry import Retry
from ..sites.place import Place

AHEAD = 200
"""Rows of one place that wait to be read."""

ATTEMPTS = 3
"""Of a request that fails: a person waits for the answer."""

LONGEST_ANSWER = 600.0
"""Seconds: a folder may have a hundred thousand slides."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked about a place. `recursive`: also what is in its folders; `files`: the files of each slide.

    `check`: whether the server can read each slide; `fingerprint`: what its fingerprint is. Each of these three costs a
    request for each slide.
    """

    recursive: bool = False
    files: bool = True
    check: bool = False
    fingerprint: bool = False


@dataclass(frozen=True, slots=True)
class ListedSlide:
    """A slide, and what the server has said about it. `readable` and `fingerprint`: None where that is not known.

    `problem`: why it cannot be read. `untold`: why something that was asked for is not known.
    """

    slide: RemoteSlide
    readable: bool | None = None
    fingerprint: str | None = None
    problem: PmarepError | None = None
    untold: PmarepError | None = None


Row = RemoteFolder | ListedSlide | Unlisted


class PlaceListing:
    """What lies at one place, while it is being asked for. `rows` is read once; afterwards `error` says what ended it.

    `at`: the folder or slide that the place is, as soon as there is a row.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.at: RemoteFolder | RemoteSlide | None = None
        self.error: PmarepError | None = None
        self._queue: asyncio.Queue[Row | None] = asyncio.Queue(AHEAD)
        self._bug: Exception | None = None

    async def fill(self, core: PmaCore, wanted: Wanted) -> None:
        """Ask for everything; wait where nobody reads. Raises nothing of a server's."""
        try:
            await core.login()
            tree = RemoteTree(core)
            self.at = await tree.find(self.place.path, files=wanted.files)
            async with aclosing(_rows(core, tree, self.at, wanted)) as rows:
                async for row in rows:
                    await self._queue.put(row)
        except PmarepError as error:
            self.error = error
        except Exception as error:  # a bug of ours: whoever reads must not wait for ever
            self._bug = error
        await self._queue.put(None)

    async def rows(self) -> AsyncGenerator[Row, None]:
        """Yield what lies there, in order."""
        while (row := await self._queue.get()) is not None:
            yield row
        if self._bug is not None:
            raise self._bug


@asynccontextmanager
async def listed(
    places: Sequence[Place], passwords: Passwords, wanted: Wanted
) -> AsyncGenerator[list[PlaceListing], None]:
    """Begin to list all places; give a PlaceListing for each. Sites are asked at once, and logged out of at the end."""
    found = [PlaceListing(place) for place in places]
    async with sessions_of(places, passwords) as sessions:
        asking = [asyncio.create_task(one.fill(sessions.core(one.place.site), wanted)) for one in found]
        try:
            yield found
        finally:
            await cancel_all(asking)


@asynccontextmanager
async def sessions_of(places: Sequence[Place], passwords: Passwords) -> AsyncGenerator[SessionPool, None]:
    """Give the sessions of the places' sites, for a person who waits; logged out at the end. Raises ConfigError."""
    sites = {place.site.name: place.site for place in places}.values()
    sessions = SessionPool(sites, passwords, lambda: Retry(ATTEMPTS), LONGEST_ANSWER)
    sessions.check_connections()
    try:
        yield sessions
    finally:
        await sessions.close()


async def _rows(
    core: PmaCore, tree: RemoteTree, at: RemoteFolder | RemoteSlide, wanted: Wanted
) -> AsyncGenerator[Row, None]:
    """Yield what is found at a place, with what else is asked about each slide, some of them ahead."""
    waiting: deque[Row | asyncio.Task[ListedSlide]] = deque()
    asks = wanted.check or wanted.fingerprint
    slots = asyncio.Semaphore(AT_ONCE)
    try:
        async with aclosing(_found(tree, at, wanted)) as found:
            async for one in found:
                if not isinstance(one, RemoteSlide):
                    waiting.append(one)
                elif asks:
                    waiting.append(asyncio.create_task(_ask(core, one, wanted, slots)))
                else:
                    waiting.append(ListedSlide(one))
                while waiting and (len(waiting) > AT_ONCE or _is_known(waiting[0])):
                    yield await _known(waiting[0])
                    waiting.popleft()
        while waiting:
            yield await _known(waiting[0])
            waiting.popleft()
    finally:
        await cancel_all([row for row in waiting if isinstance(row, asyncio.Task)])


async def _found(
    tree: RemoteTree, at: RemoteFolder | RemoteSlide, wanted: Wanted
) -> AsyncGenerator[RemoteFolder | RemoteSlide | Unlisted, None]:
    if isinstance(at, RemoteSlide):
        yield at
        return
    async with aclosing(tree.walk(at, recursive=wanted.recursive, files=wanted.files)) as found:
        async for one in found:
            yield one


def _is_known(row: Row | asyncio.Task[ListedSlide]) -> bool:
    return not isinstance(row, asyncio.Task) or row.done()


async def _known(row: Row | asyncio.Task[ListedSlide]) -> Row:
    return await row if isinstance(row, asyncio.Task) else row


async def _ask(core: PmaCore, slide: RemoteSlide, wanted: Wanted, slots: asyncio.Semaphore) -> ListedSlide:
    """Ask whether the server can read a slide, and for its fingerprint."""
    found = ListedSlide(slide)
    async with slots:
        if wanted.check:
            try:
                await core.image_info(slide.path)
                found = replace(found, readable=True)
            except PmarepError as error:
                if not is_about_one(error):
                    raise
                found = replace(found, readable=False, problem=error)
        if wanted.fingerprint and found.readable is not False:
            try:
                found = replace(found, fingerprint=await core.fingerprint(slide.path))
            except PmarepError as error:
                if not is_about_one(error):
                    raise
                found = replace(found, untold=error)
    return found
