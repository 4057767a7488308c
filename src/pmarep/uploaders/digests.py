"""Compute the MD5 of parts and the SHA-256 of files once, whatever the number of sites.

The storages check the MD5, so all sites get the same bytes. A `Digests` owns what has been computed in a run.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager
from typing import Any

from ..errors import SourceError
from ..slides.model import Slide, SlideFile
from ..source import FileVersion, SharedReader
from ..source.releasing_semaphore import ReleasingSemaphore, consume_exception

KEEP = 65_536
"""Digests that are kept: those of 500 GB in parts of 8 MiB, in about 20 MB of memory."""

STREAMS = 4096
"""Parts being hashed while they are sent that are kept."""

SMALL = 8 * 1024**2
"""Bytes of a file up to which it is hashed from the memory that other sites read it into."""

_Key = tuple[str, FileVersion, int, int]


class Digests:
    """The digests of a run, shared by all its sites. `at_once` are computed at the same time, and KEEP are kept."""

    def __init__(self, reader: SharedReader, at_once: int | None = None) -> None:
        self._reader = reader
        at_once = at_once or min(max(os.cpu_count() or 1, 2), 4)
        self._slots = ReleasingSemaphore(at_once, reader.slow)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="digest")  # no reading here: nothing hangs
        self._known: OrderedDict[_Key, asyncio.Future[bytes]] = OrderedDict()
        self._streams: OrderedDict[_Key, _SharedHash] = OrderedDict()

    def close(self) -> None:
        """Drop what waits to be hashed, and end the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def md5(self, slide: Slide, file: SlideFile, start: int, length: int) -> bytes:
        """Return the MD5 of a range. Raises SourceError if the file is not what it was when the slide was found."""
        return await self._once(("md5", FileVersion.of(slide, file), start, length), self._reader.range)

    async def sha256(self, slide: Slide, file: SlideFile) -> bytes:
        """Return the SHA-256 of a whole file. Raises SourceError likewise."""
        read = self._reader.sweep if file.size <= SMALL else self._reader.range
        return await self._once(("sha256", FileVersion.of(slide, file), 0, file.size), read)

    @asynccontextmanager
    async def pinned_md5(self, slide: Slide, file: SlideFile, start: int, length: int) -> AsyncIterator[bytes | None]:
        """Yield the MD5 of a range that is to be sent inside; its bytes stay in memory, so that they are read once.

        Yields None where there is no room for them, and where another site has begun to send this range without knowing
        its digest: then choose `md5`, which reads it twice, or `stream`. Raises SourceError.
        """
        key = ("md5", FileVersion.of(slide, file), start, length)
        pinned = False
        if self._computed(key) is None:
            pinned = key not in self._streams and self._reader.pin(*key[1:])
            if not pinned:
                yield None
                return
        try:
            yield await self._once(key, self._reader.sweep)
        finally:
            if pinned:
                self._reader.unpin(*key[1:])

    def stream(self, slide: Slide, file: SlideFile, start: int, length: int) -> _SharedHash:
        """Return the hash of a range that is computed while it is sent, by all sites together."""
        key = ("md5", FileVersion.of(slide, file), start, length)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _SharedHash(self._threads, length, lambda digest: self._found(key, digest))
            if len(self._streams) > STREAMS:
                self._streams.popitem(last=False)
        return stream

    async def check_again(self, slide: Slide, file: SlideFile, start: int, length: int) -> None:
        """Check, after a storage refused a part as damaged, that the source has not changed unseen by size and mtime.

        Raises SourceError if it has; otherwise the damage was on the way, and sending again may help.
        """
        key = ("md5", FileVersion.of(slide, file), start, length)
        before = await self._once(key, self._reader.range)
        if await self._compute(key, self._reader.range) != before:
            raise SourceError(f"{key[1].path} changed while being sent; it is left for the next run")

    def _computed(self, key: _Key) -> asyncio.Future[bytes] | None:
        """Return the digest if it is known, or about to be."""
        future = self._known.get(key)
        if future is None or (future.done() and (future.cancelled() or future.exception())):
            return None
        return future

    def _found(self, key: _Key, digest: bytes) -> None:
        self._streams.pop(key, None)
        future = asyncio.get_running_loop().create_future()
        future.set_result(digest)
        self._keep(key, future)

    def _keep(self, key: _Key, future: asyncio.Future[bytes]) -> None:
        self._known[key] = future
        if len(self._known) > KEEP:
            self._known.popitem(last=False)

    async def _once(self, key: _Key, read: _Read) -> bytes:
        future = self._computed(key)
        if future is None:
            future = asyncio.create_task(self._compute(key, read))
            future.add_done_callback(consume_exception)
            self._keep(key, future)
        self._known.move_to_end(key)
        # Shielded: a site that is given up must not take the digest away from the others.
        return await asyncio.shield(future)

    async def _compute(self, key: _Key, read: _Read) -> bytes:
        kind, version, start, length = key
        digest = hashlib.new(kind, usedforsecurity=False)

        def begin() -> asyncio.Task[None]:
            return asyncio.create_task(read(version, start, length, digest.update))

        async with self._reader.at_hand(version, start, length):  # or others would wait in vain for its slot
            await self._slots.run(begin)
        return digest.digest()


_Read = Callable[[FileVersion, int, int, Callable[[bytes], None]], Coroutine[Any, Any, None]]


class _SharedHash:
    """The MD5 of one part, of which each chunk is hashed when the first site has read it."""

    def __init__(self, threads: ThreadPoolExecutor, length: int, found: Callable[[bytes], None]) -> None:
        self._threads = threads
        self._found = found
        self._left = length
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._next = 0  # the first chunk that is not hashed yet, nor being hashed
        self._busy: asyncio.Future[None] | None = None

    async def through(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of the whole part, from its first, and hash each while it is sent."""
        number = 0
        async with aclosing(chunks):
            async for chunk in chunks:
                await self._hash(number, chunk)
                yield chunk
                number += 1
        await self._rest()

    async def digest(self) -> bytes:
        """Return the MD5, once a site has sent the whole part."""
        await self._rest()
        return self._md5.digest()

    async def _hash(self, number: int, chunk: bytes) -> None:
        """Start hashing a chunk, unless another site has; wait only for the chunk before it."""
        while self._next <= number:
            if self._busy is None:
                self._next += 1
                self._left -= len(chunk)
                loop = asyncio.get_running_loop()
                self._busy = loop.run_in_executor(self._threads, self._md5.update, chunk)
                self._busy.add_done_callback(self._hashed)
            else:
                await asyncio.wait({self._busy})

    def _hashed(self, _done: asyncio.Future[None]) -> None:
        self._busy = None
        if self._left == 0:
            self._found(self._md5.digest())

    async def _rest(self) -> None:
        while self._busy is not None:
            await asyncio.wait({self._busy})
