"""List the folders below the target of one site, each once, and make missing ones level by level."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sized
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from ..clock import Clock
from ..pmacore import PermissionDenied, PmaCore, Refused, RemoteFile, StorageFull, TargetMissing
from ..sites.site_connection import missing_root_message
from ..slides import Slide
from ..system.windows_names import collision_key, is_altered_by_windows, normalized_key, windows_key
from ..text import printable

LISTING_SECONDS = 60.0
"""How long a listing is believed: in a long night, others may put folders and slides where ours are to come."""

LAG_SECONDS = 10.0
"""How long a folder that may not be made is looked for: listings were seen to show one 5 s after it was made."""

# Whole phrases: `An existing connection was closed` says nothing about the folder, and `does not exist` the opposite.
_EXISTS = re.compile(r"\balready exists\b|\bexists already\b|\bHTTP status 409\b", re.IGNORECASE)

_ONLY_THERE = " is only there"

JUST_NOW = 5
"""Times as long as a listing takes: so old one may be that is to be a new one. So no folder, however large, is listed
more than a fifth of the time."""

KEPT_NAMES = 10_000
"""Names in the listings of one site that stay in memory, about 3 MB: slides come folder by folder, few are enough."""
KEPT_LISTINGS = 8
"""So many stay however large they are: slides of one folder are at several stages at once."""
SHOWN_AFTER = (0.5, 1.0, 2.0, 4.0)
"""Pauses in seconds before a folder or slide that was just made is looked for again: listings may lag behind."""
KEPT_FOLDERS = 1000
"""Folders of one site of which the sub-folders stay in memory, the ones above all those in use among them."""


class Listing:
    """The slides of one folder of a site, by their names. PMA.core runs on Windows: `X.svs` is also `x.svs`.

    Shares of a Mac or a NAS compose or decompose the letters of a name; that is the same slide, unless both are there.
    """

    __slots__ = ("_exactly", "_loosely", "_paths")

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths: dict[str, str] = {}  # by windows_key()
        self._exactly: set[str] = set()  # where a bucket has names that Windows takes for one: all that have others
        self._loosely: dict[str, str] = {}  # by normalized_key(): names that are not all ASCII
        for path in paths:
            other = self._paths.setdefault(windows_key(path), path)
            if other != path:
                self._exactly |= {path, other}
            if not path.isascii():
                self._loosely.setdefault(normalized_key(path), path)

    def __len__(self) -> int:
        return len(self._paths) + len(self._exactly)

    def find(self, path: str) -> str | None:
        """Return the virtual path of a slide as the site writes it, or None where the site has no such slide."""
        if path in self._exactly:
            return path
        return self._paths.get(windows_key(path)) or self._loosely.get(normalized_key(path))

    def taken(self, path: str) -> str | None:
        """Return the virtual path of another slide that Windows may take for this one."""
        return next((other for key, other in self._paths.items() if _is_twin(key, windows_key(path))), None)


S = TypeVar("S", bound=Sized)


class _Latest(Generic[S]):
    """What was found in the folders that were used last: of so many with so many names together, at least `least`.

    Each is believed for LISTING_SECONDS.
    """

    def __init__(self, least: int, names: int, clock: Clock) -> None:
        self._least = least
        self._most_names = names
        self._clock = clock
        self._found: OrderedDict[str, tuple[S, int, float]] = OrderedDict()
        self._names = 0

    def get(self, folder: str, seconds: float = LISTING_SECONDS) -> S | None:
        if folder not in self._found:
            return None
        found, _, asked = self._found[folder]
        if self._clock.monotonic() - asked > seconds:
            return None
        self._found.move_to_end(folder)
        return found

    def put(self, folder: str, found: S, asked: float) -> None:
        """Keep a listing. `asked`: the clock's time before the question."""
        self.drop(folder)
        weight = len(found) + 1  # many empty ones take room too
        self._found[folder] = found, weight, asked
        self._names += weight
        while self._names > self._most_names and len(self._found) > self._least:
            self.drop(next(iter(self._found)))

    def drop(self, folder: str) -> None:
        if folder in self._found:
            self._names -= self._found.pop(folder)[1]


class RemoteListing:
    """Listings of one site."""

    def __init__(self, core: PmaCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # those that somebody is at
        self._folders: _Latest[set[str]] = _Latest(KEPT_FOLDERS, 0, clock)  # keys of their sub-folders
        self._shown: set[str] = set()  # folders whose names not every server keeps, and this one does
        self._refused: set[str] = set()  # folders that could not be made, and did not show up in LAG_SECONDS
        self._slides: _Latest[Listing] = _Latest(KEPT_LISTINGS, KEPT_NAMES, clock)
        self._took: dict[str, float] = {}  # seconds that the last listing of a folder took

    def _lock(self, what: str) -> asyncio.Lock:
        return self._locks.setdefault(what, asyncio.Lock())

    async def check_root(self, target: str) -> None:
        """Check that the root-directory is there. Raises TargetMissing with the nearest names."""
        root = target.partition("/")[0]
        roots = await self._core.root_directories()
        if normalized_key(root) not in map(normalized_key, roots):
            raise TargetMissing(missing_root_message(self._core.url, root, roots))

    async def exists(self, folder: str) -> bool:
        parent, _, name = folder.rpartition("/")
        if not parent:
            return True  # the root-directory, checked before
        return await self.exists(parent) and normalized_key(name) in await self._children(parent)

    async def _children(self, folder: str) -> set[str]:
        if (known := self._folders.get(folder)) is not None:
            return known
        async with self._lock("in " + folder):
            if (known := self._folders.get(folder)) is None:
                now = self._clock.monotonic()
                found = await self._core.directories(folder)
                known = {normalized_key(path.rpartition("/")[2]) for path in found}
                self._folders.put(folder, known, now)
            return known

    async def make(self, folder: str) -> None:
        """Make a folder and those above it, where they are missing. Nothing is in one that we have made."""
        if await self.exists(folder):
            return
        parent, _, name = folder.rpartition("/")
        await self.make(parent)
        async with self._lock("make " + folder):
            if await self.exists(folder):
                return
            try:
                await self._core.create_directory(folder)
            except Refused as error:
                try:
                    await self._find_made_by_another(folder, error)
                except Refused:
                    if is_altered_by_windows(name):
                        await self._look_for_folder(folder)
                    raise
                if is_altered_by_windows(name):  # what exists may have another name
                    await self._look_for_folder(folder)
                return
            if is_altered_by_windows(name):
                await self._look_for_folder(folder)
            (await self._children(parent)).add(normalized_key(name))
            now = self._clock.monotonic()
            if self._folders.get(folder) is None:
                self._folders.put(folder, set(), now)
            self._slides.put(folder, Listing([]), now)

    async def make_way(self, folder: str, slide: Slide) -> None:
        """Make the folder of a slide, and those below it whose names not every server keeps as they are.

        Raises Refused if one comes to have another name, or if something is in the slide's place that has.
        """
        await self.make(folder)
        for below in _altered_folders(slide):
            await self.make(f"{folder}/{below}")
        if is_altered_by_windows(slide.main.path):
            path = f"{folder}/{slide.main.path}"
            if (other := (await self.listing(folder)).taken(path)) is not None:
                raise _other_name(path, other)

    async def look_for(self, folder: str, slide: Slide) -> None:
        """Check that the site shows a slide that has just come under the names that it was sent with. Raises Refused.

        Of names that every server keeps nothing is asked here.
        """
        levels = folder.split("/")
        above = [
            "/".join(levels[:depth]) for depth in range(2, len(levels) + 1) if is_altered_by_windows(levels[depth - 1])
        ]
        for one in (*above, *(f"{folder}/{below}" for below in _altered_folders(slide))):
            await self._look_for_folder(one)
        if is_altered_by_windows(slide.main.path):
            await self._look(f"{folder}/{slide.main.path}", self._core.slides)

    async def _look_for_folder(self, folder: str) -> None:
        if folder not in self._shown:
            await self._look(folder, self._core.directories)
            self._shown.add(folder)

    async def _look(self, path: str, names: Callable[[str], Awaitable[list[str]]]) -> None:
        """Look for a name in a listing: Win32 drops what a name may not end with and says nothing. Raises Refused."""
        parent, wanted = path.rpartition("/")[0], normalized_key(path)
        for pause in (*SHOWN_AFTER, None):
            found = await names(parent)
            if wanted in map(normalized_key, found):
                return
            other = next((other for other in found if _is_twin(normalized_key(other), wanted)), None)
            if other is not None or pause is None:
                raise _other_name(path, other)
            await self._clock.sleep(pause)

    async def _find_made_by_another(self, folder: str, refused: Refused) -> None:
        """Find a folder that may not be made, perhaps as it has just been made: listings lag behind on some servers.

        Raises `refused` where it does not show up and the refusal does not say that it exists.
        """
        parent, _, name = folder.rpartition("/")
        lag = 0.0 if folder in self._refused else LAG_SECONDS
        end, pause = self._clock.monotonic() + lag, 0.1
        while True:
            self._folders.drop(parent)
            if await self.exists(folder):
                return
            if _EXISTS.search(str(refused)):
                (await self._children(parent)).add(normalized_key(name))
                return
            if isinstance(refused, PermissionDenied | StorageFull) or self._clock.monotonic() + pause > end:
                self._refused.add(folder)
                raise refused
            await self._clock.sleep(pause)
            pause = min(pause * 2, 2.0)

    async def slide_in(self, folder: str, path: str) -> str | None:
        """Return the virtual path of a slide as the site writes it, or None where the site has no such slide."""
        return (await self.listing(folder)).find(path)

    async def slide_just_now(self, folder: str, path: str) -> str | None:
        """Return the same, not longer ago than it takes to list the folder a few times, as far as that is known."""
        took = max(self._took.get(folder, 0.0), self._core.round_trip or 0.0)
        return (await self.listing(folder, JUST_NOW * took)).find(path)

    async def shows(self, folder: str, path: str) -> bool:
        """Return whether the site lists a slide, now or in some seconds: listings may lag behind."""
        for pause in (*SHOWN_AFTER, None):
            if (await self.listing(folder, -1.0)).find(path) is not None:
                return True
            if pause is not None:
                await self._clock.sleep(pause)
        return False

    async def listing(self, folder: str, seconds: float = LISTING_SECONDS) -> Listing:
        """List the slides in a folder, not longer ago than so many seconds; none where there is no such folder."""
        if (known := self._slides.get(folder, seconds)) is not None:
            return known
        async with self._lock("slides " + folder):
            if (known := self._slides.get(folder, seconds)) is None:
                if not await self.exists(folder):
                    return Listing([])  # not kept: others may make it at any time, and put slides there
                now = self._clock.monotonic()
                found = await self._slides_of(folder)
                if found is None:
                    return Listing([])
                known = Listing(found)
                self._slides.put(folder, known, now)
                self._took[folder] = self._clock.monotonic() - now
                while len(self._took) > KEPT_FOLDERS:
                    del self._took[next(iter(self._took))]
            return known

    async def _slides_of(self, folder: str) -> list[str] | None:
        """List the slides of a folder; None where it is not there any more.

        A bucket has no empty folders: one goes with the last slide in it, and comes with the next. Raises Refused.
        """
        for left in (2, 1, 0):
            try:
                return await self._core.slides(folder)
            except Refused as error:
                if isinstance(error, PermissionDenied):
                    raise
                self._folders.drop(folder.rpartition("/")[0])
                if not await self.exists(folder):
                    return None
                if not left:
                    raise
        raise AssertionError


async def differences(core: PmaCore, path: str, slide: Slide) -> list[str]:
    """Compare a slide at the site with ours by names and sizes; return the differences."""
    return differences_in(await core.slide_files(path), path, slide)


def differences_in(files: Iterable[RemoteFile], path: str, slide: Slide) -> list[str]:
    """Compare as `differences` does, with these files of the slide at `path`."""
    folder = normalized_key(path.rpartition("/")[0]) + "/"
    there: dict[str, RemoteFile] = {}
    found: list[str] = []
    for one in files:
        key = normalized_key(one.path.strip("/"))
        if key.startswith(folder):
            there[key[len(folder) :]] = one
        elif not found:  # a server that does not keep names as they are
            found.append(f"asked for {path}, the site answers with {printable(one.path[:500])}")
    for file in slide.files:
        other = there.pop(normalized_key(file.path), None)
        if other is None:
            found.append(f"{file.path} is missing there")
        elif other.size != file.size:
            found.append(f"{file.path} has {other.size} bytes there and {file.size} here")
    return found + [f"{printable(one.path.rpartition('/')[2][:200])}{_ONLY_THERE}" for one in there.values()]


def harmful(differences: Iterable[str]) -> list[str]:
    """Return the differences without files that are only there.

    Beside a slide that is known to be ours those are leftovers of an older slide of its name: PMA.core writes over a
    slide file by file. Of a slide that nobody knows, they tell that it is another one.
    """
    return [text for text in differences if not text.endswith(_ONLY_THERE)]


def _is_twin(key: str, other: str) -> bool:
    return key != other and collision_key(key) == collision_key(other)


def _altered_folders(slide: Slide) -> list[str]:
    """Return the folders below that of a slide, each level, whose names Windows does not keep."""
    ways = {
        way for file in slide.files if "/" in file.path and is_altered_by_windows(way := file.path.rpartition("/")[0])
    }
    levels = {way[:end] for way in ways for end in (*(at for at, c in enumerate(way) if c == "/"), len(way))}
    return sorted(level for level in levels if is_altered_by_windows(level.rpartition("/")[2]))


def _other_name(path: str, other: str | None) -> Refused:
    shown = f"shows {printable(other[:500])} instead" if other else "does not show it"
    return Refused(
        f"the site does not keep the name {path} and {shown}",
        'rename it: on Windows no name ends with a dot or a blank, or has one of <>:"|?*',
    )


def shortened(found: list[str]) -> str:
    """Return the first difference and how many more there are."""
    return found[0] if len(found) == 1 else f"{found[0]}, and {len(found) - 1} more"
