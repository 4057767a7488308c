"""Reads chunks for all sites of a run: each once, whoever asks first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

from ..slides.labels import LabelImages
from ..slides.model import Slide
from . import stall_detection
from .cache import ChunkCache, Key
from .files import LocalFiles, TooManyOpenFiles
from .interface import CHUNK, FileVersion, OpenFile, ReadAhead, SourceFiles
from .releasing_semaphore import ReleasingSemaphore, consume_exception
from .stall_detection import Heartbeat, wait_while_moving

CACHE_BYTES = 40 * 1024**2
"""Bytes of chunks that wait in memory: five parts of 8 MiB."""

CONCURRENT_READS = 3
"""Reads at a time: a network drive needs some to be quick, a disk suffers from many, and each thread's share of the
heap costs memory (8: 25 MB more at the peak)."""

RELEASE_SECONDS = 5.0
"""Seconds after which a read counts as hanging: others no longer wait for its place, nor for what it brings."""

IDLE = 2
"""Open handles of a file that wait for the next read."""

OPEN_FILES_SECONDS = 600.0
"""Seconds that a read waits while too many files are open."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.01, 1.0  # seconds, until it is tried again

_MANY = 512  # threads; so many come to be only if nearly all of them hang

_NOTHING = nullcontext()

T = TypeVar("T")


@dataclass(slots=True)
class _Handles:
    """Open handles of a file that is being read: reopening it for each chunk costs round trips on a network drive."""

    users: int = 0
    idle: list[OpenFile] = field(default_factory=list)


class SharedReader:
    """Reads files for all sites of a run: each chunk once where they keep pace. Nothing here waits for a site.

    `files`: where the bytes are; None: anywhere on this disk.
    A read that hangs holds up those who want these very bytes and nobody else; being cancelled ends the waiting for it.
    """

    def __init__(self, bound: int = CACHE_BYTES, slow: float | None = None, files: SourceFiles | None = None) -> None:
        self.chunks = ChunkCache(bound)
        self.slow = RELEASE_SECONDS if slow is None else slow
        self._threads = ThreadPoolExecutor(_MANY, thread_name_prefix="read")
        self._read_slots = ReleasingSemaphore(CONCURRENT_READS, self.slow)
        self._pending_reads: dict[Key, asyncio.Future[bytes]] = {}
        self._tasks: set[asyncio.Task[bytes]] = set()
        self._handles: dict[FileVersion, _Handles] = {}
        self._files = files or LocalFiles()

    async def stop(self) -> None:
        """End what is under way at the source, before its connections are closed."""
        await self._files.stop()

    def close(self) -> None:
        """End the threads, without waiting for a read that hangs."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._files.close()

    def pin(self, version: FileVersion, start: int, length: int) -> bool:
        """Reserve memory for a range until a site has sent it; return False where there is no room."""
        return self.chunks.pin(chunks_of(version, start, length))

    def unpin(self, version: FileVersion, start: int, length: int) -> None:
        self.chunks.unpin(key for key, _ in chunks_of(version, start, length))

    async def check_slide(self, slide: Slide) -> str:
        """Return the identity of a slide's files as one text, which a later run can compare.

        Raises SourceError if one of them is not what it was when it was found, or is being written.
        """
        return await self._files.check_slide(slide)

    async def check_content(self, slide: Slide) -> None:
        """Raise SourceError if a file of the slide is none that any server could read."""
        await self._files.check_content(slide)

    async def label_images(self, slide: Slide) -> LabelImages:
        """Look for label and macro images. Raises SourceError."""
        return await self._files.label_images(slide)

    @property
    def ahead(self) -> ReadAhead | None:
        """Who is to hear of what sites are about to read; None: nobody."""
        return self._files.ahead

    def at_hand(self, version: FileVersion, start: int, length: int) -> AbstractAsyncContextManager[None]:
        """Bring a range to where it is read at once; nothing of one that is too long to be kept there."""
        step = self._files.step
        return _NOTHING if step is not None and length > step else self._files.at_hand(version, start, length)

    async def confirm(self, version: FileVersion) -> None:
        """Raise SourceError if what was read of a main file until now may be another version."""
        await self._files.confirm(version)

    async def check(self, version: FileVersion, *, whole: bool = False) -> None:
        """Raise SourceError if the file is another one by now. `whole`: the one who asks has read all of it."""
        if whole:
            await self._files.confirm(version)
        await self._do(version, lambda: self._files.check(version))

    async def chunk(self, version: FileVersion, index: int) -> bytes:
        """Return one chunk, from memory where it is there. Raises SourceError."""
        key = (version, index)
        found = self.chunks.get(key)
        if found is not None:
            return found
        if key not in self._pending_reads:
            start = index * CHUNK
            now = self._files.read_now(version, start, min(CHUNK, version.size - start))
            if now is not None:
                self.chunks.put(key, now)
                return now
        # Shielded: a site that is given up must not take the read away from the others.
        return await asyncio.shield(self._pending_reads.get(key) or self._start(key))

    def read_ahead(self, version: FileVersion, index: int) -> None:
        """Begin to read a chunk that will be wanted next, if there is plenty of room; `unpin` it in the end."""
        if self._files.reads_now:
            return
        key = (version, index)
        size = min(CHUNK, version.size - index * CHUNK)
        known = key in self._pending_reads or self.chunks.get(key) is not None
        if not known and self.chunks.held + size <= self.chunks.bound // 2 and self.chunks.pin([(key, size)]):
            self._start(key)

    async def sweep(self, version: FileVersion, start: int, length: int, use: Callable[[bytes], None]) -> None:
        """Give a range to `use`, chunk by chunk, in a thread; what it reads is kept where sites want it.

        Only for ranges that fit into memory. Raises SourceError, also if the file is another one at the end.
        """
        async with self._files.at_hand(version, start, length):
            await self._sweep(version, start, length, use)

    async def _sweep(self, version: FileVersion, start: int, length: int, use: Callable[[bytes], None]) -> None:
        keys = [key for key, _ in chunks_of(version, start, length)]
        while others := [self._pending_reads[key] for key in keys if key in self._pending_reads]:
            await asyncio.wait(others, timeout=self.slow)
        there = {key: self.chunks.get(key) for key in keys}
        loop = asyncio.get_running_loop()
        mine: dict[Key, asyncio.Future[bytes]] = {
            key: loop.create_future() for key, found in there.items() if found is None
        }
        for key, future in mine.items():
            self._register_read(key, future)

        heartbeat = Heartbeat()

        def received(key: Key, data: bytes) -> None:
            if mine[key].done():  # this was given up: its range may be at hand no longer, and these be other bytes
                return
            self.chunks.put(key, data)
            self._unregister_read(key, mine[key])
            mine[key].set_result(data)

        def work(file: OpenFile) -> None:
            for (key, size), (low, high) in zip(chunks_of(version, start, length), _cuts(start, length), strict=True):
                data = there[key]
                if data is None:
                    data = file.read(key[1] * CHUNK, size)
                    loop.call_soon_threadsafe(received, key, data)
                use(data if high - low == size else data[low:high])
                heartbeat.beat()
            self._files.check(version)

        try:
            with self.lease(version):
                await self._with_handle(version, work, lambda: self._unregister_reads(mine), heartbeat)
        except BaseException as error:
            for future in mine.values():
                if not future.done():
                    future.set_exception(error) if isinstance(error, Exception) else future.cancel()
            raise
        finally:
            self._unregister_reads(mine)

    async def range(self, version: FileVersion, start: int, length: int, use: Callable[[bytes], None]) -> None:
        """Like `sweep`, for ranges of any length: read for nobody else."""
        step, end = self._files.step or max(length, 1), start + length
        for low in range(start, max(end, start + 1), step):
            await self._range(version, low, min(low + step, end), use)

    async def _range(self, version: FileVersion, start: int, end: int, use: Callable[[bytes], None]) -> None:
        heartbeat = Heartbeat()

        def work() -> None:
            with closing(self._files.open(version)) as file:
                for low in range(start, end, CHUNK):
                    use(file.read(low, min(CHUNK, end - low)))
                    heartbeat.beat()
            self._files.check(version)

        async with self._files.at_hand(version, start, end - start):
            await self._do(version, work, heartbeat=heartbeat)

    @contextmanager
    def lease(self, version: FileVersion) -> Iterator[None]:
        """Keep open handles of the file for the next read, as long as the block runs."""
        handles = self._handles.setdefault(version, _Handles())
        handles.users += 1
        try:
            yield
        finally:
            handles.users -= 1
            if handles.users == 0:
                del self._handles[version]
                for handle in handles.idle:
                    handle.close()

    def _start(self, key: Key) -> asyncio.Future[bytes]:
        task = asyncio.create_task(self._read(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._register_read(key, task)
        return task

    def _register_read(self, key: Key, future: asyncio.Future[bytes]) -> None:
        future.add_done_callback(consume_exception)
        self._pending_reads[key] = future

    def _unregister_read(self, key: Key, future: asyncio.Future[bytes]) -> None:
        if self._pending_reads.get(key) is future:
            del self._pending_reads[key]

    def _unregister_reads(self, reads: dict[Key, asyncio.Future[bytes]]) -> None:
        for key, future in reads.items():
            self._unregister_read(key, future)

    async def _read(self, key: Key) -> bytes:
        version, index = key
        task = self._pending_reads[key]
        start, size = index * CHUNK, min(CHUNK, version.size - index * CHUNK)

        def work(file: OpenFile) -> bytes:
            return file.read(start, size)

        try:
            async with self._files.at_hand(version, start, size):
                data = await self._with_handle(version, work, lambda: self._unregister_read(key, task))
            self.chunks.put(key, data)
            return data
        finally:
            self._unregister_read(key, task)

    async def _with_handle(
        self,
        version: FileVersion,
        work: Callable[[OpenFile], T],
        slow: Callable[[], None],
        heartbeat: Heartbeat | None = None,
    ) -> T:
        def open_and_work() -> tuple[OpenFile, T]:
            used = handle or self._files.open(version)
            try:
                return used, work(used)
            except BaseException:
                used.close()
                raise

        handles = self._handles.get(version)
        handle = handles.idle.pop() if handles is not None and handles.idle else None
        used, result = await self._do(version, open_and_work, slow, heartbeat)
        handles = self._handles.get(version)
        if handles is not None and len(handles.idle) < IDLE:
            handles.idle.append(used)
        else:
            used.close()
        return result

    async def _do(
        self,
        version: FileVersion,
        work: Callable[[], T],
        slow: Callable[[], None] | None = None,
        heartbeat: Heartbeat | None = None,
    ) -> T:
        """Run `work` in a thread, again while too many files are open."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + OPEN_FILES_SECONDS, SHORTEST_PAUSE
        while True:
            try:
                return await self._do_once(version, work, slow, heartbeat)
            except TooManyOpenFiles:
                if loop.time() > end:
                    raise
            self._close_idle()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _close_idle(self) -> None:
        """Close handles that wait for a next read, which can open the file again."""
        for handles in self._handles.values():
            while handles.idle:
                handles.idle.pop().close()

    async def _do_once(
        self, version: FileVersion, work: Callable[[], T], slow: Callable[[], None] | None, heartbeat: Heartbeat | None
    ) -> T:
        """Run `work` in a thread, a few at a time; one that hangs releases its place, and in the end is given up."""
        loop = asyncio.get_running_loop()

        async def rest(future: asyncio.Future[T]) -> T:
            return await wait_while_moving(
                future, version.path, stall_detection.READ_SECONDS, lambda: heartbeat and heartbeat.beats
            )

        return await self._read_slots.run(lambda: loop.run_in_executor(self._threads, work), slow, rest)


def chunks_of(version: FileVersion, start: int, length: int) -> list[tuple[Key, int]]:
    """Return the chunks that a range touches, with their own sizes in bytes."""
    indices = range(start // CHUNK, -(-(start + length) // CHUNK)) if length else range(0)
    return [((version, index), min(CHUNK, version.size - index * CHUNK)) for index in indices]


def _cuts(start: int, length: int) -> Iterator[tuple[int, int]]:
    """Yield, for each chunk of a range, the begin and end of the part that belongs to the range."""
    end = start + length
    while start < end:
        low = start % CHUNK
        high = min(low + end - start, CHUNK)
        yield low, high
        start += high - low
