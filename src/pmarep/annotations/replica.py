"""Bring the annotations of one slide to one site: only to the same slide, and once where sites share a database."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable

from ..clock import Clock
from ..errors import PmarepError, Remedy
from ..pmacore import PmaCore, Refused
from .comparison import missing_from
from .shared_database import SharedDatabases
from .source import SourceAnnotations
from .writer import AnnotationWriter, Brought

OTHER_SLIDE = "the slide there is not the one that they belong to, by its fingerprint; nothing was added"


Patience = Callable[[int], Awaitable[bool]]
"""Waits until a server that failed is well again, after so many tries without progress; False where it is given up."""


class AnnotationReplica:
    """The annotations of slides at one site. `dry_run`: nothing is added, only counted."""

    def __init__(
        self, site: str, core: PmaCore, clock: Clock, databases: SharedDatabases, *, dry_run: bool = False
    ) -> None:
        self._site = site
        self._core = core
        self._writer = AnnotationWriter(core, clock)
        self._databases = databases
        self._dry_run = dry_run

    async def bring(self, wanted: SourceAnnotations, path: str, patience: Patience) -> Brought:
        """Add to the slide at a virtual path what it has not. Raises nothing but CancelledError."""
        added = there = tries = 0
        while True:
            async with self._databases.turn(self._site, path):
                brought = await self._once(wanted, path)
            there = max(there, brought.there - added)  # what an earlier try has added is there now
            added += brought.added
            tries = 0 if brought.added else tries + 1
            if not brought.may_pass or not await patience(tries):
                return Brought(added, there, brought.missing, brought.error, brought.may_pass)

    async def _once(self, wanted: SourceAnnotations, path: str) -> Brought:
        try:
            there = await self._core.annotations(path)
        except Refused as error:
            return Brought(error=f"{error}; the slide has to be there, and this user has to see it")
        except PmarepError as error:
            return Brought(error=str(error), may_pass=error.remedy is Remedy.RETRY)
        try:
            self._databases.note_found(self._site, path, there)
            missing = len(await to_thread(missing_from, wanted.annotations, there))
            already = len(wanted.annotations) - missing
            if missing and await self._core.fingerprint(path) != await wanted.fingerprint():
                return Brought(there=already, missing=missing, error=OTHER_SLIDE)
        except PmarepError as error:
            return Brought(error=str(error), may_pass=error.remedy is Remedy.RETRY)
        if not missing or self._dry_run:
            return Brought(added=missing, there=already)
        brought = await self._writer.add(path, wanted.annotations, there)
        self._databases.note_added(self._site, path, there, brought.now)
        return brought
