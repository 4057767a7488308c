"""The slides of a run, in the order of sending. Sites read it each at its own pace, while the walk still goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..slides import LeftOut, Slide, Why, find_slides
from ..slides.names import windows_key
from .options import Options
from .threads import in_thread

BATCH = 200


class Catalogue:
    """Filled by `scan`. `bytes` and `len()` grow until `complete` is set.

    Raises UsageError, when it is made, for a source that is none.
    """

    def __init__(self, options: Options) -> None:
        self._found = _walk(options)
        self._slides: list[Slide] = []
        self._grown = asyncio.Event()
        self._stopping = False
        self.bytes = 0
        self.complete = asyncio.Event()

    def __len__(self) -> int:
        return len(self._slides)

    async def scan(self, on_left_out: Callable[[LeftOut], None]) -> None:
        """Walk the sources, in a thread."""
        loop = asyncio.get_running_loop()

        def take(batch: list[Slide | LeftOut]) -> None:
            for item in batch:
                if isinstance(item, LeftOut):
                    on_left_out(item)
                else:
                    self._slides.append(item)
                    self.bytes += item.size
            self._wake()

        def walk() -> None:
            batch: list[Slide | LeftOut] = []
            for item in self._found:
                if self._stopping:
                    break
                batch.append(item)
                if len(batch) >= BATCH or len(self._slides) == 0:
                    loop.call_soon_threadsafe(take, batch)
                    batch = []
            loop.call_soon_threadsafe(take, batch)

        try:
            await in_thread(walk)
        finally:
            self._stopping = True
            self.complete.set()
            self._wake()

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    async def at(self, index: int) -> Slide | None:
        """The slide with this number, as soon as it is found; None when there is none."""
        while index >= len(self._slides):
            if self.complete.is_set():
                return None
            await self._grown.wait()
        return self._slides[index]


class Cursor:
    """One site's way through the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._next = 0

    async def take(self) -> Slide | None:
        """The next slide, None at the end; several takers never get the same one."""
        index, self._next = self._next, self._next + 1
        return await self._catalogue.at(index)


def _walk(options: Options) -> Iterator[Slide | LeftOut]:
    """All sources one after the other. Raises UsageError at once, not only when it is read."""
    sources = {source.resolve(): source for source in options.sources}.values()  # each once
    found = [(s, find_slides(s, include=options.include, exclude=options.exclude)) for s in sources]
    return found[0][1] if len(found) == 1 else _without_clashes(found)


def _without_clashes(found: Sequence[tuple[Path, Iterator[Slide | LeftOut]]]) -> Iterator[Slide | LeftOut]:
    """A slide with a file whose path a slide of another source has too is left out: one would overwrite the other."""
    origin: dict[str, Path] = {}
    for source, items in found:
        for item in items:
            if isinstance(item, Slide):
                folder = item.path.rpartition("/")[0]
                keys = [windows_key(f"{folder}/{file.path}") for file in item.files]
                others = [origin[key] for key in keys if origin.get(key, source) != source]
                if others:
                    yield LeftOut(item.path, Why.BAD_NAME, f"{others[0]} has a file of this name too; push them apart")
                    continue
                origin.update(dict.fromkeys(keys, source))
            yield item
