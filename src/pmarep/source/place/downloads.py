"""Downloads files from PMA.cores into the spool: each page once, several ranges at a time, in the order of need."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from ...aio import cancel_all
from ...errors import PmarepError, Remedy, SourceAway, SourceError
from ...pmacore import NO_VALIDATORS, FileChanged, PmaCore, RangeRefused, TransferBroken, Validators
from ...retry import Retry
from ...text import printable
from ..interface import FileVersion
from ..releasing_semaphore import consume_exception
from .page_file import PAGE, SpoolError
from .spool import PLENTY, Need, Spool
from .wants import PIECE, Wants

log = logging.getLogger(__name__)

AT_ONCE, AT_ONCE_NEAR = 12, 4
"""Downloads at a time: of 2 MiB each they fill 200 Mbit/s over 180 ms, also where a connection loses packets. From a
server that is near few do, and with fewer a part is whole sooner and each read brings more."""

SECONDS_EACH = 0.01
"""Seconds of round trip for each download that there may be."""

AT_ONCE_WITH_PLENTY = 2
"""The same with plenty of pages that no site has had."""

URGENT = 4
"""More of them, for what somebody waits for."""

QUIET_SECONDS = 5.0
"""After a failure nothing is downloaded ahead for so long: sites that wait for the source ask whether it is back."""

NO_ROOM_SECONDS = 0.25
"""The same where there was no room for what nobody waits for, and after a refusal."""

STUCK_SECONDS = 2.0
"""After so long without room, what nobody has had yet goes for what comes from the beginning of a whole file."""

REMEMBERED = 65_536
"""Files whose version, as answers have it, is remembered, and slides of which is known when they were read."""


class Downloads:
    """Everything that is under way from the sources of a run. `bytes`: how many have come in all.

    `cores`: the PMA.core of each site by name.
    """

    def __init__(self, cores: Mapping[str, PmaCore], spool: Spool, retry: Callable[[], Retry]) -> None:
        self._cores = cores
        self._spool = spool
        self._retry = retry()
        self.wants = Wants(self._settled, self._may_begin, self._is_to_wait)
        self.bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way: dict[FileVersion, set[int]] = {}
        self._waiting: dict[tuple[FileVersion, int], asyncio.Future[None]] = {}
        self._waiters: Counter[tuple[FileVersion, int]] = Counter()
        self._validators: OrderedDict[FileVersion, Validators] = OrderedDict()
        self._changed: dict[FileVersion, str] = {}
        self._whole: set[str] = set()  # sites that give back nothing but whole files
        self._by_parts: set[str] = set()  # those that give back parts
        self._read_at: OrderedDict[str, float] = OrderedDict()  # when something last came, by slides
        self._quiet_until = 0.0
        self._stopped = False
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="spool")

    async def stop(self) -> None:
        """End what is under way."""
        self._stopped = True
        await cancel_all(self._tasks)
        self._threads.shutdown(wait=True)

    def last_read(self, slide: str) -> float:
        """Return when bytes of a slide last came, by the event loop's clock; 0.0 where none have."""
        return self._read_at.get(slide, 0.0)

    async def wait_for(self, version: FileVersion, index: int) -> None:
        """Wait until a page is in the spool. Raises SourceError, SpoolError."""
        if version in self._changed:
            raise SourceError(self._changed[version])
        key = version, index
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            future.add_done_callback(consume_exception)
            self.wants.wait(version, index)
            self.start_more()
        self._waiters[key] += 1
        try:
            await asyncio.shield(future)  # others may wait for it too
        finally:
            self._waiters[key] -= 1
            if not self._waiters[key]:
                del self._waiters[key]
                if self._waiting.get(key) is future:
                    del self._waiting[key]
                    self.wants.end_wait(version, index)

    def start_more(self) -> None:
        """Begin what may be begun now."""
        at_once = downloads_at_once([core.round_trip for core in self._cores.values()])
        while not self._stopped and len(self._tasks) < at_once + URGENT:
            piece = self.wants.take_urgent()
            if piece is None and len(self._tasks) < self._at_once_ahead(at_once) and not self._is_quiet():
                piece = self.wants.take_ahead(min(self._spool.room_ahead() - self._to_come(), PIECE))
            if piece is None:
                return
            self._start(*piece)

    def _at_once_ahead(self, at_once: int) -> int:
        """Return how many downloads there may be of what nobody waits for: few where sites have plenty to send."""
        return at_once if self._spool.fresh + self._to_come() < PLENTY else AT_ONCE_WITH_PLENTY

    def _start(self, version: FileVersion, first: int, last: int) -> None:
        if self._site_of(version) in self._whole:
            first, last = 0, -(-version.size // PAGE)
        pages = {index for index in range(first, last) if not self._settled(version, index)}
        self._under_way.setdefault(version, set()).update(pages)
        task = asyncio.create_task(self._download(version, pages))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.start_more()

    def _settled(self, version: FileVersion, index: int) -> bool:
        under_way = self._under_way.get(version)
        return (under_way is not None and index in under_way) or self._spool.has((version, index))

    def _may_begin(self, version: FileVersion) -> bool:
        """Return whether a file may be asked for now: once, until an answer has shown that there are parts."""
        if version in self._changed:
            return False
        return self._site_of(version) in self._by_parts or version not in self._under_way

    def _is_to_wait(self, version: FileVersion, index: int) -> bool:
        """Return whether a page that only will be read later is to come later: it would go again before that."""
        return self._spool.is_lost((version, index)) and self._spool.free <= self._to_come()

    def _to_come(self) -> int:
        return sum(map(len, self._under_way.values()))

    def _is_quiet(self) -> bool:
        return asyncio.get_running_loop().time() < self._quiet_until

    def _site_of(self, version: FileVersion) -> str:
        return version.path.partition(":")[0]

    async def _download(self, version: FileVersion, pages: set[int]) -> None:
        """Download pages, and tell whoever waits for them. `pages`: those that are still to come."""
        failure: Exception | None = None
        attempts = self._retry.attempts()
        try:
            while pages:
                left, whole = len(pages), self._site_of(version) in self._whole
                with attempts:
                    try:
                        await self._stream(version, pages)
                        break
                    except RangeRefused as error:
                        if whole:  # it had not asked for a part
                            raise
                        log.info("%s: %s; whole files are taken", printable(version.path), error)
                        self._take_whole(version, pages)
                        continue
                failed = attempts
                if len(pages) < left:  # it has come further
                    attempts = self._retry.attempts()
                await failed.pause()
        except FileChanged:
            self._changed[version] = text = f"{version.path} changed while being sent; it is left for the next run"
            failure = SourceError(text)
        except SpoolError as error:
            failure = error
        except PmarepError as error:
            failure = self._failure(version, error)
        except Exception as error:  # of this program: without it they would wait for ever
            failure = error
        finally:
            self._end(version, pages, failure)

    def _failure(self, version: FileVersion, error: PmarepError) -> SourceError:
        words = f"cannot read {version.path}: {error}"
        if error.remedy is not Remedy.RETRY:
            self._rest(NO_ROOM_SECONDS)  # until those who wait have heard of it
            return SourceError(words)
        self._rest(QUIET_SECONDS)
        return SourceAway(words)

    def _rest(self, seconds: float) -> None:
        """Download nothing ahead for so long."""
        loop = asyncio.get_running_loop()
        self._quiet_until = max(self._quiet_until, loop.time() + seconds)
        loop.call_later(seconds, self.start_more)

    def _end(self, version: FileVersion, pages: set[int], failure: Exception | None) -> None:
        under_way = self._under_way.get(version, set())
        under_way -= pages
        if not under_way:
            self._under_way.pop(version, None)
        if failure is not None:
            for index in sorted(pages):
                self._wake(version, index, failure)
        elif pages:
            self.wants.rewind(version, min(pages))
            self._rest(NO_ROOM_SECONDS)

    def _take_whole(self, version: FileVersion, pages: set[int]) -> None:
        """Take whole files from a server that does not give back parts of them."""
        self._whole.add(self._site_of(version))
        more = {index for index in range(-(-version.size // PAGE)) if not self._settled(version, index)}
        self._under_way.setdefault(version, set()).update(more)
        pages |= more

    async def _stream(self, version: FileVersion, pages: set[int]) -> None:
        """Ask for the range from the first page to the last one, and keep what comes of them. Raises PmarepError."""
        site, _, path = version.path.partition(":/")
        slide = version.slide.partition(":/")[2]
        name = path[len(slide.rpartition("/")[0]) + 1 :]
        start, end = min(pages) * PAGE, min((max(pages) + 1) * PAGE, version.size)
        if site in self._whole:
            self._take_whole(version, pages)
            start, end = 0, version.size
        seen = self._validators.get(version, NO_VALIDATORS)
        async with self._cores[site].download(slide, name, version.size, start=start, end=end, seen=seen) as download:
            if download.validators.differ_from(seen):
                raise FileChanged("the server has another version of it")
            self._remember(version, download.validators)
            if download.start != start or (end < version.size and not download.is_part):
                log.info("%s: the server sends whole files where a part is asked for", site)
                self._take_whole(version, pages)
            elif end - start < version.size:
                self._by_parts.add(site)
            self.start_more()
            position, rest, last = download.start, memoryview(b""), end if download.is_part else version.size
            async for data in download:
                self.bytes += len(data)
                self._note_read(version.slide)
                rest = memoryview(b"".join((rest, data)) if rest else data)
                while rest and (len(rest) >= PAGE or position + len(rest) >= version.size):
                    index, page, rest = position // PAGE, rest[:PAGE], rest[PAGE:]
                    position += len(page)
                    if index in pages and not await self._keep(version, index, page, pages):
                        return  # there is no room for what nobody waits for
                if not pages and position < last:
                    return  # what comes now is there; else the answer is read to its end, and its connection used again
        if pages:
            raise TransferBroken(f"the download of {printable(path)} ended too early")

    async def _keep(self, version: FileVersion, index: int, data: memoryview, pages: set[int]) -> bool:
        """Write a page, and tell whoever waits for it. False, and nothing kept, without room for it."""
        key = version, index
        number = await self._room_for(key)
        if number is None:
            return False
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, self._spool.write, number, data)
        except BaseException:
            self._spool.abandon(key)
            raise
        self._spool.end(key, with_others=self.wants.is_needed_with_others(version, index))
        pages.discard(index)
        under_way = self._under_way[version]
        under_way.discard(index)
        if not under_way:
            del self._under_way[version]
        self._wake(version, index)
        return True

    def _wake(self, version: FileVersion, index: int, failure: Exception | None = None) -> None:
        """Tell whoever waits for a page that it is there, or will not be."""
        waiting = self._waiting.pop((version, index), None)
        if waiting is None:
            return
        self.wants.end_wait(version, index)
        if not waiting.done():
            waiting.set_result(None) if failure is None else waiting.set_exception(failure)

    async def _room_for(self, key: tuple[FileVersion, int]) -> int | None:
        """Return the number of a page in the spool; None where there is no room and nobody waits for it."""
        whole = self._site_of(key[0]) in self._whole
        need = Need.SOON if whole else Need.LATER
        while True:
            waited_for = self.wants.is_waited_for(key[0])
            number = self._spool.begin(key, Need.NOW if waited_for and not whole else need)
            if number is not None or not (waited_for or whole):
                return number
            try:
                async with asyncio.timeout(STUCK_SECONDS):
                    await self._spool.room.wait()
            except TimeoutError:
                need = Need.NOW if waited_for else need

    def _remember(self, version: FileVersion, validators: Validators) -> None:
        self._validators[version] = validators
        self._validators.move_to_end(version)
        if len(self._validators) > REMEMBERED:
            self._validators.popitem(last=False)

    def _note_read(self, slide: str) -> None:
        self._read_at[slide] = asyncio.get_running_loop().time()
        self._read_at.move_to_end(slide)
        if len(self._read_at) > REMEMBERED:
            self._read_at.popitem(last=False)


def downloads_at_once(round_trips: Iterable[float | None]) -> int:
    """Return how many downloads there may be, by the longest of the round trips to the servers, in seconds."""
    needed = max(AT_ONCE if seconds is None else round(seconds / SECONDS_EACH) for seconds in round_trips)
    return min(max(needed, AT_ONCE_NEAR), AT_ONCE)
