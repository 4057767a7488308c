"""Know when no site of a run has anything left to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..events import Event, SiteState, SlideFinished, State


class IdleTracker:
    """Counts the slides that sites have finished, to know when none of them has anything left to do."""

    def __init__(self, sites: Sequence[str]) -> None:
        self._finished = dict.fromkeys(sites, 0)  # slides, of sites that have not ended

    def hear(self, event: Event) -> None:
        if isinstance(event, SlideFinished) and event.site in self._finished:
            self._finished[event.site] += 1
        elif isinstance(event, SiteState) and event.state in (State.STOPPED, State.DONE):
            self._finished.pop(event.site, None)

    def idle(self, slides: Callable[[str], int]) -> bool:
        """Return whether every site has finished as many slides as it is to have by `slides`, or has ended."""
        return all(finished >= slides(site) for site, finished in self._finished.items())
