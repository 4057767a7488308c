"""Export the annotations of slides at places to side files, a few slides of each place at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..aio import TaskPool, merged
from ..annotations.side_file import SideFileError, local_side_file, write_side_file
from ..errors import PmarepError
from ..pmacore import PmaCore
from ..remote.session_pool import Passwords
from ..remote.tree import AT_ONCE, RemoteFolder, RemoteSlide, RemoteTree, Unlisted, is_about_one
from ..sites.place import Place
from ..system.windows_names import normalized_key
from .listing import sessions_of

AHEAD = 200
"""Results of all places together that wait to be read."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one slide, or of a whole place where `path` is "".

    `path`: the virtual path of the slide, or of a folder that cannot be listed. `file`: the side file, None where none
    was written: since the slide has no annotations, or since something went wrong.
    """

    place: Place
    path: str = ""
    annotations: int = 0
    file: Path | None = None
    error: PmarepError | None = None


Put = Callable[[Exported], Awaitable[None]]


async def export_annotations(
    places: Sequence[Place], passwords: Passwords, folder: Path
) -> AsyncGenerator[Exported, None]:
    """Write a side file for each slide with annotations, at the slide's path below its place; yield what was done.

    A slide without annotations has none; a file of before is emptied, or it would bring back what was deleted there.
    """
    written: set[str] = set()
    async with sessions_of(places, passwords) as sessions:

        def begin(put: Put) -> list[Coroutine[Any, Any, None]]:
            return [_PlaceExport(place, sessions.core(place.site), folder, written, put).run() for place in places]

        async with aclosing(merged(begin, AHEAD)) as results:
            async for one in results:
                yield one


class _PlaceExport:
    def __init__(self, place: Place, core: PmaCore, folder: Path, written: set[str], put: Put) -> None:
        self._place = place
        self._core = core
        self._folder = folder
        self._written = written
        self._put = put
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Export all slides of the place. Raises nothing of a server's."""
        try:
            await self._core.login()
            tree = RemoteTree(self._core)
            at = await tree.find(self._place.path, files=False)
            if isinstance(at, RemoteSlide):
                await self._put(await self._slide(at, at.path.rpartition("/")[2]))
            else:
                await self._below(tree, at)
        except PmarepError as error:
            await self._put(Exported(self._place, error=error))

    async def _below(self, tree: RemoteTree, at: RemoteFolder) -> None:
        level = at.path.count("/") + 1 if at.path else 0
        pool = TaskPool()
        try:
            async with aclosing(tree.walk(at, files=False)) as found:
                async for one in found:
                    if isinstance(one, Unlisted):
                        await self._put(Exported(self._place, one.path, error=one.error))
                    elif isinstance(one, RemoteSlide):
                        await self._slots.acquire()
                        pool.raise_error()
                        pool.start(self._work(one, "/".join(one.path.split("/")[level:])))
            await pool.wait()
            pool.raise_error()
        finally:
            await pool.cancel()

    async def _work(self, slide: RemoteSlide, path: str) -> None:
        try:
            await self._put(await self._slide(slide, path))
        finally:
            self._slots.release()

    async def _slide(self, slide: RemoteSlide, path: str) -> Exported:
        """Export one slide. `path`: below the folder of side files. Raises what is not about this slide."""
        try:
            found = await self._core.annotations(slide.path)
            file = local_side_file(self._folder, path)
            if not found and not await asyncio.to_thread(file.exists):
                return Exported(self._place, slide.path)
            key = normalized_key(str(file))
            if key in self._written:
                raise SideFileError("another slide of this name was exported before it; export the places one by one")
            self._written.add(key)
            fingerprint = await self._core.fingerprint(slide.path)
            exported = datetime.now(UTC).isoformat(timespec="seconds")
            await asyncio.to_thread(write_side_file, file, path, fingerprint, found, exported)
        except PmarepError as error:
            if isinstance(error, SideFileError) or is_about_one(error):
                return Exported(self._place, slide.path, error=error)
            raise
        return Exported(self._place, slide.path, len(found), file)
