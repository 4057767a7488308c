"""Finds the slides of a place at a PMA.core, as its server lists them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from ...errors import UsageError
from ...pmacore import NotFound, PmaCore
from ...remote.tree import RemoteFolder, RemoteSlide, RemoteTree, Unlisted, name_below
from ...sites.place import Place
from ...slides.formats import format_of
from ...slides.model import Cause, LeftOut, Slide, SlideFile, Why
from ...slides.selection import OptionValue, Selection
from ...system.windows_names import normalized_key
from ...text import printable
from ..scanner import ScanOptions
from .files import is_dated, moment_ns


class PlaceScanner:
    """Lists one place: a folder with all below it, or a slide. `undated`: slides whose age the server does not tell."""

    def __init__(self, place: Place, core: PmaCore, options: ScanOptions, matched: set[OptionValue]) -> None:
        self.source = place.text
        self.undated = 0
        self._place = place
        self._tree = RemoteTree(core)
        self._selection = Selection(
            options.include, options.exclude, options.newer_than, options.min_size, matched=matched
        )
        self._dates_count = options.newer_than is not None
        self._found: RemoteFolder | RemoteSlide | None = None

    def close(self) -> None:
        """Do nothing: the session is everybody's."""

    async def look(self) -> None:
        """Find out what lies there. Raises UsageError where nothing does, else PmaCoreError."""
        try:
            self._found = await self._tree.find(self._place.path)
        except NotFound as error:
            raise UsageError(f"{printable(self._place.text)}: {error}") from None

    @property
    def is_slide(self) -> bool:
        """Return whether the place is a slide and no folder, after `look`."""
        return isinstance(self._found, RemoteSlide)

    async def find(self) -> AsyncGenerator[Slide | LeftOut, None]:
        """Yield every slide, and everything that is left out, as the server lists it. Raises PmaCoreError."""
        if self._found is None:
            await self.look()
        found = self._found
        if isinstance(found, RemoteSlide):
            yield self._chosen(found, found.path.rpartition("/")[0])
        if not isinstance(found, RemoteFolder):
            return
        async with aclosing(self._tree.walk(found)) as walk:
            async for thing in walk:
                if isinstance(thing, RemoteSlide):
                    yield self._chosen(thing, found.path)
                elif isinstance(thing, Unlisted):
                    path = printable(_below(thing.path, found.path))
                    detail = f"the server does not list it: {thing.error}"
                    yield LeftOut(path, Why.UNREADABLE, detail, Cause.USUAL, files=0)

    def _chosen(self, remote: RemoteSlide, top: str) -> Slide | LeftOut:
        folder = remote.path.rpartition("/")[0]
        path = _below(remote.path, top)
        files: list[SlideFile] = []
        for file in remote.files:
            name = file.path.strip("/")
            inside = normalized_key(name).startswith(normalized_key(folder) + "/")
            relative = name_below(remote, file)
            if not inside or any(part in ("", ".", "..") for part in relative.split("/")) or "\\" in relative:
                detail = f"the server lists a file outside its folder: {printable(name[:200])}"
                return LeftOut(printable(path), Why.BAD_NAME, detail, files=len(remote.files))
            files.append(SlideFile(relative, file.size, moment_ns(file)))
        reason = self._selection.refusal(path) or self._too_old(files) or self._selection.too_small(files)
        if reason is not None:
            return LeftOut(printable(path), Why.EXCLUDED, reason, files=len(files))
        known = format_of(path)
        name = "" if known is None else known.name
        return Slide(path, name, f"{self._place.site.name}:/{folder}", tuple(files))

    def _too_old(self, files: list[SlideFile]) -> str | None:
        if self._dates_count and not all(is_dated(file.mtime_ns) for file in files):
            self.undated += 1  # rather too many than too few
            return None
        return self._selection.too_old(files)


def _below(path: str, top: str) -> str:
    return path[len(top) + 1 :] if top else path
