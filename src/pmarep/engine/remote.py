"""What lies below the target of one site: each folder is listed once, missing ones are made level by level."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from ..pmacore import PmaCore, Refused, TargetMissing
from ..sites.network import no_root_directory
from ..slides import Slide
from ..slides.names import windows_key
from ..uploaders import Clock

LISTING_SECONDS = 60.0
"""How long a listing is believed: in a long night, others may put slides where ours are to come."""


class Remote:
    """Listings of one site. PMA.core runs on Windows, so names are compared without regard to case."""

    def __init__(self, core: PmaCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._folders: dict[str, set[str]] = {}  # folder -> keys of its sub-folders
        # folder -> when it was listed, and key -> virtual path
        self._slides: dict[str, tuple[float, dict[str, str]]] = {}

    async def check_root(self, target: str) -> None:
        """Raises TargetMissing with the nearest names."""
        root = target.partition("/")[0]
        roots = await self._core.root_directories()
        if windows_key(root) not in map(windows_key, roots):
            raise TargetMissing(no_root_directory(self._core.url, root, roots))

    async def exists(self, folder: str) -> bool:
        parent, _, name = folder.rpartition("/")
        if not parent:
            return True  # the root-directory, checked before
        return await self.exists(parent) and windows_key(name) in await self._children(parent)

    async def _children(self, folder: str) -> set[str]:
        async with self._locks["in " + folder]:
            if folder not in self._folders:
                found = await self._core.directories(folder)
                self._folders[folder] = {windows_key(path.rpartition("/")[2]) for path in found}
            return self._folders[folder]

    async def make(self, folder: str) -> None:
        """Make a folder and those above it, where they are missing."""
        if await self.exists(folder):
            return
        parent, _, name = folder.rpartition("/")
        await self.make(parent)
        async with self._locks["make " + folder]:
            if await self.exists(folder):
                return
            try:
                await self._core.create_directory(folder)
            except Refused:
                # Somebody else may have made it meanwhile.
                self._folders.pop(parent, None)
                if not await self.exists(folder):
                    raise
            (await self._children(parent)).add(windows_key(name))
            self._folders.setdefault(folder, set())

    async def slide_in(self, folder: str, path: str) -> str | None:
        """The virtual path of a slide as the site writes it, or None where the site has no such slide."""
        async with self._locks["slides " + folder]:
            now = self._clock.monotonic()
            if folder not in self._slides or now - self._slides[folder][0] > LISTING_SECONDS:
                found = await self._core.slides(folder) if await self.exists(folder) else []
                keys = {windows_key(item): item for item in found} | {item: item for item in found}
                self._slides[folder] = now, keys
        listing = self._slides[folder][1]
        return listing.get(path) or listing.get(windows_key(path))


async def differences(core: PmaCore, path: str, slide: Slide) -> list[str]:
    """What differs between a slide at the site and ours, by names and sizes; empty if nothing does."""
    folder = path.rpartition("/")[0]
    there = {windows_key(file.path.strip("/")[len(folder) + 1 :]): file for file in await core.slide_files(path)}
    found = []
    for file in slide.files:
        other = there.pop(windows_key(file.path), None)
        if other is None:
            found.append(f"{file.path} is missing there")
        elif other.size != file.size:
            found.append(f"{file.path} has {other.size} bytes there and {file.size} here")
    return found + [f"{file.path.rpartition('/')[2]} is only there" for file in there.values()]


def shortened(found: list[str]) -> str:
    """The first difference and how many more there are."""
    return found[0] if len(found) == 1 else f"{found[0]}, and {len(found) - 1} more"
