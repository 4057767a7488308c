"""Find the slides of one site's places, and those of them that have to come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..engine.discovery.disk_list import DiskList
from ..errors import PmarepError, Remedy
from ..pmacore import NotFound, RemoteFile
from ..remote.tree import Found, RemoteFolder, RemoteSlide, RemoteTree, Unlisted
from ..sites.place import Place
from .context import PullContext
from .local_folder import UnusableName, check_path
from .partial_file import PartialFile, place_key
from .plan import Plan, local_name, local_names, plan_slide


@dataclass(frozen=True, slots=True)
class FoundSlide:
    """A slide of a place. `base`: the folder at the site that stands for DIR; `name`: the slide's path in DIR.

    `place`: what stands in the names of temporary files of that place. `size`: bytes that have to come.
    """

    slide: RemoteSlide
    base: str
    name: str
    place: str
    size: int


class FoundSlides(DiskList[FoundSlide]):
    """The slides that have to come, in the order in which they were found."""

    def __init__(self) -> None:
        super().__init__(_pack, _unpack)


class SlideFinder:
    """Looks through the places of one site.

    `found` is told of each slide and its path in DIR, then `planned` of what is to be done with it, or `failed` that it
    cannot come; `problem` of what the server does not tell: its path, the kind and the words. `wait` waits after an
    error until the site is well.
    """

    def __init__(
        self,
        tree: RemoteTree,
        context: PullContext,
        found: Callable[[RemoteSlide, str], None],
        planned: Callable[[FoundSlide, Plan], Awaitable[None]],
        failed: Callable[[str, PmarepError], Awaitable[None]],
        problem: Callable[[str, str, str], None],
        wait: Callable[[PmarepError], Awaitable[object]],
    ) -> None:
        self._tree = tree
        self._context = context
        self._found = found
        self._planned = planned
        self._failed = failed
        self._problem = problem
        self._wait = wait

    async def find(self, place: Place) -> None:
        """Look through a place; again from its beginning where the site was away. Raises what ends the site."""
        while True:
            try:
                return await self._look(place)
            except NotFound as error:
                return self._problem(place.text, "missing", str(error))
            except PmarepError as error:
                if error.remedy is not Remedy.RETRY:
                    raise
                await self._wait(error)

    async def _look(self, place: Place) -> None:
        top = await self._tree.find(place.path)
        base = top.path if isinstance(top, RemoteFolder) else top.path.rpartition("/")[0]
        key = place_key(place.site.url, place.path)
        async with aclosing(self._below(top, base)) as below:
            async for found in below:
                if isinstance(found, RemoteFolder):
                    continue
                if not self._context.claims.is_new(f"{type(found).__name__}\n{place.site.name}\n{base}\n{found.path}"):
                    continue
                if isinstance(found, Unlisted):
                    self._problem(found.path, "unlisted", str(found.error))
                else:
                    await self._examine(found, base, key, place.site.name)

    async def _below(self, top: RemoteFolder | RemoteSlide, base: str) -> AsyncGenerator[Found, None]:
        if isinstance(top, RemoteSlide):
            yield top
            return
        async with aclosing(self._tree.walk(top, wanted=lambda one: self._is_wanted(one, base))) as found:
            async for one in found:
                yield one

    def _is_wanted(self, one: RemoteFolder | RemoteSlide, base: str) -> bool:
        selection = self._context.selection
        try:
            name = local_name(base, one.path)
        except UnusableName:
            return True  # which is said later
        if isinstance(one, RemoteFolder):
            return not selection.excludes_folder(name)
        return selection.refusal(name) is None

    async def _examine(self, slide: RemoteSlide, base: str, key: str, site: str) -> None:
        context = self._context
        name = slide.path.strip("/")
        try:
            name = local_name(base, slide.path)
            check_path(name)
        except UnusableName as error:
            self._found(slide, name)
            await self._failed(name, error)
            return
        if context.selection.refusal(name) is not None:
            return
        self._found(slide, name)
        try:
            plan, left_behind = await context.disk.run(partial(self._plan, slide, base, key))
            self._claim(slide, base, site)
        except PmarepError as error:
            if error.remedy is Remedy.STOP_RUN:
                raise
            await self._failed(name, error)
            return
        context.disk.reusable += left_behind
        await self._planned(FoundSlide(slide, base, name, key, plan.size), plan)

    def _plan(self, slide: RemoteSlide, base: str, key: str) -> tuple[Plan, int]:
        """Return what is to be done with a slide, and how many bytes of it an earlier run has left. Blocks."""
        plan = plan_slide(self._context.folder, base, slide, self._context.options.existing)
        return plan, sum(PartialFile(key, one.file, one.path).left_behind() for one in plan.files)

    def _claim(self, slide: RemoteSlide, base: str, site: str) -> None:
        folder = self._context.folder
        names = (
            (folder.collision_key(local), f"{site}:/{file.path.strip('/')}")
            for file, _, local in local_names(base, slide)
        )
        if (other := self._context.claims.claim(names)) is not None:
            raise UnusableName(f"{other} comes to the same name on this disk; pull one of them into another folder")


def _pack(found: FoundSlide) -> tuple[Any, ...]:
    files = [(file.path, file.size, file.modified) for file in found.slide.files]
    return found.slide.path, files, found.base, found.name, found.place, found.size


def _unpack(row: tuple[Any, ...]) -> FoundSlide:
    path, files, base, name, place, bytes_to_come = row
    rows = [RemoteFile.model_construct(path=path, size=size, modified=modified) for path, size, modified in files]
    return FoundSlide(RemoteSlide(path, tuple(rows)), base, name, place, bytes_to_come)
