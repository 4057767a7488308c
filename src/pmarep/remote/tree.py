"""List the folders and slides below a place at a PMA.core, each folder once, many requests ahead of who reads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from ..aio import cancel_all
from ..errors import PmarepError, Remedy
from ..pmacore import NotFound, PmaCore, ProtocolError, Refused, RemoteFile, ServerError
from ..sites.site_connection import missing_root_message
from ..sites.site_names import did_you_mean, quoted
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


def name_below(slide: RemoteSlide, file: RemoteFile) -> str:
    """Return the path of a file from the folder of its slide."""
    return "/".join(file.path.strip("/").split("/")[slide.path.count("/") :])


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A folder or slide of which the server does not tell what is in it. `error` says why."""

    path: str
    error: PmarepError


class Ambiguous(NotFound):
    """Several names are there that differ only as Windows does not compare; none of them is what was asked for."""


Found = RemoteFolder | RemoteSlide | Unlisted

Wanted = Callable[[RemoteFolder | RemoteSlide], bool]
"""Returns whether a folder or a slide, of which only the path is known, is to be listed."""


class RemoteTree:
    """The folders and slides of one PMA.core, as one user sees them.

    Everything that a server refuses to tell is said (`Unlisted`) and never left out. Raises PmaCoreError for what is
    about the server as a whole: a connection, a log-in.
    """

    def __init__(self, core: PmaCore, at_once: int = AT_ONCE) -> None:
        self._core = core
        self._slots = asyncio.Semaphore(at_once)
        self._ahead = at_once

    async def find(self, path: str, *, files: bool = True) -> RemoteFolder | RemoteSlide:
        """Return what lies at a virtual path, spelled as the server does; "" is the top. Raises NotFound.

        Names are compared as Windows does, and letters the same composed and decomposed; where several are the same
        then, one of them has to be written just so. `files`: a slide with its files.
        """
        if not path:
            return RemoteFolder("")
        parent, _, name = path.rpartition("/")
        if not parent:
            roots = await self._ask(self._core.root_directories)
            if (root := _named(path, roots)) is None:
                raise NotFound(missing_root_message(self._core.url, path, roots))
            return RemoteFolder(root)
        above = await self.find(parent, files=False)
        if isinstance(above, RemoteSlide):
            raise NotFound(f"{printable(above.path)} is a slide, so nothing lies below it")
        wanted = f"{above.path}/{name}"
        slides, folders = await self._names(above.path)
        if (slide := _named(wanted, slides)) is not None:
            return await self.with_files(RemoteSlide(slide)) if files else RemoteSlide(slide)
        if (folder := _named(wanted, folders)) is not None:
            return RemoteFolder(folder)
        near = did_you_mean(name, (one.rpartition("/")[2] for one in (*folders, *slides)))
        raise NotFound(f"there is no folder or slide {quoted(name)} in {printable(above.path)}{near}")

    async def with_files(self, slide: RemoteSlide) -> RemoteSlide:
        """Return the slide with its files, the main file last. Raises PmaCoreError, ProtocolError if it has none."""
        files = await self._ask(lambda: self._core.slide_files(slide.path))
        key = normalized_key(slide.path)
        companions = [file for file in files if normalized_key(file.path.strip("/")) != key]
        main = [file for file in files if normalized_key(file.path.strip("/")) == key]
        if len(main) != 1:
            raise ProtocolError(f"the server lists the files of {printable(slide.path)} without its main file")
        return RemoteSlide(slide.path, (*sorted(companions, key=lambda file: file.path), *main))

    async def told(self, path: str) -> RemoteSlide | Unlisted:
        """Return a slide with its files, or that the server does not tell them. Raises what is about the server."""
        try:
            return await self.with_files(RemoteSlide(path))
        except PmarepError as error:
            if not is_about_one(error):
                raise
            return Unlisted(path, error)

    def all_told(self, paths: Sequence[str]) -> AsyncGenerator[RemoteSlide | Unlisted, None]:
        """Yield what `told` says of slides, in their order, some of them asked for ahead. Close it in the end."""
        return self._ordered(paths, self.told)

    async def walk(
        self, folder: RemoteFolder, *, recursive: bool = True, files: bool = True, wanted: Wanted = lambda _: True
    ) -> AsyncGenerator[Found, None]:
        """Yield what lies in a folder: its slides, then each of its folders, followed by what lies in that.

        By name, the folder itself not among them. `files`: slides with their files, which costs a request for each.
        Slides and folders that are not `wanted` are left out with what is in them, and cost no request.
        Close it in the end (`aclosing`), also where it is broken off.
        """
        names = asyncio.create_task(self._names(folder.path))
        try:
            async with aclosing(self._walk(folder.path, 1, recursive, files, wanted, names)) as found:
                async for one in found:
                    yield one
        finally:
            await cancel_all([names])

    async def _walk(
        self,
        path: str,
        level: int,
        recursive: bool,
        files: bool,
        wanted: Wanted,
        names: asyncio.Task[tuple[list[str], list[str]]],
    ) -> AsyncGenerator[Found, None]:
        """Yield what lies in a folder whose `names` are asked for already."""
        try:
            slides, folders = await names
        except PmarepError as error:
            if not is_about_one(error):
                raise
            yield Unlisted(path, error)
            return
        slides = [slide for slide in slides if wanted(RemoteSlide(slide))]
        folders = [name for name in folders if wanted(RemoteFolder(name))]
        async with aclosing(self._slides(path, slides, files)) as listed:
            async for slide in listed:
                yield slide
        wrong = {name: found for name in folders if (found := _wrong_child(path, name)) is not None}
        deeper = [name for name in folders if name not in wrong] if recursive and level < MOST_LEVELS else []
        rest, ahead = iter(deeper), deque[asyncio.Task[tuple[list[str], list[str]]]]()
        try:
            for name in folders:
                if name in wrong:
                    yield Unlisted(name, wrong[name])
                    continue
                yield RemoteFolder(name)
                if not recursive:
                    continue
                if not deeper:
                    words = f"the server shows more than {MOST_LEVELS} folders within each other"
                    yield Unlisted(name, ProtocolError(words))
                    continue
                while len(ahead) < self._ahead and (following := next(rest, None)) is not None:
                    ahead.append(asyncio.create_task(self._names(following)))
                async with aclosing(self._walk(name, level + 1, recursive, files, wanted, ahead[0])) as below:
                    async for one in below:
                        yield one
                ahead.popleft()
        finally:
            await cancel_all(ahead)

    async def _slides(self, folder: str, paths: list[str], files: bool) -> AsyncGenerator[Found, None]:
        if files:
            async with aclosing(self._ordered(paths, lambda one: self._slide(folder, one))) as found:
                async for slide in found:
                    yield slide
            return
        for path in paths:
            wrong = _wrong_child(folder, path)
            yield RemoteSlide(path) if wrong is None else Unlisted(path, wrong)

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

    async def _slide(self, folder: str, path: str) -> RemoteSlide | Unlisted:
        wrong = _wrong_child(folder, path)
        return await self.told(path) if wrong is None else Unlisted(path, wrong)

    async def _ordered(
        self, items: Sequence[str], ask: Callable[[str], Coroutine[Any, Any, RemoteSlide | Unlisted]]
    ) -> AsyncGenerator[RemoteSlide | Unlisted, None]:
        """Yield the answers in the order of the items, some of them asked for ahead."""
        waiting: deque[asyncio.Task[RemoteSlide | Unlisted]] = deque()
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


def _named(path: str, paths: Sequence[str]) -> str | None:
    """Return the one of the paths that the server takes for this one: written just so, or else as Windows compares.

    Raises Ambiguous where that are several, as in a bucket: one must not stand for another.
    """
    if path in paths:
        return path
    key = normalized_key(path)
    found = [one for one in paths if normalized_key(one) == key]
    if len(found) > 1:
        several = " and ".join(quoted(one) for one in found[:2])
        raise Ambiguous(f"{quoted(path)} may be {several}; write the one that is meant just so")
    return found[0] if found else None


def _wrong_child(folder: str, path: str) -> ProtocolError | None:
    """Return the error of a name that lies somewhere else than in the folder that was asked for."""
    parent, _, name = path.rpartition("/")
    if name in ("", ".", "..") or normalized_key(parent) != normalized_key(folder):
        return ProtocolError(
            f"asked for {printable(folder) or 'its top'}, the server answers with {printable(path[:500])}"
        )
    return None


def is_about_one(error: PmarepError) -> bool:
    """Return whether an error is about the one folder or slide that was asked about, and not about the server."""
    # A server error that may be a refusal was repeated: the rest is asked for, and fails too if it was the server.
    if isinstance(error, ServerError):
        return error.may_be_refusal
    return isinstance(error, Refused | ProtocolError) and error.remedy in (Remedy.GIVE_UP_SLIDE, Remedy.ANNOUNCE)
