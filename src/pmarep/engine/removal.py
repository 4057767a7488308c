"""Delete slides at a site, with the journal and the audit told."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, aclosing, closing, contextmanager
from pathlib import Path

from ..clock import Clock
from ..pmacore import PmaCore
from ..remote.removal import Candidate, Removed, SlideRemover
from ..remote.tree import RemoteSlide
from ..sites import Site
from ..state.journal import Journal
from .audit import Audit, Deletion, deletion_entry


@contextmanager
def opened_journals(folders: Iterable[Path]) -> Iterator[list[Journal]]:
    """Open the journals that there are in these state folders. Raises UsageError."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(closing(Journal(folder))) for folder in folders if (folder / "journal.sqlite").exists()
        ]


async def delete_slides(
    core: PmaCore,
    site: Site,
    folder: str,
    candidates: Sequence[Candidate],
    clock: Clock,
    journals: Sequence[Journal],
    audit: Audit | None,
    name: Callable[[str], str] = str,
) -> AsyncGenerator[Removed, None]:
    """Delete slides below a folder; yield what has become of each. Raises what is about the server as a whole.

    `journals`: all of the state folder, since runs take over what others know (journal_takeover.py). `name`: how the
    audit calls a slide, by its virtual path.
    """
    paths = [one.path for one in candidates]
    recorded = [(journal, await journal.recorded_as(site.url, paths)) for journal in journals]

    async def forget(path: str, *, only_unfinished: bool = False) -> None:
        for journal, known in recorded:
            await journal.forget_slides(site.url, known.get(path, ()), only_unfinished=only_unfinished)

    async def audited(slide: RemoteSlide, status: Deletion, error: str | None = None) -> None:
        if audit is not None:
            await audit.record(deletion_entry(site, name(slide.path), slide, status, error), on_disk=True)

    async def begins(slide: RemoteSlide) -> None:
        await audited(slide, "deleting")
        await forget(slide.path, only_unfinished=True)  # its files there are ours in part, and go with it

    async with aclosing(SlideRemover(core, folder, clock, begins).remove(candidates)) as removed:
        async for one in removed:
            if one.error is not None:
                await audited(one.slide, "not_deleted", str(one.error))
            else:
                await audited(one.slide, "deleted")
                await forget(one.candidate.path)
            yield one
