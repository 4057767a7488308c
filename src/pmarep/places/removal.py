"""Find the slides at places that are to be deleted, and delete them: with the targets held, and the journal told."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..clock import Clock
from ..engine.audit import AuditLog
from ..engine.removal import delete_slides
from ..errors import PmarepError, TargetBusyError, UsageError
from ..pmacore import PmaCore, Refused
from ..remote.removal import Candidate, Removed
from ..remote.tree import RemoteFolder, RemoteSlide, RemoteTree, Unlisted
from ..sites.place import Place
from ..sites.site_names import quoted
from ..state.journal import Journal
from ..state.target_locks import hold_targets
from ..text import printable


@dataclass(slots=True)
class FoundSlides:
    """The slides at one place that are to be deleted. `folder`: the one that they lie below, as the server spells it.

    `error`: why they are not known; then none is deleted.
    """

    place: Place
    folder: str = ""
    candidates: list[Candidate] = field(default_factory=list)
    error: PmarepError | None = None


async def find_slides(core: PmaCore, place: Place, *, recursive: bool) -> FoundSlides:
    """Find the slide that a place is, or with `recursive` all below it. Raises nothing of a server's."""
    found = FoundSlides(place)
    try:
        await core.login()
        tree = RemoteTree(core)
        at = await tree.find(place.path, files=False)
        if isinstance(at, RemoteFolder) and not recursive:
            raise UsageError(f"{quoted(place.text)} is a folder; --recursive deletes all slides below it")
        found.folder = at.path if isinstance(at, RemoteFolder) else at.path.rpartition("/")[0]
        paths = [at.path] if isinstance(at, RemoteSlide) else [path async for path in _slides_below(tree, at)]
        found.candidates = await _as_candidates(tree, paths)
    except PmarepError as error:
        found.error, found.candidates = error, []
    return found


async def _slides_below(tree: RemoteTree, folder: RemoteFolder) -> AsyncIterator[str]:
    """Yield the slides below a folder. Raises Refused where the server does not tell all of them."""
    async with aclosing(tree.walk(folder, files=False)) as found:
        async for one in found:
            if isinstance(one, Unlisted):
                raise Refused(
                    f"the server does not tell what is in {printable(one.path)} ({one.error})",
                    "nothing is deleted below a folder of which not all is known",
                )
            if isinstance(one, RemoteSlide):
                yield one.path


async def _as_candidates(tree: RemoteTree, paths: Sequence[str]) -> list[Candidate]:
    """Ask for the files of slides. One of which they are not told is one that may have to go, too."""
    async with aclosing(tree.all_told(paths)) as slides:
        return [Candidate.of(one) if isinstance(one, RemoteSlide) else Candidate(one.path) async for one in slides]


def without_doubles(found: Sequence[FoundSlides]) -> None:
    """Take out the slides that an earlier place has too."""
    seen: set[tuple[str, str]] = set()
    for one in found:
        mine = {(one.place.site.url, candidate.path) for candidate in one.candidates}
        one.candidates = [c for c in one.candidates if (one.place.site.url, c.path) not in seen]
        seen |= mine


@contextmanager
def held(state_dir: Path, found: Sequence[FoundSlides]) -> Iterator[None]:
    """Hold the folders in which something is to be deleted. Raises TargetBusyError where a run has one of them."""
    keys = {
        (one.place.site.name, unicodedata.normalize("NFC", one.place.site.url + one.folder).casefold())
        for one in found
        if one.candidates
    }
    try:
        with hold_targets(state_dir / "locks", keys) as busy:
            if busy:
                raise next(iter(busy.values()))
            yield
    except TargetBusyError as error:
        words = str(error).removesuffix("; nothing was sent, start again when that has ended")
        raise TargetBusyError(f"{words}; nothing was deleted, start again when that has ended") from None


async def delete(
    core: PmaCore, found: FoundSlides, clock: Clock, journals: Sequence[Journal], audit: AuditLog | None
) -> AsyncGenerator[Removed, None]:
    """Delete the slides that were found at a place; yield what has become of each. Raises what is about the server."""
    site = found.place.site
    deleting = delete_slides(core, site, found.folder, found.candidates, clock, journals, audit)
    async with aclosing(deleting) as removed:
        async for one in removed:
            yield one
