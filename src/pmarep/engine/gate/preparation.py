"""`Preparation`: what `prepare` makes of slides, once for all sites of a run, and not at all where it is not needed."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from ...aio import cancel_all
from ...slides import Slide
from ...slides.folder import os_error_text
from ...source import CACHE_BYTES, SharedReader
from ...source.prepared import (
    KnownResults,
    NoRoomError,
    NotPrepared,
    PreparedFiles,
    PreparedSlide,
    Result,
    ResultCache,
    ResultError,
)
from ...source.prepared.cache import remove_tree
from ...source.prepared.known import result_key
from ...source.prepared.result import examine, is_whole
from ...uploaders import Digests
from .commands import CommandError, GateCommands, hash_of, program, said_by

REMEMBERED = 10_000
"""Failures that are kept, so that no site asks for the same again."""


class Preparation:
    """The results of a run, their reader and their digests: all that sites with `prepare` read.

    `source` reads the source. `cache` is None where nothing is to be made: in a dry run.
    """

    def __init__(
        self,
        commands: GateCommands,
        source: SharedReader,
        folder: Path,
        known: KnownResults,
        cache: ResultCache | None,
        memory: int = CACHE_BYTES,
    ) -> None:
        self._commands = commands
        self._source = source
        self._known = known
        self._cache = cache
        self._results = folder / "results"
        self._making: dict[str, _Making] = {}
        self._tasks: set[asyncio.Task[Result]] = set()
        self._failed: OrderedDict[str, str] = OrderedDict()
        self._read: set[str] = set()  # results that this run has made, or read once
        self.reader = SharedReader(memory, files=PreparedFiles(self._results))
        self.digests = Digests(self.reader)

    async def close(self) -> None:
        """End the commands that run, and let go of everything."""
        await cancel_all(self._tasks)
        await self.reader.stop()
        self.digests.close()
        self.reader.close()
        self._known.close()
        if self._cache is not None:
            await asyncio.to_thread(self._cache.close)

    async def known(self, slides: Sequence[Slide], command: Sequence[str]) -> list[PreparedSlide | None]:
        """Return what a command has made of slides, as far as that is known. The files may be gone."""
        return await asyncio.to_thread(self._find, slides, hash_of(command))

    @asynccontextmanager
    async def held(self, slide: Slide, command: Sequence[str]) -> AsyncIterator[PreparedSlide]:
        """Yield what a command makes of a slide; its files stay as long as the block runs. Raises PmarepError."""
        cache = self._needed_cache
        key = await asyncio.to_thread(result_key, slide, hash_of(command))
        result = await self._taken(cache, key, slide, command)
        try:
            yield self._prepared(slide, result, hash_of(command))
        finally:
            cache.release(result.name)

    @property
    def _needed_cache(self) -> ResultCache:
        if self._cache is None:
            raise NotPrepared("a dry run prepares nothing")
        return self._cache

    def _find(self, slides: Sequence[Slide], command: str) -> list[PreparedSlide | None]:
        keys = [result_key(slide, command) for slide in slides]
        known = self._known.find(keys)
        return [
            self._prepared(slide, known[key], command) if key in known else None
            for key, slide in zip(keys, slides, strict=True)
        ]

    def _prepared(self, slide: Slide, result: Result, command: str) -> PreparedSlide:
        folder = (self._results / result.name / result.path).parent
        return PreparedSlide(
            slide.path, result.format, folder, result.files, slide.number, source=slide, command=command
        )

    async def _taken(self, cache: ResultCache, key: str, slide: Slide, command: Sequence[str]) -> Result:
        """Return a result whose files are here and held; make it if need be: one task does, for all who ask."""
        while True:
            if key in self._failed:
                raise ResultError(self._failed[key])
            making = self._making.get(key)
            if making is None:
                task = asyncio.create_task(self._found_or_made(cache, key, slide, command))
                making = self._making[key] = _Making(task)
                self._tasks.add(task)
                task.add_done_callback(lambda done: self._done(key, done))
            making.waiting += 1
            try:
                result = await asyncio.shield(making.task)
                if cache.hold(result.name):
                    return result
            finally:
                making.waiting -= 1
                if not making.waiting:
                    self._forsake(cache, key, making)

    def _forsake(self, cache: ResultCache, key: str, making: _Making) -> None:
        """End the task that nobody waits for any more, or let go of what it has held for them."""
        task = making.task
        if not task.done():
            self._making.pop(key)
            task.cancel()
        elif not task.cancelled() and task.exception() is None:
            cache.release(task.result().name)

    def _done(self, key: str, task: asyncio.Task[Result]) -> None:
        self._tasks.discard(task)
        if key in self._making and self._making[key].task is task:
            del self._making[key]
        if not task.cancelled():
            task.exception()  # whoever waits is told of it

    async def _found_or_made(self, cache: ResultCache, key: str, slide: Slide, command: Sequence[str]) -> Result:
        """Return a result that is held once, for those who wait for it."""
        known = (await asyncio.to_thread(self._known.find, [key])).get(key)
        if known is not None and cache.hold(known.name):
            whole = False
            try:
                whole = await asyncio.to_thread(self._is_whole, known)
                if whole:
                    return known
            finally:
                if not whole:  # or cancelled
                    cache.release(known.name)
        try:
            return await self._make(cache, key, slide, command)
        except NoRoomError:
            raise
        except (ResultError, CommandError) as error:
            self._failed[key] = str(error)
            if len(self._failed) > REMEMBERED:
                self._failed.popitem(last=False)
            raise

    def _is_whole(self, result: Result) -> bool:
        """Return whether the files of a result are here as they were made. Those of an earlier run are read."""
        folder = (self._results / result.name / result.path).parent
        whole = is_whole(folder, result.files, read=result.name not in self._read)
        if whole:
            self._read.add(result.name)
        return whole

    async def _make(self, cache: ResultCache, key: str, slide: Slide, command: Sequence[str]) -> Result:
        """Run the command, and keep and hold what it has made. Raises PmarepError."""
        await self._source.check_slide(slide)
        room: object = None
        work: Path | None = None
        kept: str | None = None
        try:
            room = await cache.reserve(slide.size)
            work = await asyncio.to_thread(cache.work_folder)
            end = await self._commands.run("prepare", command, slide, work)
            if end.code:
                raise CommandError(
                    f"prepare ({program(command)}) ended with exit code {end.code}{said_by(end)}; nothing was sent"
                )
            found = await asyncio.to_thread(examine, work, slide)
            await self._source.check_slide(slide)  # else it is a result of two versions
            name = await asyncio.to_thread(cache.keep, work, found.size)
            work = None
            self._read.add(name)
            result = Result(name, found.path, found.format, found.files)
            kept = name if cache.hold(name) else None
            await asyncio.to_thread(self._known.put, key, result)
            return result
        except asyncio.CancelledError:
            if kept is not None:
                cache.release(kept)
            raise
        except OSError as error:
            raise NoRoomError(f"what prepare makes cannot be kept: {os_error_text(error)}") from None
        finally:
            if work is not None:
                await _finished(asyncio.create_task(asyncio.to_thread(remove_tree, work)))
            cache.free(room)


class _Making:
    """A result that is being made, and how many wait for it."""

    def __init__(self, task: asyncio.Task[Result]) -> None:
        self.task = task
        self.waiting = 0


async def _finished(task: asyncio.Task[None]) -> None:
    """Wait until a task is done, also while being cancelled."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
