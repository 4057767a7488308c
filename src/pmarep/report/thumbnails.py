"""Fetch thumbnails for a report, each from the first site that has the slide."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections import Counter
from collections.abc import Iterator, Sequence

from ..errors import PmarepError, Remedy
from ..remote.session_pool import Passwords, SessionPool
from ..retry import Retry
from ..sites import Site
from .model import Report, ReportSite, at_site

log = logging.getLogger(__name__)

MOST = 1000
"""Thumbnails of a report: those of slides that are missing somewhere come first."""

TOTAL_BYTES = 16 * 1024 * 1024
"""Of all together."""

SIDE = 160
"""Pixels at most."""

AT_ONCE = 8
FAILURES = 3
"""So many in a row, of a site's connection or log-in, and it is not asked any more."""


async def fetch_thumbnails(
    report: Report, sites: Sequence[Site], passwords: Passwords
) -> tuple[dict[int, str], list[str]]:
    """Return data URIs by the numbers of slides, and a line for each site that gives none.

    `sites`: those of the book; what the report calls a site has to have the same name, URL and target. Asks for
    passwords, logs in, and logs out at the end.
    """
    known = {(site.name, site.url, site.target): site for site in sites}
    usable = {id(one): known[one.name, one.url, one.target] for one in report.sites if _key(one) in known}
    problems = [
        f"{one.name}: it is not in the site book as it was then" for one in report.sites if id(one) not in usable
    ]
    pool = SessionPool(list(usable.values()), passwords, lambda: Retry(attempts=2))
    fetching = _Fetching(report, {key: (site, pool) for key, site in usable.items()})
    try:
        await fetching.run()
    finally:
        await pool.close()
    return fetching.found, [*problems, *(f"{name}: {why}" for name, why in fetching.given_up.items())]


def _key(site: ReportSite) -> tuple[str, str, str]:
    return site.name, site.url, site.target


class _Fetching:
    def __init__(self, report: Report, usable: dict[int, tuple[Site, SessionPool]]) -> None:
        self._report = report
        self._usable = usable
        self._failures: Counter[str] = Counter()  # in a row, by site
        self._bytes = 0
        self.found: dict[int, str] = {}
        self.given_up: dict[str, str] = {}

    async def run(self) -> None:
        missing = dict.fromkeys(index for index, _, _ in self._report.missing())
        order = iter(dict.fromkeys([*missing, *range(len(self._report.slides))]))
        await asyncio.gather(*(self._take(order) for _ in range(AT_ONCE)))

    async def _take(self, order: Iterator[int]) -> None:
        """Fetch of one slide after the other, as long as there are some: several take from one order."""
        for index in order:
            if len(self.found) >= MOST or self._bytes >= TOTAL_BYTES:
                return
            for site in self._report.sites:
                if self._report.cell(index, site).state.is_there and await self._fetched(index, site):
                    break

    async def _fetched(self, index: int, at: ReportSite) -> bool:
        if id(at) not in self._usable or at.name in self.given_up:
            return False
        site, pool = self._usable[id(at)]
        path = at_site(at, self._report, index)
        try:
            image = await pool.core(site).thumbnail(path, SIDE, SIDE)
        except PmarepError as error:
            log.debug("%s: no thumbnail of %s: %s", at.name, path, error)
            self._failures[at.name] += error.remedy is not Remedy.GIVE_UP_SLIDE
            if error.remedy is Remedy.STOP_SITE or self._failures[at.name] >= FAILURES:
                self.given_up[at.name] = str(error)
            return False
        self._failures[at.name] = 0
        kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
        self.found[index] = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
        self._bytes += len(image)
        return True
