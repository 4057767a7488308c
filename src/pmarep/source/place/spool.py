"""The spool: what was downloaded from a PMA.core, on this disk until every site has had it or room is needed."""

from __future__ import annotations

import shutil
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from ...aio import ChangeEvent
from ...errors import UsageError
from ...units import format_size
from ..interface import FileVersion
from .page_file import PAGE, PageFile

Key = tuple[FileVersion, int]
"""A version of a file, and the number of a page in it."""

SMALLEST_SPOOL = 64 * 1024**2
"""Bytes: what is downloaded at once has to fit in."""

USUAL_SPOOL = 2 * 1024**3  # bytes

PLENTY = 192
"""Pages that no site has had (48 MiB) which are enough: for more of them nothing goes that a site still wants, and few
are downloaded at once, since the machine is better used to send."""

REMEMBERED = 65_536
"""Files of which is remembered which of their pages are gone."""

LEFT_FREE = 0.2
"""The part of the free space on its disk that a spool of no given size leaves alone."""


class Need(IntEnum):
    """How much a page is needed, and so what may go for it: what only some sites have had, or what none has had."""

    LATER = 0  # only up to a share of all pages
    SOON = 1
    NOW = 2


@dataclass(slots=True)
class _Page:
    number: int  # in the file
    left: int  # a bit for each site that still has to take it
    ready: bool = False
    holds: int = 0  # readers that are at it


class BitSet:
    """A set of numbers from 0 on, in a bit for each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        """Put a number in."""
        if number >> 3 >= len(self._bits):
            self._bits.extend(bytes((number >> 3) + 1 - len(self._bits) + len(self._bits) // 2))
        self._bits[number >> 3] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        return number >> 3 < len(self._bits) and bool(self._bits[number >> 3] & (1 << (number & 7)))


class Spool:
    """Which pages are in the file, and for whom. For one event loop; only reading and writing run in threads.

    A page stays until room is needed, for a part that has to be sent again. Then those go first that every site has
    had; then those that some site has had, where the fewest still want it, since each may have to download it again;
    of these the newest first: the slowest site finds the longest run of what it comes to next. What nobody has had
    yet goes last, the newest first too; and at the very end what is needed together with other pages: else these would
    go for each other, and never be there at once.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.pages = max(size, SMALLEST_SPOOL) // PAGE
        self._enough = min(PLENTY, self.pages // 2)
        self._file = PageFile(folder)
        self._pages: dict[Key, _Page] = {}
        self._free: list[int] = []
        self._used = 0  # numbers below this have been given out
        self._by_slide: dict[str, set[Key]] = {}
        self._finished: OrderedDict[Key, None] = OrderedDict()  # every site has had it, the oldest first
        # Some site has had it, the newest last; by how many still want it.
        self._partly: defaultdict[int, OrderedDict[Key, None]] = defaultdict(OrderedDict)
        # No site has had it: first what is needed together with others; else the newest last.
        self._fresh: OrderedDict[Key, None] = OrderedDict()
        self._lost: OrderedDict[FileVersion, BitSet] = OrderedDict()  # pages that went while a site wanted them
        self._sites = 0  # a bit for each
        self._done: dict[int, BitSet] = {}  # the numbers of slides that each site wants nothing more of
        self._numbers: dict[str, int] = {}  # of slides, by their main files
        self.room = ChangeEvent()

    def make(self) -> None:
        """Make the file before there are pages. Raises SpoolError."""
        self._file.make()

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

    # Sites

    def join(self, site: int) -> None:
        """Keep pages for a site too."""
        self._sites |= 1 << site

    def leave(self, site: int) -> None:
        """Keep nothing for a site any more."""
        self._sites &= ~(1 << site)
        self._done.pop(site, None)
        for key in list(self._pages):
            self._take_off(key, site)

    def name(self, slide: str, number: int) -> None:
        """Tell the number of a slide, by the path of its main file."""
        self._numbers[slide] = number

    def done(self, site: int, slide: str, number: int) -> None:
        """Note that a site wants nothing of a slide any more."""
        if number >= 0:
            self._done.setdefault(site, BitSet()).add(number)
        for key in list(self._by_slide.get(slide, ())):
            self._take_off(key, site)
        if not self._wanted_by(slide):
            self._numbers.pop(slide, None)

    def had(self, site: int, key: Key) -> None:
        """Note that a site has taken a page."""
        if key in self._fresh:
            del self._fresh[key]
            self._partly[self._pages[key].left.bit_count()][key] = None
            self.room.notify()
        self._take_off(key, site)

    def _take_off(self, key: Key, site: int) -> None:
        page = self._pages.get(key)
        if page is None or not page.left & (1 << site):
            return
        is_partly = key in self._partly[page.left.bit_count()]
        if is_partly:
            del self._partly[page.left.bit_count()][key]
        page.left &= ~(1 << site)
        if not page.left and page.ready:
            self._fresh.pop(key, None)
            self._finished[key] = None
            self.room.notify()
        elif is_partly:
            self._partly[page.left.bit_count()][key] = None

    def _wanted_by(self, slide: str) -> int:
        number = self._numbers.get(slide, -1)
        if number < 0:
            return self._sites
        wanted = self._sites
        for site, slides in self._done.items():
            if number in slides:
                wanted &= ~(1 << site)
        return wanted

    # Pages

    @property
    def fresh(self) -> int:
        """Pages that no site has had."""
        return len(self._fresh)

    def has(self, key: Key) -> bool:
        """Return whether a page can be read."""
        page = self._pages.get(key)
        return page is not None and page.ready

    def hold(self, keys: Iterable[Key]) -> None:
        """Keep pages, which are there, whatever room is needed."""
        for key in keys:
            self._pages[key].holds += 1

    def release(self, keys: Iterable[Key]) -> None:
        """Undo `hold`."""
        for key in keys:
            self._pages[key].holds -= 1
        self.room.notify()

    @property
    def free(self) -> int:
        """Pages for which there is room without taking what a site still wants."""
        return self.pages - self._used + len(self._free) + len(self._finished)

    def room_ahead(self) -> int:
        """Return for how many pages there is room that nobody waits for: only a few, if others have to go."""
        partly = sum(map(len, self._partly.values()))
        return max(self.free, min(self.free + partly, self._enough - len(self._fresh)))

    def is_lost(self, key: Key) -> bool:
        """Return whether a page went while a site still wanted it: it comes again, but not long before its time."""
        return key[1] in self._lost.get(key[0], ())

    def begin(self, key: Key, need: Need) -> int | None:
        """Give a page a place in the file, and return its number; None without room."""
        number = self._place(need)
        if number is not None:
            self._pages[key] = _Page(number, self._wanted_by(key[0].slide))
            self._by_slide.setdefault(key[0].slide, set()).add(key)
        return number

    def end(self, key: Key, *, with_others: bool = False) -> None:
        """Note that a page has been written. `with_others`: it is needed together with others that are to come."""
        page = self._pages[key]
        page.ready = True
        if not page.left:
            self._finished[key] = None
            return
        self._fresh[key] = None
        if with_others:
            self._fresh.move_to_end(key, last=False)

    def abandon(self, key: Key) -> None:
        """Take back `begin`: the page could not be written."""
        self._free.append(self._forget(key))

    def write(self, number: int, data: bytes | memoryview) -> None:
        """Write a page that was begun. In a thread. Raises SpoolError."""
        self._file.write(number, data)

    def read(self, version: FileVersion, start: int, length: int) -> bytes:
        """Read a range of a file whose pages are held. In a thread. Raises SpoolError."""
        pieces: list[bytes] = []
        while length > 0:
            index, low = divmod(start, PAGE)
            count = min(PAGE - low, length)
            pieces.append(self._file.read(self._pages[version, index].number, low, count))
            start, length = start + count, length - count
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_now(self, version: FileVersion, start: int, length: int) -> bytes | None:
        """Read a range of a page without waiting for the disk; None where that cannot be, or it is not there."""
        index, low = divmod(start, PAGE)
        page = self._pages.get((version, index))
        if page is None or not page.ready or low + length > PAGE:
            return None
        return self._file.read_now(page.number, low, length)

    def _place(self, need: Need) -> int | None:
        if self._free:
            return self._free.pop()
        if self._used < self.pages:
            self._used += 1
            return self._used - 1
        for key in self._victims(need):
            if not self._pages[key].holds:
                if self._pages[key].left:
                    self._note_lost(*key)
                return self._forget(key)
        return None

    def _note_lost(self, version: FileVersion, index: int) -> None:
        self._lost.setdefault(version, BitSet()).add(index)
        self._lost.move_to_end(version)
        if len(self._lost) > REMEMBERED:
            self._lost.popitem(last=False)

    def _victims(self, need: Need) -> Iterator[Key]:
        yield from self._finished
        if need >= Need.SOON or len(self._fresh) < self.pages // 2:
            for number in sorted(self._partly):
                yield from reversed(self._partly[number])
        if need >= Need.NOW:
            yield from reversed(self._fresh)

    def _forget(self, key: Key) -> int:
        page = self._pages.pop(key)
        for order in (self._finished, self._partly[page.left.bit_count()], self._fresh):
            order.pop(key, None)
        slide = key[0].slide
        keys = self._by_slide[slide]
        keys.discard(key)
        if not keys:
            del self._by_slide[slide]
        return page.number


def keys_of(version: FileVersion, start: int, length: int) -> Sequence[Key]:
    """Return the pages that a range touches."""
    if length <= 0:
        return ()
    return [(version, index) for index in range(start // PAGE, -(-(start + length) // PAGE))]


def spool_size(folder: Path, asked: int | None) -> int:
    """Return how large a spool in a folder may be, in bytes. Raises UsageError where there is no room for it."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise UsageError(f"cannot put the spool in {folder}: {words}; --spool DIR puts it elsewhere") from None
    if asked is None:
        asked = max(min(USUAL_SPOOL, int(free * (1 - LEFT_FREE))), SMALLEST_SPOOL)
    if asked < SMALLEST_SPOOL:
        raise UsageError(
            f"the spool needs {format_size(SMALLEST_SPOOL)} at least, and --spool-size says {format_size(asked)}"
        )
    if asked > free:
        raise UsageError(
            f"the spool needs {format_size(asked)} in {folder}, and {format_size(free)} are free; "
            "--spool DIR puts it elsewhere"
        )
    return asked
