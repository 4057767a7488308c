"""The annotations of a run's slides at one site: brought beside the slides, a few slides at a time."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator

from ...aio import ChangeEvent, TaskPool
from ...annotations.replica import AnnotationReplica
from ...annotations.source import SourceAnnotations
from ...annotations.writer import Brought
from ...errors import PmarepError, Remedy
from ...pmacore import PmaCore
from ...sites import Site
from ...slides import Slide
from ...units import count_of
from ..annotation_run import AnnotationRun
from ..context import RunContext
from ..discovery.slide_list import SiteSlides
from ..slide.decide import destination
from .report import SiteReport

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Slides of one site whose annotations are compared or added at the same time."""

FRUITLESS_TRIES = 3
"""Tries at a slide without an annotation added, at a site that is well again each time."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds, until a site that is away is asked whether it is well again


class SiteAnnotations:
    """Brings annotations to the slides of one site that are there. A failure here fails no slide."""

    def __init__(self, site: Site, core: PmaCore, run: AnnotationRun, context: RunContext, report: SiteReport) -> None:
        self._site = site
        self._core = core
        self._source = run.source
        self._context = context
        self._report = report
        self._slides = SiteSlides(context.slide_list, site.name)
        self._replica = AnnotationReplica(
            site.name, core, context.clock, run.databases, dry_run=context.options.dry_run
        )
        self._queue: deque[tuple[int, bool]] = deque()  # numbers of slides; whether they are only to be sent
        self._changed = ChangeEvent()
        self._complete = False
        self._left_over = 0  # slides for which there was no time
        self._pool = TaskPool()
        self._workers = 0

    def add(self, slide: Slide, *, planned: bool = False) -> None:
        """Bring the annotations of a slide that is there now; `planned`: that a dry run would send."""
        self._queue.append((slide.number, planned))
        if self._workers < AT_ONCE:
            self._workers += 1
            self._pool.start(self._work())
        self._changed.notify()

    async def finish(self) -> None:
        """Wait until all slides that were added are done, or the time of the run is over. Raises what ends the site."""
        self._complete = True
        self._changed.notify()
        await self._pool.wait()
        self._pool.raise_error()
        stop_time = self._context.stop_time
        if self._left_over and stop_time is not None and self._report.error is None:
            which = count_of(self._left_over, "slide")
            text = f"stopped at {stop_time.option}, before the annotations of {which} were looked at"
            self._report.error = f"{text}; the next run brings what is missing"

    async def cancel(self) -> None:
        """Break off: what is missing is found by the next run."""
        await self._pool.cancel()

    async def _work(self) -> None:
        while True:
            while self._queue:
                number, planned = self._queue.popleft()
                if self._context.deadline is not None and self._context.clock.monotonic() >= self._context.deadline:
                    self._left_over += 1
                    continue
                await self._bring(self._slides.found(number), planned)
            if self._complete:
                return
            await self._changed.wait()

    async def _bring(self, slide: Slide, planned: bool) -> None:
        try:
            wanted = await self._wanted(slide)
        except PmarepError as error:
            await self._report.record_annotations(slide, Brought(error=str(error)))
            return
        if wanted is None or not wanted.annotations:
            return
        if planned:
            brought = Brought(added=len(wanted.annotations))
        else:
            path = destination(self._site, self._context.options.to, slide).path
            brought = await self._replica.bring(wanted, path, self._outlast)
        await self._report.record_annotations(slide, brought)

    async def _wanted(self, slide: Slide) -> SourceAnnotations | None:
        """Ask the source, also one that is away for a while. Raises PmarepError."""
        pauses = self._pauses()
        while True:
            try:
                return await self._source.of(slide)
            except PmarepError as error:
                if error.remedy is not Remedy.RETRY or await anext(pauses, None) is None:
                    raise

    async def _outlast(self, tries: int) -> bool:
        """Wait until the site answers again, as long as it may be away; False where that makes no sense any more."""
        if tries >= FRUITLESS_TRIES:
            return False
        async for _ in self._pauses():
            try:
                await self._core.probe()
            except PmarepError as error:
                if error.remedy is not Remedy.RETRY:
                    return False
            else:
                return True
        return False

    async def _pauses(self) -> AsyncGenerator[float, None]:
        """Pause, longer each time, as long as a server may be away in this run."""
        clock, pause = self._context.clock, FIRST_PAUSE
        end = clock.monotonic() + self._context.options.patience
        if self._context.deadline is not None:
            end = min(end, self._context.deadline)
        while clock.monotonic() + pause < end:
            await clock.sleep(pause)
            yield pause
            pause = min(pause * 2, LONGEST_PAUSE)
