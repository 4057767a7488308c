"""The files of slides at a PMA.core: read from the spool, into which they are downloaded once for all sites."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ...aio import cancel_all
from ...errors import PmarepError, Remedy, SourceAway, SourceError
from ...pmacore import PmaCore, RemoteFile
from ...retry import Retry
from ...slides.labels import NOT_KNOWN, LabelImages
from ...slides.model import Slide, SlideFile
from ...system.windows_names import normalized_key
from ..interface import FileVersion, ReadAhead
from ..releasing_semaphore import consume_exception
from .downloads import Downloads
from .page_file import PAGE, READS_NOW
from .spool import Spool, keys_of

REMEMBERED = 4096
"""Slides of which is remembered what the server last said."""


_Files = dict[str, tuple[int, int]]
"""Of a slide's files the size and time, by path."""


class _Look(NamedTuple):
    began: float
    answer: asyncio.Task[_Files]


class PlaceFiles:
    """The SourceFiles of places. `cores`: the PMA.core of each site by name; `folder`, `size`: of the spool, in bytes.

    What one site waits for while it is being downloaded, others wait for too.
    """

    step: int | None = 16 * 1024**2
    reads_now = READS_NOW

    def __init__(
        self, cores: Mapping[str, PmaCore], folder: Path, size: int, retry: Callable[[], Retry] = Retry
    ) -> None:
        self._cores = cores
        self._spool = Spool(folder, size)
        self._downloads = Downloads(cores, self._spool, retry)
        self._looks: OrderedDict[str, _Look] = OrderedDict()  # by slides

    @property
    def ahead(self) -> ReadAhead | None:
        """This hears of what sites are about to read."""
        return self

    @property
    def bytes_downloaded(self) -> int:
        """Bytes that have come from all servers, also those that had to come again."""
        return self._downloads.bytes

    def make_spool(self) -> None:
        """Make the spool before anything is to be sent. Raises SpoolError."""
        self._spool.make()

    async def stop(self) -> None:
        """End what is being downloaded and asked."""
        await self._downloads.stop()
        await cancel_all([look.answer for look in self._looks.values()])

    def close(self) -> None:
        """Remove the spool."""
        self._spool.close()

    # Reading

    @asynccontextmanager
    async def at_hand(self, version: FileVersion, start: int, length: int, /) -> AsyncIterator[None]:
        """Bring a range into the spool, and keep it there as long as the block runs. Raises SourceError, SpoolError."""
        keys = keys_of(version, start, length)
        if any(not self._spool.has(key) for key in keys):
            with self._wanted(version, start, start + length, whole=True):
                while missing := next((key for key in keys if not self._spool.has(key)), None):
                    await self._downloads.wait_for(*missing)
        self._spool.hold(keys)
        try:
            yield
        finally:
            self._spool.release(keys)

    def open(self, version: FileVersion) -> SpooledFile:
        """Open a file, of which only what is at hand is read."""
        return SpooledFile(self._spool, version)

    def read_now(self, version: FileVersion, start: int, length: int, /) -> bytes | None:
        """Read from the spool what its system has in memory."""
        return self._spool.read_now(version, start, length)

    def check(self, version: FileVersion) -> None:
        """Do nothing: each download has been checked, and `confirm` asks the server."""

    # Has it changed?

    async def confirm(self, version: FileVersion, /) -> None:
        """Raise SourceError if a main file is not what it was, by what the server says after its last bytes came."""
        if version.path == version.slide:
            _compare(await self._look(version.slide, self._downloads.last_read(version.slide)), version)

    async def check_slide(self, slide: Slide) -> str:
        """Raise SourceError if a file is not what it was, by what the server says now. Returns ""."""
        main = FileVersion.of(slide, slide.main)
        files = await self._look(main.slide, asyncio.get_running_loop().time())
        for file in slide.files:
            _compare(files, FileVersion.of(slide, file))
        return ""

    async def check_content(self, slide: Slide) -> None:
        """Do nothing: that would read much, and the server itself has opened what it shows as a slide."""

    async def label_images(self, _slide: Slide, /) -> LabelImages:
        """Return that it is not known: nothing is read before it is sent."""
        return NOT_KNOWN

    async def _look(self, slide: str, since: float) -> _Files:
        """Return what the server says of a slide's files, asked at `since` or later; all that ask share one answer."""
        loop = asyncio.get_running_loop()
        look = self._looks.get(slide)
        if look is None or look.began < since or _has_failed(look.answer):
            look = self._looks[slide] = _Look(loop.time(), asyncio.create_task(self._ask(slide)))
            look.answer.add_done_callback(consume_exception)
            self._looks.move_to_end(slide)
            if len(self._looks) > REMEMBERED:
                self._looks.popitem(last=False)
        return await asyncio.shield(look.answer)

    async def _ask(self, slide: str) -> _Files:
        site, _, path = slide.partition(":/")
        try:
            files = await self._cores[site].slide_files(path)
        except PmarepError as error:
            words = f"cannot look at {slide}: {error}"
            raise (SourceAway(words) if error.remedy is Remedy.RETRY else SourceError(words)) from None
        return {normalized_key(f.path.strip("/")): (f.size, moment_ns(f)) for f in files}

    # ReadAhead

    def join(self, site: int) -> None:
        """Keep what is downloaded for a site too."""
        self._spool.join(site)

    def leave(self, site: int) -> None:
        """Keep nothing for a site any more."""
        self._downloads.wants.leave(site)
        self._spool.leave(site)

    def announce(self, site: int, slide: Slide, files: Sequence[SlideFile]) -> None:
        """Download these files next, after what others will read before."""
        main = FileVersion.of(slide, slide.main)
        self._spool.name(main.slide, slide.number)
        self._downloads.wants.announce(site, main.slide, [FileVersion.of(slide, file) for file in files])
        self._downloads.start_more()

    @contextmanager
    def reading(self, _site: int, version: FileVersion, start: int, end: int) -> Iterator[None]:
        """Download a range as it is read, before what will only be read later."""
        with self._wanted(version, start, end, whole=False):
            yield

    @contextmanager
    def _wanted(self, version: FileVersion, start: int, end: int, *, whole: bool) -> Iterator[None]:
        want = self._downloads.wants.read(version, start // PAGE, -(-end // PAGE), whole=whole)
        self._downloads.start_more()
        try:
            yield
        finally:
            self._downloads.wants.end_read(want)

    def had(self, site: int, version: FileVersion, index: int) -> None:
        """Keep a page for the other sites only."""
        self._spool.had(site, (version, index))
        self._downloads.wants.moved(version, index)

    def done(self, site: int, slide: Slide) -> None:
        """Keep nothing of a slide for a site."""
        main = FileVersion.of(slide, slide.main).slide
        self._downloads.wants.done(site, main)
        self._spool.done(site, main, slide.number)
        self._downloads.start_more()


class SpooledFile:
    """A file that is read from the spool."""

    def __init__(self, spool: Spool, version: FileVersion) -> None:
        self._spool = spool
        self._version = version

    def read(self, start: int, length: int) -> bytes:
        """Read exactly `length` bytes at `start`. Raises SpoolError."""
        return self._spool.read(self._version, start, length)

    def close(self) -> None:
        """Do nothing."""


def moment_ns(file: RemoteFile) -> int:
    """Return when a file was written as the server has it, in nanoseconds since the epoch.

    Where it says that in no form that is known, a number that stays the same as long as its words do (`is_dated`).
    """
    ns = _parsed_ns(file.modified)
    if ns is not None:
        return ns
    return -1 - int.from_bytes(hashlib.sha256((file.modified or "").encode()).digest()[:6])


def is_dated(mtime_ns: int) -> bool:
    """Return whether a number of `moment_ns` is a time."""
    return mtime_ns >= 0


def _parsed_ns(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isdecimal() and len(text) <= 14:  # milliseconds, of /Date(...)/
        return int(text) * 1_000_000
    with suppress(ValueError, OverflowError):
        when = datetime.fromisoformat(text)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
        return round(seconds * 1000) * 1_000_000 if seconds >= 0 else None
    return None


def _has_failed(answer: asyncio.Task[_Files]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)


def _compare(files: _Files, version: FileVersion) -> None:
    found = files.get(normalized_key(version.path.partition(":/")[2]))
    if found is None:
        raise SourceError(f"{version.path} is no longer there; it is left for the next run")
    if found != (version.size, version.mtime_ns):
        raise SourceError(f"{version.path} changed while being sent; it is left for the next run")
