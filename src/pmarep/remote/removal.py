"""Delete slides at a PMA.core, and look whether they are gone.

A server deletes by name and knows no way back. So each slide is looked at once more right before: where its files are
not those that were listed, somebody else has put another slide there since, and it stays.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ..aio import together
from ..clock import Clock
from ..errors import PmarepError
from ..pmacore import NotFound, PermissionDenied, PmaCore, Refused, RemoteFile
from ..system.windows_names import lies_within, normalized_key
from ..text import printable
from .tree import Ambiguous, RemoteFolder, RemoteSlide, RemoteTree, is_about_one

AT_ONCE = 4
"""Slides that are deleted at once: more would only wait for the same disk."""

BATCH = 50
"""Slides after which their folders are listed once, to see that they are gone."""

SHOWN_AFTER = (0.5, 1.0, 2.0, 4.0)
"""Pauses in seconds before a folder is listed again that still shows a slide: listings may lag behind."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A slide that is to be deleted, as it was listed: `path` as the server spells it, number of files, bytes.

    `state` changes with any of its files; None where the server has not told them.
    """

    path: str
    files: int = 0
    size: int = 0
    state: str | None = None

    @classmethod
    def of(cls, slide: RemoteSlide) -> Candidate:
        """Make one of a slide that was listed, with its files where they are known."""
        return cls(slide.path, len(slide.files), slide.size, _state(slide.files))


@dataclass(frozen=True, slots=True)
class Removed:
    """What has become of a candidate: gone if there is no `error`. `before`: it was gone before it was to be deleted.

    `slide`: with the files that it had right before.
    """

    candidate: Candidate
    slide: RemoteSlide
    error: PmarepError | None = None
    before: bool = False


Told = Callable[[RemoteSlide], Awaitable[None]]


@dataclass(slots=True)
class _Batch:
    """Some slides on the way, by their paths. `tried`: their deletion was asked for; `ended`: an error about all.

    `unknown`: the server does not tell their files any more.
    """

    slides: dict[str, RemoteSlide] = field(default_factory=dict)
    errors: dict[str, PmarepError] = field(default_factory=dict)
    tried: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    ended: PmarepError | None = None


class SlideRemover:
    """Deletes slides below one folder of a PMA.core. `begins` is called before each deletion, and may raise.

    Nothing outside of `folder` is touched, whatever a caller or a server says.
    """

    def __init__(self, core: PmaCore, folder: str, clock: Clock, begins: Told) -> None:
        self._core = core
        self._tree = RemoteTree(core)
        self._folder = normalized_key(folder)
        self._clock = clock
        self._begins = begins

    async def remove(self, candidates: Sequence[Candidate]) -> AsyncGenerator[Removed, None]:
        """Delete slides, and yield what has become of each, in order. Raises what is about the server as a whole.

        Then nothing is said of those that were not tried.
        """
        for start in range(0, len(candidates), BATCH):
            some = candidates[start : start + BATCH]
            batch = await self._delete(some)
            gone = await self._gone(batch)
            for one in some:
                slide = batch.slides.get(one.path, RemoteSlide(one.path))
                if one.path in gone:
                    yield Removed(one, slide, before=one.path not in batch.tried)
                elif one.path in batch.errors:
                    yield Removed(one, slide, batch.errors[one.path])
            if batch.ended is not None:
                raise batch.ended

    async def _delete(self, candidates: Sequence[Candidate]) -> _Batch:
        batch, slots = _Batch(), asyncio.Semaphore(AT_ONCE)

        async def one(candidate: Candidate) -> None:
            async with slots:
                if batch.ended is not None:
                    return
                try:
                    await self._delete_one(candidate, batch)
                except PmarepError as error:
                    batch.errors[candidate.path] = error
                    if not is_about_one(error):
                        batch.ended = batch.ended or error

        await together(map(one, candidates))
        return batch

    async def _delete_one(self, candidate: Candidate, batch: _Batch) -> None:
        if not lies_within(normalized_key(candidate.path.rpartition("/")[0]), self._folder):
            raise Refused(f"{printable(candidate.path)} is not below the folder in which something is to be deleted")
        slide = RemoteSlide(candidate.path)
        try:
            slide = await self._tree.with_files(slide)
        except PmarepError as error:
            if candidate.state is not None and is_about_one(error):
                batch.unknown.add(candidate.path)  # gone already, or no longer to be read
            if candidate.state is not None or not is_about_one(error):
                raise
        if _state(slide.files) != candidate.state:
            raise Refused("its files have changed there since it was listed", "look at it, and delete it then")
        batch.slides[candidate.path] = slide
        await self._begins(slide)
        batch.tried.add(candidate.path)
        await self._core.delete_slide(candidate.path)

    async def _gone(self, batch: _Batch) -> set[str]:
        """Return which slides are not listed any more, of those that were tried or are not known to the server."""
        asked = batch.tried | batch.unknown
        gone: set[str] = set()
        for folder in sorted({path.rpartition("/")[0] for path in asked}):
            here = {path for path in asked if path.rpartition("/")[0] == folder}
            try:
                gone |= here - await self._still_there(folder, here, batch)
            except PmarepError as error:
                for path in here:
                    batch.errors.setdefault(path, error)
                if not is_about_one(error):
                    batch.ended = batch.ended or error
        return gone

    async def _still_there(self, folder: str, paths: set[str], batch: _Batch) -> set[str]:
        """Return which slides the server still lists in a folder, and record why."""
        for pause in (*SHOWN_AFTER, None):
            left = paths & await self._listed(folder)
            if not left - batch.errors.keys():  # the others were refused: nothing is waited for
                break
            if pause is not None:
                await self._clock.sleep(pause)
        for path in left:
            batch.errors.setdefault(path, Refused("the server answered that it was deleted, and still lists it"))
        return left

    async def _listed(self, folder: str) -> set[str]:
        """Return the slides in a folder; none where it has gone with the last of them, as in a bucket."""
        try:
            return set(await self._core.slides(folder))
        except Refused as error:
            if isinstance(error, PermissionDenied):
                raise
            try:
                found = await self._tree.find(folder, files=False)
            except Ambiguous:
                raise error from None
            except NotFound:
                return set()
            if isinstance(found, RemoteFolder):
                raise
            return set()


def _state(files: Sequence[RemoteFile]) -> str | None:
    """Return a text that changes with the name, size or time of any of these files; None where there are none."""
    if not files:
        return None
    facts = sorted((file.path, file.size, file.modified or "") for file in files)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
