"""The parts of a run that are others where several nodes share one: who finds slides, who sends them, what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..clock import Clock
from ..events import Listener, SiteSummary
from ..pmacore import PmaCore
from ..remote.session_pool import SessionPool
from ..sites import Site
from ..sites.name_map import NameMap
from ..sites.place import Place
from ..sites.site_choices import SiteChoices
from .audit import Audit, AuditLog, Auditor
from .context import KnownListener, RunContext
from .discovery.producer import DiscoveryListener, SlideProducer
from .discovery.slide_list import SlideList
from .options import Options
from .site_workers import SiteWorkers


class Report(Protocol):
    """The outcomes at one site."""

    error: str | None

    async def record_the_rest(self, why: str) -> None:
        """Put on record the slides without an outcome."""

    def summary(self, early: bool) -> SiteSummary:
        """Sum up the site; `early`: the run was to end."""


class Worker(Protocol):
    """What serves one site."""

    @property
    def site(self) -> Site: ...

    @property
    def report(self) -> Report: ...


class Workers(Protocol):
    """What serves all sites: workers in this process, or other nodes."""

    def __iter__(self) -> Iterator[Worker]: ...

    @property
    def busy(self) -> bool:
        """True while any site has a slide in progress."""

    def others_work(self, name: str) -> bool:
        """Return whether any site but this one has a slide in progress."""

    def make(self, sites: Sequence[Site], sessions: SessionPool, context: RunContext) -> None:
        """Make the workers of these sites."""

    async def run(self, stopped: asyncio.Task[bool]) -> bool:
        """Wait until all sites are done, or `stopped` is; return whether it is."""


NewProducer = Callable[[Options, SlideList, Clock, DiscoveryListener, Callable[[Place], PmaCore]], SlideProducer]


def audit_file(options: Options) -> Audit | None:
    """Open the audit file of a run; None where it has none. Raises UsageError."""
    return None if options.audit is None or options.dry_run else AuditLog(options.audit, Auditor.here())


@dataclass(frozen=True, slots=True)
class RunParts:
    """`producer` fills the list of slides, `workers` bring them to the sites, `audit` opens the audit.

    `choices`: which slides each site takes. `sends`: it is this process that talks to the sites. `recorded`: the run is
    one in the list of runs. `known` hears of slides with which nothing had to be done; None: each is an event.
    """

    producer: NewProducer = SlideProducer
    workers: Callable[[Clock, Listener], Workers] = SiteWorkers
    audit: Callable[[Options], Audit | None] = audit_file
    choices: Callable[[Sequence[Site], float, NameMap | None], SiteChoices] = SiteChoices
    sends: bool = True
    recorded: bool = True
    known: KnownListener | None = None
