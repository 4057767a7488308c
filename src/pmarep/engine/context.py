"""The objects that the sites of a run share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..clock import Clock
from ..events import Listener, SlideStatus
from ..slides import Slide
from ..source import SharedReader
from ..source.prepared import PreparedSlide
from ..state.journal import Journal
from ..state.run_record import RunRecord
from ..uploaders import Digests, UploadIds
from .annotation_run import AnnotationRun
from .at_all_sites import VerifiedAtAllSites
from .audit import Audit
from .discovery.slide_list import SlideList
from .gate.site_gate import GateRun
from .label_images import LabelLooks
from .mirror.mirror_run import MirrorRun
from .options import Options
from .slide.deletion import DeletionGuard
from .slide.verify import Fingerprints
from .stop_time import StopTime

KnownListener = Callable[[str, Sequence[Slide], SlideStatus, datetime], None]
"""Hears of slides with which nothing had to be done at a site, many at a time."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """The objects that all sites of a run share; none of them waits for a site."""

    options: Options
    slide_list: SlideList
    journal: Journal
    reader: SharedReader
    digests: Digests
    fingerprints: Fingerprints
    listener: Listener
    clock: Clock
    audit: Audit | None
    stop_time: StopTime | None
    others_work: Callable[[str], bool]  # whether any site but this one is sending
    stop_run: Callable[[str], None]  # ends the run for all sites, with the reason
    labels: LabelLooks
    gate: GateRun
    deletions: DeletionGuard = field(default_factory=DeletionGuard)
    sites: int = 1  # how many there are
    record: RunRecord | None = None  # none of a dry run
    known: KnownListener | None = None  # hears what otherwise is an event for each slide
    at_all_sites: VerifiedAtAllSites | None = None
    mirror: MirrorRun | None = None  # where slides that the source has not are looked for
    annotations: AnnotationRun | None = None  # where they are to be brought too
    walked: asyncio.Event = field(default_factory=asyncio.Event)  # set when the walk through the sources has ended
    upload_ids: dict[str, UploadIds] = field(default_factory=dict)  # by the urls of servers

    @property
    def deadline(self) -> float | None:
        """Of clock.monotonic(): after it no slide is begun, and nothing is waited for."""
        return None if self.stop_time is None else self.stop_time.at

    def digests_of(self, slide: Slide) -> Digests:
        """Return the digests of the files of a slide: of the source, or of what was made of it."""
        if isinstance(slide, PreparedSlide) and self.gate.preparation is not None:
            return self.gate.preparation.digests
        return self.digests

    def ids_of(self, url: str) -> UploadIds:
        """Return the upload ids that one server has given out in this run."""
        return self.upload_ids.setdefault(url, UploadIds(self.clock))
