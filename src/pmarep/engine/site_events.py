"""What the parts of a site's work tell the site as a whole."""

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
        """The site is in another state, or in the same for another reason."""

    async def slides_known(self, known: Sequence[KnownSlide]) -> None:
        """Nothing has to be done about these, or by a dry run no more than to say what would be done."""

    def slide_announced(self, slide: Slide) -> None:
        """The server has taken the announcement: the requests with bytes come now."""

    def slide_waits(self, slide: Slide) -> None:
        """The slide waits until the site is well again; others may try whether it is."""

    def slide_restarted(self, slide: Slide, lost: int, reason: str) -> None:
        """So many bytes of a slide have to be sent again."""

    async def slide_arrived(self, job: SlideJob, status: SlideStatus, attempt: TransferCounts) -> None:
        """The slide is there whole, which the journal does not say yet. `attempt`: what the last attempt has sent."""

    async def slide_wrong(self, slide: Slide, error: str) -> None:
        """A slide that was said to be there has been found not to be there as it should be."""

    async def slide_suspect(self, slide: Slide, reason: str) -> None:
        """A slide that was said to be there may not be as it should be, and nobody can tell."""
