"""List the folders and slides below a place at a PMA.core, each folder once, many requests ahead of who reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from ..aio import cancel_all
from ..errors import PmarepError, Remedy
from ..pmacore import NotFound, PmaCore, ProtocolError, Refused, RemoteFile, ServerError
from ..system.windows_names import normalized_key
from ..text import printable

AT_ONCE = 8
"""Requests that are under way for one tree, and slides or folders that are asked for ahead of who reads."""

MOST_LEVELS = 100
"""Folders above each other. A server that shows a folder within itself would be walked for ever."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RemoteFolder:
    """A folder of a PMA.core. `path`: its full virtual path, as the server spells it."""

    path: str


@dataclass(frozen=True, slots=True)
class RemoteSlide:
    """A slide at a PMA.core. `path`: the full virtual path of its main file, as the server spells it.

    `files`: all of them, with full virtual paths, the main file last; () where they were not asked for.
    """

    path: str
    files: tuple[RemoteFile, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A folder or slide of which the server does not tell what is in it. `error` says why."""

    path: str
    error: PmarepError


Found = RemoteFolder | RemoteSlide | Unlisted


class RemoteTree:
    """The folders and slides of one PMA.core, as one user sees them.

    Everything that a server refuses to tell is said (`Unlisted`) and never left out. Raises PmaCoreError for what is
    about the server as a whole: a connection, a log-in.
    """

    def __init__(self, core: PmaCore, at_once: int = AT_ONCE) -> None:
        self._core = core
        self._slots = asyncio.Semaphore(at_once)
        self._ahead = at_once

    async def find(self, path: str) -> RemoteFolder | RemoteSlide:
        """Return what lies at a virtual path, spelled as the server does; "" is the top. Raises NotFound.

        Names are compared as Windows does, and letters the same composed and decomposed. A slide has its files.
        """
        if not path:
            return RemoteFolder("")
        parent, _, _ = path.rpartition("/")
        if not parent:
            return RemoteFolder(_named(path, await self._ask(self._core.root_directories)) or _missing(path))
        above = await self.find(parent)
        if isinstance(above, RemoteSlide):
            raise NotFound(f"{above.path} is a slide, so nothing lies below it")
        wanted = f"{above.path}/{path.rpartition('/')[2]}"
        slides = await self._ask(lambda: self._core.slides(above.path))
        if (slide := _named(wanted, slides)) is not None:
            return await self.with_files(RemoteSlide(slide))
        return RemoteFolder(
            _named(wanted, await self._ask(lambda: self._core.directories(above.path))) or _missing(path)
        )

    async def with_files(self, slide: RemoteSlide) -> RemoteSlide:
        """Return the slide with its files, the main file last. Raises PmaCoreError, ProtocolError if it has none."""
        files = await self._ask(lambda: self._core.slide_files(slide.path))
        key = normalized_key(slide.path)
        companions = [file for file in files if normalized_key(file.path.strip("/")) != key]
        main = [file for file in files if normalized_key(file.path.strip("/")) == key]
        if len(main) != 1:
            raise ProtocolError(f"the server lists the files of {printable(slide.path)} without its main file")
        return RemoteSlide(slide.path, (*sorted(companions, key=lambda file: file.path), *main))

    async def walk(
        self, folder: RemoteFolder, *, recursive: bool = True, files: bool = True
    ) -> AsyncGenerator[Found, None]:
        """Yield what lies in a folder: its slides, then each of its folders, followed by what lies in that.

        By name, the folder itself not among them. `files`: slides with their files, which costs a request for each.
        Close it in the end (`aclosing`), also where it is broken off.
        """
        async for found in self._walk(folder.path, 1, recursive, files):
            yield found

    async def _walk(self, path: str, level: int, recursive: bool, files: bool) -> AsyncGenerator[Found, None]:
        try:
            slides, folders = await self._names(path)
        except PmarepError as error:
            yield Unlisted(path, _about_one(error))
            return
        async for slide in self._ordered(slides, lambda one: self._slide(path, one, files)):
            yield slide
        for name in folders:
            if (wrong := _wrong_child(path, name)) is not None:
                yield Unlisted(name, wrong)
                continue
            yield RemoteFolder(name)
            if recursive and level >= MOST_LEVELS:
                yield Unlisted(
                    name, ProtocolError(f"the server shows more than {MOST_LEVELS} folders within each other")
                )
            elif recursive:
                async for found in self._walk(name, level + 1, recursive, files):
                    yield found

    async def _names(self, path: str) -> tuple[list[str], list[str]]:
        """Return the virtual paths of the slides and of the folders in a folder, sorted."""
        if not path:
            return [], _sorted(await self._ask(self._core.root_directories))
        slides = asyncio.create_task(self._ask(lambda: self._core.slides(path)))
        folders = asyncio.create_task(self._ask(lambda: self._core.directories(path)))
        try:
            return _sorted(await slides), _sorted(await folders)
        finally:
            await cancel_all([slides, folders])

    async def _slide(self, folder: str, path: str, files: bool) -> Found:
        if (wrong := _wrong_child(folder, path)) is not None:
            return Unlisted(path, wrong)
        try:
            return await self.with_files(RemoteSlide(path)) if files else RemoteSlide(path)
        except PmarepError as error:
            return Unlisted(path, _about_one(error))

    async def _ordered(
        self, items: list[str], ask: Callable[[str], Coroutine[Any, Any, Found]]
    ) -> AsyncIterator[Found]:
        """Yield the answers in the order of the items, some of them asked for ahead."""
        waiting: deque[asyncio.Task[Found]] = deque()
        rest = iter(items)
        try:
            while True:
                while len(waiting) < self._ahead and (item := next(rest, None)) is not None:
                    waiting.append(asyncio.create_task(ask(item)))
                if not waiting:
                    return
                yield await waiting[0]
                waiting.popleft()
        finally:
            await cancel_all(waiting)

    async def _ask(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async with self._slots:
            return await question()


def _sorted(paths: list[str]) -> list[str]:
    return sorted(sorted(paths), key=str.casefold)


def _named(path: str, paths: list[str]) -> str | None:
    """Return the one of the paths that the server takes for this one: written just so, or else as Windows compares."""
    key = normalized_key(path)
    return path if path in paths else next((one for one in paths if normalized_key(one) == key), None)


def _missing(path: str) -> str:
    raise NotFound(f"there is no folder or slide {printable(path)}")


def _wrong_child(folder: str, path: str) -> ProtocolError | None:
    """Return the error of a name that lies somewhere else than in the folder that was asked for."""
    parent, _, name = path.rpartition("/")
    if name in ("", ".", "..") or normalized_key(parent) != normalized_key(folder):
        return ProtocolError(
            f"asked for {printable(folder) or 'its top'}, the server answers with {printable(path[:500])}"
        )
    return None


def _about_one(error: PmarepError) -> PmarepError:
    """Return an error that is about one folder or slide only. Raises any other."""
    # A server error that may be a refusal was repeated: the rest is asked for, and fails too if it was the server.
    refused = isinstance(error, ServerError) and error.may_be_refusal
    if refused or (
        isinstance(error, Refused | ProtocolError) and error.remedy in (Remedy.GIVE_UP_SLIDE, Remedy.ANNOUNCE)
    ):
        return error
    raise error
