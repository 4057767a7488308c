"""Import side files: add the annotations in them to the slides at sites, each site at its own pace."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..aio import merged, together
from ..annotations.replica import AnnotationReplica
from ..annotations.shared_database import SharedDatabases
from ..annotations.side_file import read_side_file
from ..annotations.source import SourceAnnotations
from ..annotations.writer import Brought
from ..clock import Clock
from ..errors import PmarepError, UsageError
from ..pmacore import PmaCore
from ..remote.session_pool import Passwords
from ..sites import Site
from ..sites.place import Place
from ..slides.file_names import ANNOTATIONS_SUFFIX, is_system_name, name_problem, sort_names
from ..text import printable
from ..units import count_of
from .listing import sessions_of

UNANSWERED = 3
"""Slides in a row that a server gives no answer about, each tried several times, until it is given up."""

AT_ONCE = 4
"""Slides of one site at the same time."""

AHEAD = 200
"""Results that wait to be read."""


@dataclass(frozen=True, slots=True)
class FoundSideFile:
    """A side file on this disk; `slide`: the path of its slide below a site's target, with "/"."""

    file: Path
    slide: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of one side file at one site, or of the site as a whole where `slide` is "".

    `to`: the virtual path of the slide there.
    """

    site: Site
    slide: str
    to: str
    brought: Brought


Put = Callable[[Imported], Awaitable[None]]


def find_side_files(sources: Sequence[Path]) -> Iterator[FoundSideFile]:
    """Yield the side files in folders and below, and those that are named. Blocks.

    Raises UsageError, before the first one, for a source that is none.
    """
    for source in sources:
        if source.is_file() and not source.name.endswith(ANNOTATIONS_SUFFIX):
            raise UsageError(f"{printable(str(source))} is no side file; its name would end in {ANNOTATIONS_SUFFIX}")
        if not source.exists():
            raise UsageError(f"{printable(str(source))} is not there; name a folder or a side file")
    for source in sources:
        if source.is_file():
            yield FoundSideFile(source, source.name.removesuffix(ANNOTATIONS_SUFFIX))
        else:
            yield from _below(source)


def _below(source: Path) -> Iterator[FoundSideFile]:
    def fail(error: OSError) -> None:
        raise PmarepError(f"cannot look into {printable(str(error.filename))}: {error.strerror}; mend that first")

    for folder, folders, files in os.walk(source, onerror=fail):
        folders[:] = sort_names(name for name in folders if not is_system_name(name))
        for name in sort_names(files):
            if name.endswith(ANNOTATIONS_SUFFIX) and name != ANNOTATIONS_SUFFIX:
                file = Path(folder, name)
                yield FoundSideFile(file, file.relative_to(source).as_posix().removesuffix(ANNOTATIONS_SUFFIX))


async def import_annotations(
    found: Sequence[FoundSideFile],
    sites: Sequence[Site],
    passwords: Passwords,
    *,
    to: str = "",
    dry_run: bool = False,
    say_shared: Callable[[str, str], None],
) -> AsyncGenerator[Imported, None]:
    """Add what is missing to the slides at all sites; yield what was done. `to`: a sub-folder of each target.

    A slide that is not there fails. A site that lets nobody in, or answers no more, is given up and said once.
    """
    databases = SharedDatabases(say_shared)
    async with sessions_of([Place(site, site.target, site.name) for site in sites], passwords) as sessions:

        def begin(put: Put) -> list[Coroutine[Any, Any, None]]:
            return [
                _SiteImport(site, sessions.core(site), found, to, databases, put, dry_run=dry_run).run()
                for site in sites
            ]

        async with aclosing(merged(begin, AHEAD)) as results:
            async for one in results:
                yield one


class _SiteImport:
    def __init__(
        self,
        site: Site,
        core: PmaCore,
        found: Sequence[FoundSideFile],
        to: str,
        databases: SharedDatabases,
        put: Put,
        *,
        dry_run: bool,
    ) -> None:
        self._site = site
        self._left = deque(found)
        self._folder = "/".join(part for part in (site.target, to) if part)
        self._replica = AnnotationReplica(site.name, core, Clock(), databases, dry_run=dry_run)
        self._put = put
        self._core = core
        self._unanswered = 0

    async def run(self) -> None:
        """Log in, then take all side files, some at a time. Raises nothing of a server's."""
        try:
            await self._core.login()
        except PmarepError as error:
            await self._give_up(str(error))
            return
        await together(self._work() for _ in range(AT_ONCE))

    async def _work(self) -> None:
        while self._left:
            one = self._left.popleft()
            to = f"{self._folder}/{one.slide}"
            brought = await self._bring(one, to)
            await self._put(Imported(self._site, one.slide, to, brought))
            self._unanswered = self._unanswered + 1 if brought.may_pass else 0
            if self._unanswered >= UNANSWERED and self._left:
                await self._give_up(f"given up after {UNANSWERED} slides in a row for which it gave no answer")

    async def _give_up(self, why: str) -> None:
        """Say once why the side files that are left are not tried."""
        left = count_of(len(self._left), "side file was", "side files were")
        self._left.clear()
        await self._put(Imported(self._site, "", "", Brought(error=f"{why} ({left} not looked at)")))

    async def _bring(self, one: FoundSideFile, to: str) -> Brought:
        if (why := name_problem(one.slide)) is not None:
            return Brought(error=f"no PMA.core has a slide of that name: {why}; rename the side file")
        try:
            file = await asyncio.to_thread(read_side_file, one.file)
        except PmarepError as error:
            return Brought(error=str(error))
        if file is None:
            return Brought(error="its side file is not there any more; export it again")
        return await self._replica.bring(
            SourceAnnotations(file.annotations, file.fingerprint_of_slide), to, _no_patience
        )


async def _no_patience(_tries: int) -> bool:
    """Wait for no server: a person waits for the answer, and what is missing is added by running it again."""
    return False
