"""The interface by which the parts of a site's work tell the site what happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..events import SlideStatus, State
from ..slides import Slide
from ..uploaders import TransferCounts
from .slide.decide import Decision, Destination
from .slide.job import SlideJob

KnownSlide = tuple[Slide, Destination, Decision]
"""A slide that needs no attempt, where it belongs, and why."""


class SiteEvents(Protocol):
    """Hears of everything that happens on the way to one site; site/worker.py is the only real one."""

    def state_changed(self, state: State, reason: str | None = None) -> None:
        """Note that the site is in another state, or in the same for another reason."""

    async def slides_known(self, known: Sequence[KnownSlide]) -> None:
        """Note slides about which nothing has to be done, or by a dry run no more than to say what would be."""

    def slide_excluded(self, slide: Slide) -> None:
        """Note a slide of a place that the site does not take, so that nothing of it is kept for the site."""

    def slide_announced(self, slide: Slide) -> None:
        """Note that the server has taken the announcement: the requests with bytes come now."""

    def slide_waits(self, slide: Slide) -> None:
        """Note that the slide waits until the site is well again; others may try whether it is."""

    def slide_restarted(self, slide: Slide, lost: int, reason: str) -> None:
        """Note that so many bytes of a slide have to be sent again."""

    async def slide_arrived(self, job: SlideJob, status: SlideStatus, attempt: TransferCounts) -> None:
        """Note that the slide is there whole, before the journal says so. `attempt`: what the last attempt has sent."""

    async def slide_wrong(self, slide: Slide, error: str) -> None:
        """Note that a slide which was said to be there is not there as it should be."""

    async def slide_suspect(self, slide: Slide, reason: str) -> None:
        """Note that a slide which was said to be there may not be as it should be."""
