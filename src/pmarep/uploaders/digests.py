"""MD5 of parts and SHA-256 of files, computed once whatever the number of sites.

The storages check the MD5, so all sites get the same bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..errors import SourceError
from ..slides.model import Slide, SlideFile
from ..source import read_range

KEEP = 65_536
"""How many digests are kept: those of 500 GB in parts of 8 MiB, in about 20 MB of memory."""

_Key = tuple[str, Path, int, int, int, int]


class Digests:
    """Shared by all sites of a run; what is computed is bounded by its threads, what is kept by `KEEP`."""

    def __init__(self, threads: int = 2) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="digest")
        self._known: OrderedDict[_Key, asyncio.Future[bytes]] = OrderedDict()

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
        future = self._known.get(key)
        if future is None or (future.done() and (future.cancelled() or future.exception())):
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, _digest, kind, key[1], file, start, length)
            self._known[key] = future
            while len(self._known) > KEEP:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        # Shielded: a site that is given up must not take the digest away from the others.
        return await asyncio.shield(future)

    async def check_again(self, slide: Slide, file: SlideFile, start: int, length: int) -> None:
        """After a storage refused a part: is it the source that changed, unseen by size and mtime?

        Raises SourceError if so; otherwise the damage was on the way, and sending again may help.
        """
        before = await self.md5(slide, file, start, length)
        now = await asyncio.get_running_loop().run_in_executor(
            self._threads, _digest, "md5", slide.local(file), file, start, length
        )
        if now != before:
            raise SourceError(f"{slide.local(file)} changed while being sent; it is left for the next run")


def _digest(kind: str, path: Path, file: SlideFile, start: int, length: int) -> bytes:
    digest = hashlib.new(kind, usedforsecurity=False)
    for chunk in read_range(path, file, start, length):
        digest.update(chunk)
    return digest.digest()
