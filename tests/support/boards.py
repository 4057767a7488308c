"""Events for boards and their models, and a clock that tests set."""

from __future__ import annotations

from pmarep.clock import Clock
from pmarep.events import Event, Progress, RunStarted, SiteState, SlideFinished, SlideStatus, State

MIB = 1024 * 1024


class SetClock(Clock):
    """Stands at `now` until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def started(*sites: str, slides: int = 6, size: int = 100 * MIB) -> list[Event]:
    """A run that has begun, with all sites running."""
    running = [SiteState(site=site, state=State.RUNNING) for site in sites]
    return [RunStarted(sites=list(sites), slides=slides, bytes=size), *running]


def progress(site: str, done: float, rate: float = 0, total: float = 100, *, under_way: float = 0) -> Progress:
    """`done`, `total`, `under_way` in MiB, `rate` in MiB/s."""
    return Progress(
        site=site, bytes_done=int(done * MIB), bytes_total=int(total * MIB), rate=rate * MIB, connections=2,
        bytes_sent=int(done * MIB), bytes_under_way=int(under_way * MIB), slides_total=6,
    )  # fmt: skip


def sent(site: str, slide: str) -> SlideFinished:
    return SlideFinished(site=site, slide=slide, status=SlideStatus.SENT)


def failed(site: str, slide: str, error: str = "no room") -> SlideFinished:
    return SlideFinished(site=site, slide=slide, status=SlideStatus.FAILED, error=error)


def paused(site: str, cause: str = "it refused the connection", seconds: float = 43) -> SiteState:
    reason = f"{cause}; trying again in {seconds:.0f}s"
    return SiteState(site=site, state=State.PAUSED, reason=reason, retry_seconds=seconds)
