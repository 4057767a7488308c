"""Make one site like the source: list the slides there that the source has not, and delete them where that is said.

Nothing is deleted at a site

- before every slide of the source has arrived there;
- where anything of the source could not be read, or was left out as a problem, or a source has no slide;
- where the server does not tell all that lies below the folder;
- where more slides would go than `--max-delete` allows, or without it more than half of those that are there.
"""

from __future__ import annotations

import logging
from contextlib import aclosing

from ...errors import PmarepError, Remedy
from ...events import Notice, SlideDeleted, SlideExtra
from ...pmacore import PmaCore
from ...remote.removal import Candidate
from ...remote.tree import RemoteTree
from ...sites import Site
from ...slides.selection import Selection
from ...state.journal_takeover import other_states
from ...units import count_of
from ..context import RunContext
from ..removal import delete_slides, opened_journals
from ..site.report import SiteReport
from .extra_slides import ExtraSlides, find_extra_slides
from .mirror_run import MirrorRun

log = logging.getLogger(__name__)

TOO_MANY = "it would be one too many"
ONLY_LISTED = "only listed without --yes"
PLANNED = "a run without --dry-run deletes it, with --yes"


class SiteMirror:
    """The mirror of one site, to be run when all its slides are there."""

    def __init__(self, site: Site, core: PmaCore, run: MirrorRun, context: RunContext, report: SiteReport) -> None:
        self._site = site
        self._core = core
        self._run = run
        self._context = context
        self._report = report

    async def run(self) -> None:
        """List what the source has not, and delete it where that is asked for. Raises what ends the run for all."""
        late = self._context.deadline is not None and self._context.clock.monotonic() > self._context.deadline
        why = self._run.source_problem() or self._report.incomplete or ("the time of the run is over" if late else None)
        if why is not None:
            self._refuse(why)
            return
        options = self._context.options
        folder = "/".join(part for part in (self._site.target, options.to) if part)
        selection = Selection(options.include, options.exclude)
        try:
            choice = self._context.slide_list.choices.of(self._site.name)
            tree = RemoteTree(self._core)
            found = await find_extra_slides(tree, folder, self._run.names, selection, self._site, choice)
            for one, reason in found.unsure:
                self._stays(found, one, reason)
            too_many = refusal(len(found.extra), found.total, options.max_delete)
            if too_many is not None:
                self._refuse(too_many)
            if too_many is None and options.mirror_deletes and not options.dry_run:
                await self._delete(found)
            else:
                planned = options.dry_run and too_many is None
                reason = TOO_MANY if too_many is not None else (PLANNED if planned else ONLY_LISTED)
                for one in found.extra:
                    self._stays(found, one, reason, planned=planned)
        except PmarepError as error:
            if error.remedy is Remedy.STOP_RUN:
                raise
            log.info("%s: the mirror ended: %s", self._site.name, error)
            self._refuse(str(error))

    async def _delete(self, found: ExtraSlides) -> None:
        context, left = self._context, len(found.extra)
        others = other_states(context.journal.file.parent, None)
        try:
            with opened_journals(others) as journals:
                everywhere = [context.journal, *journals]
                deleting = delete_slides(
                    self._core,
                    self._site,
                    found.folder,
                    found.extra,
                    context.clock,
                    everywhere,
                    context.audit,
                    found.name,
                )
                async with aclosing(deleting) as removed:
                    async for one in removed:
                        left -= 1
                        if one.error is not None:
                            self._stays(found, one.candidate, f"not deleted: {one.error}")
                        elif not one.before:
                            self._deleted(found, one.candidate)
        finally:
            self._report.extra += left  # those that were not tried, or of which the end was not heard

    def _deleted(self, found: ExtraSlides, slide: Candidate) -> None:
        self._report.deleted += 1
        self._report.bytes_deleted += slide.size
        name = found.name(slide.path)
        self._context.listener(
            SlideDeleted(site=self._site.name, slide=name, to=slide.path, files=slide.files, bytes=slide.size)
        )

    def _stays(self, found: ExtraSlides, slide: Candidate, reason: str, *, planned: bool = False) -> None:
        self._report.extra += 1
        self._context.listener(
            SlideExtra(
                site=self._site.name,
                slide=found.name(slide.path),
                to=slide.path,
                files=slide.files,
                bytes=slide.size,
                reason=reason,
                planned=planned,
            )
        )

    def _refuse(self, why: str) -> None:
        """Say why nothing more is deleted at the site."""
        deleted = "no more is" if self._report.deleted else "nothing is"
        self._report.mirror_error = why
        self._context.listener(Notice(text=f"{self._site.name}: {deleted} deleted there: {why}"))


def refusal(extra: int, total: int, max_delete: int | None) -> str | None:
    """Return why so many of all slides at a site are not deleted; None where they are."""
    if max_delete is not None:
        slides = count_of(extra, "slide")
        return None if extra <= max_delete else f"{slides} would go, more than --max-delete {max_delete} allows"
    if extra * 2 <= total:
        return None
    return f"{extra} of {total} slides would go, more than half; --max-delete {extra} allows it"
