"""List the slides of one side into the table: a walk through a folder of this machine, or below a place at a site."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import PmarepError, TemporaryFileError, UsageError
from ..pmacore import NotFound, PmaCore
from ..remote.tree import Found, RemoteFolder, RemoteSlide, RemoteTree, Unlisted
from ..sites.place import Place
from ..sites.site_names import quoted
from ..slides import LeftOut, Slide, SlideLookup, Why, find_slides
from ..slides.formats import format_of
from ..slides.ignore_file import REASON as IGNORED
from ..slides.selection import OptionValue, Selection
from ..system.windows_names import path_below
from .sides import Side
from .table import ELSEWHERE, Entry, FileEntry, Gap, GapKind, SlideTable, Told


@dataclass(frozen=True)
class Wanted:
    """Which slides are compared: as `--include`, `--exclude` and `--follow-links` say it.

    `matched` are the patterns that have matched something; `lookup` is asked about files of unknown formats.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    follow_links: bool = False
    lookup: SlideLookup | None = None
    matched: set[OptionValue] = field(default_factory=set)

    def selection(self) -> Selection:
        """Return the choice by paths. Raises UsageError for a pattern that is none."""
        return Selection(self.include, self.exclude, matched=self.matched)


@dataclass
class Listed:
    """How far a side is listed. `error`: why nothing more came. `single`: the side is one slide, and no folder."""

    slides: int = 0
    bytes: int = 0
    done: bool = False
    single: bool = False
    error: PmarepError | None = None

    def count(self, entry: Entry) -> None:
        self.slides += 1
        self.bytes += sum(file.size for file in entry.files)


class NoSuchPlace(UsageError):
    """A place at which there is no folder and no slide."""


class LocalListing:
    """The walk of a folder or slide of this machine. Raises UsageError at once where there is none."""

    def __init__(self, side: Side, path: Path, wanted: Wanted) -> None:
        self._side = side
        self._found: Iterable[Slide | LeftOut] = find_slides(
            path,
            include=wanted.include,
            exclude=wanted.exclude,
            lookup=wanted.lookup,
            follow_links=wanted.follow_links,
            matched=wanted.matched,
        )
        self.listed = Listed(single=not path.is_dir())

    def run(self, table: SlideTable) -> None:
        """Add all to the table. Blocks."""
        for found in self._found:
            if isinstance(found, Slide):
                entry = Entry(found.path, str(found.folder), _local_files(found), _modified(found))
                table.add(self._side.number, entry)
                self.listed.count(entry)
            else:
                self._left_out(found, table)
        self.listed.done = True

    def _left_out(self, found: LeftOut, table: SlideTable) -> None:
        path, why = "" if found.path == "." else found.path, found.why.value
        detail = f"{why}: {found.detail}" if found.detail else why
        if found.why is Why.EXCLUDED and found.detail.startswith(IGNORED):
            table.add_gap(Gap(self._side.number, path, GapKind.IGNORED, found.detail))
        elif found.why.is_problem:
            table.add_gap(Gap(self._side.number, path, GapKind.PROBLEM, detail))
            if format_of(path) is not None:
                table.add(self._side.number, Entry(path, "", told=Told.PROBLEM, why=detail))


def _local_files(slide: Slide) -> tuple[FileEntry, ...]:
    return tuple(FileEntry(file.path, file.size, file.mtime_ns, file.local_name) for file in slide.files)


def _modified(slide: Slide) -> int:
    return max(file.mtime_ns for file in slide.files) // 1_000_000


class RemoteListing:
    """The walk below a place at a site. `files`: slides with their files, which costs a request for each."""

    def __init__(self, side: Side, place: Place, core: PmaCore, wanted: Wanted, *, files: bool = True) -> None:
        self.side = side
        self._files = files
        self._place = place
        self._tree = RemoteTree(core)
        self._selection = wanted.selection()
        self._top: RemoteFolder | RemoteSlide | None = None
        self.listed = Listed()

    async def find(self) -> None:
        """Find the place. Raises NoSuchPlace, PmaCoreError."""
        try:
            self._top = await self._tree.find(self._place.path)
        except NotFound as error:
            raise NoSuchPlace(f"{quoted(self.side.text)}: {error}") from None
        self.listed.single = isinstance(self._top, RemoteSlide)

    @property
    def folder(self) -> str:
        """The virtual path of the folder, or of that of the slide, once it is found."""
        top = self._top.path if self._top is not None else ""
        return top.rpartition("/")[0] if self.listed.single else top

    async def run(self, table: SlideTable) -> None:
        """Add all to the table; the place has to be found. Raises PmaCoreError, with what has come in the table."""
        if isinstance(self._top, RemoteSlide):
            self._add(self._top, self.folder, table)
        elif self._top is not None:
            await self._walk(self._top, table)
        self.listed.done = True

    async def _walk(self, top: RemoteFolder, table: SlideTable) -> None:
        folder = top.path
        async with aclosing(self._walked(top)) as things:
            async for thing in things:
                if isinstance(thing, RemoteSlide):
                    self._add(thing, top.path, table)
                elif isinstance(thing, RemoteFolder):
                    folder = thing.path
                else:
                    self._untold(thing, top.path, folder, table)

    def _walked(self, top: RemoteFolder) -> AsyncGenerator[Found, None]:
        return self._tree.walk(top, files=self._files, wanted=lambda one: self._is_wanted(one, top.path))

    def _is_wanted(self, one: RemoteFolder | RemoteSlide, top: str) -> bool:
        path = path_below(top, one.path)
        if path is None:
            return True  # the walk says what is wrong with it
        if isinstance(one, RemoteFolder):
            return not self._selection.excludes_folder(path)
        return self._selection.refusal(path) is None

    def _add(self, slide: RemoteSlide, top: str, table: SlideTable) -> None:
        path = path_below(top, slide.path) or slide.path
        folder = slide.path.rpartition("/")[0]
        files = tuple(FileEntry(_file_path(folder, file.path), file.size) for file in slide.files)
        times = [file.modified for file in slide.files]
        modified = max((int(time) for time in times if time and time.lstrip("-").isdecimal()), default=None)
        entry = Entry(path, slide.path, files, modified)
        table.add(self.side.number, entry)
        self.listed.count(entry)

    def _untold(self, thing: Unlisted, top: str, folder: str, table: SlideTable) -> None:
        path, why = path_below(top, thing.path), str(thing.error)
        # A path that lies elsewhere covers no slide of ours.
        shown = f"{ELSEWHERE}{thing.path[:1000]}" if path is None else path
        table.add_gap(Gap(self.side.number, shown, GapKind.UNTOLD, why))
        if path and thing.path != folder:
            table.add(self.side.number, Entry(path, thing.path, told=Told.NOTHING, why=why))


async def guarded(listing: RemoteListing, table: SlideTable, work: Coroutine[Any, Any, None]) -> None:
    """Await the work of listing one side; where that fails, the others go on.

    Raises NoSuchPlace, TemporaryFileError.
    """
    try:
        if listing.listed.error is None:
            await work
    except (NoSuchPlace, TemporaryFileError):
        raise
    except PmarepError as error:
        listing.listed.error = error
        table.add_gap(Gap(listing.side.number, "", GapKind.UNTOLD, str(error)))
    finally:
        work.close()


def need_two(sides: Sequence[Listed]) -> None:
    """Raise the error of a side where fewer than two sides are left to be compared."""
    errors = [one.error for one in sides if one.error is not None]
    if errors and len(sides) - len(errors) < 2:
        raise errors[0]


def _file_path(folder: str, path: str) -> str:
    """Return the path of a file from its slide's folder; one that lies elsewhere as it is, with a "/" before it."""
    path = path.strip("/")
    return path_below(folder, path) or f"/{path}"
