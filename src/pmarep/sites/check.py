"""Whether a site would take slides, found out without sending any."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import PmarepError
from ..pmacore import Connection, PmaCore
from .credentials import Credentials
from .models import Site
from .names import did_you_mean, quoted

SHOWN_NAMES = 12


@dataclass(frozen=True)
class SiteCheck:
    """What is known of a site. What comes after the first failure was not tried and stays None; `error` says why."""

    site: str
    url: str
    target: str
    reachable: bool = False
    version: str | None = None
    credentials: bool | None = None
    root_directory: bool | None = None
    folder: Literal["exists", "will be made"] | None = None
    seconds: float | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class Visit:
    """What a PMA.core tells somebody who logs in."""

    version: str
    root_directories: tuple[str, ...]


async def visit(connection: Connection, password: str) -> Visit:
    """Log in, look at the root-directories, log out. Raises PmaCoreError; CredentialsRefused for a wrong password."""

    async def given() -> str:
        return password

    async with PmaCore(connection, given) as core:
        version = await core.version()
        await core.login()
        return Visit(version, tuple(await core.root_directories()))


async def check_sites(sites: Sequence[Site], credentials: Credentials) -> list[SiteCheck]:
    """All sites at once, with one session for those on the same PMA.core as the same user. In the order given."""
    accounts: dict[Connection, list[Site]] = {}
    for site in sites:
        accounts.setdefault(Connection(site.url, site.username, site.ca_bundle), []).append(site)
    done = await asyncio.gather(*(_check_account(*account, credentials) for account in accounts.items()))
    by_name = {check.site: check for checks in done for check in checks}
    return [by_name[site.name] for site in sites]


async def _check_account(connection: Connection, sites: Sequence[Site], credentials: Credentials) -> list[SiteCheck]:
    began = time.monotonic()
    # What is true for the account, and so for all of its sites.
    known = SiteCheck(site="", url=connection.url, target="")

    def password_of(site: Site) -> str:
        return credentials.password_for(site)

    checks: list[SiteCheck] = []
    try:
        async with PmaCore(connection, lambda: asyncio.to_thread(password_of, sites[0])) as core:
            known = replace(known, version=await core.version(), reachable=True)
            known = replace(known, seconds=time.monotonic() - began, credentials=False)
            await core.login()
            known = replace(known, credentials=True)
            roots = await core.root_directories()
            for site in sites:
                checks.append(await _check_target(core, replace(known, site=site.name, target=site.target), roots))
    except PmarepError as error:
        left = sites[len(checks) :]
        checks += [replace(known, site=site.name, target=site.target, error=str(error)) for site in left]
    return checks


async def _check_target(core: PmaCore, known: SiteCheck, roots: Sequence[str]) -> SiteCheck:
    name, *folders = known.target.split("/")
    path = _same_name(name, roots)
    if path is None:
        hint = did_you_mean(name, roots) or f"; it shows {_some(roots)}"
        return replace(known, root_directory=False, error=f"{known.url} has no root-directory {quoted(name)}{hint}")
    try:
        for folder in folders:
            path = _same_name(f"{path}/{folder}", await core.directories(path))
            if path is None:
                return replace(known, root_directory=True, folder="will be made")
    except PmarepError as error:
        return replace(known, root_directory=True, error=str(error))
    return replace(known, root_directory=True, folder="exists")


def _same_name(name: str, names: Sequence[str]) -> str | None:
    """PMA.core's paths are those of Windows: case says nothing."""
    return next((other for other in names if other.casefold() == name.casefold()), None)


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none to this user"
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(quoted(name) for name in names[:SHOWN_NAMES]) + more
