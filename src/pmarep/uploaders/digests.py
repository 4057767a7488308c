"""MD5 of parts and SHA-256 of files, computed once whatever the number of sites.

The storages check the MD5, so all sites get the same bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .. import hanging
from ..errors import SourceError
from ..hanging import Pulse, in_time
from ..slides.model import Slide, SlideFile
from ..source import read_range

KEEP = 65_536
"""How many digests are kept: those of 500 GB in parts of 8 MiB, in about 20 MB of memory."""

_Key = tuple[str, Path, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Job:
    path: Path
    future: asyncio.Future[bytes]
    pulse: Pulse


class Digests:
    """Shared by all sites of a run; what is computed is bounded by its threads, what is kept by `KEEP`."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="digest")
        self._known: OrderedDict[_Key, _Job] = OrderedDict()
        self._any = Pulse()  # of all jobs together: those that wait for their turn do not hang as long as others move

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def md5(self, slide: Slide, file: SlideFile, start: int, length: int) -> bytes:
        """16 bytes. Raises SourceError if the file is not what it was when the slide was found."""
        return await self._once("md5", slide, file, start, length)

    async def sha256(self, slide: Slide, file: SlideFile) -> bytes:
        """32 bytes, of the whole file. Raises SourceError likewise."""
        return await self._once("sha256", slide, file, 0, file.size)

    async def _once(self, kind: str, slide: Slide, file: SlideFile, start: int, length: int) -> bytes:
        key = (kind, slide.local(file), file.size, file.mtime_ns, start, length)
        job = self._known.get(key)
        if job is None or (job.future.done() and (job.future.cancelled() or job.future.exception())):
            job = self._known[key] = self._begin(kind, key[1], file, start, length)
            while len(self._known) > KEEP:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return await self._end(job)

    def _begin(self, kind: str, path: Path, file: SlideFile, start: int, length: int) -> _Job:
        pulse = Pulse()

        def work() -> bytes:
            digest = hashlib.new(kind, usedforsecurity=False)
            pulse.beat()
            for chunk in read_range(path, file, start, length):
                digest.update(chunk)
                pulse.beat()
                self._any.beat()
            return digest.digest()

        return _Job(path, asyncio.get_running_loop().run_in_executor(self._threads, work), pulse)

    async def _end(self, job: _Job) -> bytes:
        # Shielded: a site that is given up must not take the digest away from the others.
        future = asyncio.shield(job.future)
        return await in_time(
            future, str(job.path), hanging.READ_SECONDS, lambda: job.pulse.beats or (0, self._any.beats)
        )

    async def check_again(self, slide: Slide, file: SlideFile, start: int, length: int) -> None:
        """After a storage refused a part: is it the source that changed, unseen by size and mtime?

        Raises SourceError if so; otherwise the damage was on the way, and sending again may help.
        """
        before = await self.md5(slide, file, start, length)
        if await self._end(self._begin("md5", slide.local(file), file, start, length)) != before:
            raise SourceError(f"{slide.local(file)} changed while being sent; it is left for the next run")
