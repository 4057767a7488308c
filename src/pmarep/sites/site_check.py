"""Check that a site would take slides, without sending any: login, certificate, root-directory, target."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..errors import CredentialsError, PmarepError
from ..passwords import Password
from ..pmacore import Connection, PermissionDenied, PmaCore, Refused
from ..pmacore.certificate import Certificate, certificate
from ..pmacore.socket_options import AUTO, LONG_ROUND_TRIP, bbr_advice
from ..system.windows_names import windows_key
from .credentials import Credentials
from .models import Site
from .site_connection import connection_of, missing_root_message
from .site_names import quoted


@dataclass(frozen=True)
class Tls:
    """The server's certificate. `verified` is false only where the site has `verify_tls = false`."""

    issuer: str
    expires: str
    days_left: int
    verified: bool


@dataclass(frozen=True)
class SiteCheck:
    """The result for one site. What comes after the first failure was not tried and stays None; `error` says why.

    `seconds` is how long the first answer took. `tls` is None also for a plain http url. `writable` is tried on demand
    only: `made` if folders of the target were missing and have been made; where all of them were there, `not refused`,
    or `unknown` if the server's words could also be about that.
    `storage` cannot be told without announcing an upload. `advice`: what would make sending there faster.
    """

    site: str
    url: str
    target: str
    reachable: bool = False
    seconds: float | None = None
    tls: Tls | None = None
    version: str | None = None
    credentials: bool | None = None
    root_directory: bool | None = None
    folder: Literal["exists", "will be made"] | None = None
    writable: Literal["made", "not refused", "unknown", "no"] | None = None
    storage: Literal["unknown"] = "unknown"
    advice: str | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True)
class ServerInfo:
    """The version and root-directories of a PMA.core, as a user sees them."""

    version: str
    root_directories: tuple[str, ...]


async def probe_login(connection: Connection, password: str) -> ServerInfo:
    """Log in, look at the root-directories, log out. Raises PmaCoreError; CredentialsRefused for a wrong password."""

    async with PmaCore(connection, _always(password)) as core:
        version = await core.version()
        await core.login()
        return ServerInfo(version, tuple(await core.root_directories()))


async def check_sites(sites: Sequence[Site], credentials: Credentials, write: bool = False) -> list[SiteCheck]:
    """Check all sites at once, with one session for those on the same PMA.core as the same user with the same password.

    In the order given.

    `write`: make the target's folders where they are missing, as a push would. PMA.core has no call that removes a
    folder, so nothing else is made: what could not be taken away again should not be there.
    """
    accounts: dict[Connection, list[Site]] = {}
    for site in sites:
        accounts.setdefault(connection_of(site), []).append(site)
    done = await asyncio.gather(*(_check_account(*account, credentials, write) for account in accounts.items()))
    by_name = {check.site: check for checks in done for check in checks}
    return [by_name[site.name] for site in sites]


async def _check_account(
    connection: Connection, sites: Sequence[Site], credentials: Credentials, write: bool
) -> list[SiteCheck]:
    # What is true for the account, and so for all of its sites.
    known = SiteCheck(site="", url=connection.url, target="")
    secrets: dict[str, Password] = {}
    checks: dict[str, SiteCheck] = {}

    async def first() -> str:
        return next(iter(secrets.values()))

    try:
        async with PmaCore(connection, first) as core:
            began = time.perf_counter()
            version = await core.version()
            known = replace(known, version=version, reachable=True, seconds=time.perf_counter() - began)
            if connection.congestion == AUTO and (core.round_trip or 0.0) >= LONG_ROUND_TRIP:
                known = replace(known, advice=bbr_advice())
            known = replace(known, tls=await _look_at_tls(connection), credentials=False)
            secrets, checks = await _passwords(sites, credentials, known)
            groups: dict[str, list[Site]] = {}
            for site in sites:
                if site.name in secrets:
                    groups.setdefault(secrets[site.name], []).append(site)
            for number, (password, group) in enumerate(groups.items()):
                own = core if number == 0 else PmaCore(connection, _always(password))
                checks |= await _check_session(own, known, group, secrets, write)
                if number:
                    await own.close()
    except PmarepError as error:
        left = [site for site in sites if site.name not in checks]
        checks |= {site.name: replace(known, site=site.name, target=site.target, error=str(error)) for site in left}
    return [checks[site.name] for site in sites]


async def _passwords(
    sites: Sequence[Site], credentials: Credentials, known: SiteCheck
) -> tuple[dict[str, Password], dict[str, SiteCheck]]:
    """Look up each site's own password by name, and the result for those without one."""
    found: dict[str, Password] = {}
    failed: dict[str, SiteCheck] = {}

    async def ask(site: Site) -> None:
        try:
            found[site.name] = await asyncio.to_thread(credentials.password_for, site)
        except CredentialsError as error:
            failed[site.name] = replace(known, site=site.name, target=site.target, error=str(error))

    await asyncio.gather(*map(ask, sites))
    return {site.name: found[site.name] for site in sites if site.name in found}, failed


def _always(password: str) -> Callable[[], Awaitable[str]]:
    async def given() -> str:
        return password

    return given


async def _check_session(
    core: PmaCore, known: SiteCheck, sites: Sequence[Site], secrets: Mapping[str, Password], write: bool
) -> dict[str, SiteCheck]:
    """Check sites with one password in one session. An error names the source that each has the password from."""
    checks: dict[str, SiteCheck] = {}
    try:
        await core.login()
        known = replace(known, credentials=True)
        roots = await core.root_directories()
        for site in sites:
            here = replace(known, site=site.name, target=site.target)
            checks[site.name] = await _check_target(core, here, roots, write)
    except PmarepError as error:
        for site in sites[len(checks) :]:
            words = str(error).replace(secrets[sites[0].name].source, secrets[site.name].source)
            checks[site.name] = replace(known, site=site.name, target=site.target, error=words)
    return checks


async def _look_at_tls(connection: Connection) -> Tls | None:
    if not connection.url.startswith("https:"):
        return None
    found: Certificate | None = await certificate(connection)
    if found is None:
        return None
    return Tls(found.issuer, found.ends.isoformat(), found.days_left, connection.verify_tls)


async def _check_target(core: PmaCore, known: SiteCheck, roots: Sequence[str], write: bool) -> SiteCheck:
    name, *folders = known.target.split("/")
    path = _find_windows_name(name, roots)
    if path is None:
        return replace(known, root_directory=False, error=missing_root_message(known.url, name, roots))
    known = replace(known, root_directory=True, folder="exists")
    try:
        for number, folder in enumerate(folders):
            found = _find_windows_name(f"{path}/{folder}", await core.directories(path))
            if found is None:
                known = replace(known, folder="will be made")
                return await _make(core, known, path, folders[number:]) if write else known
            path = found
        return await _make_again(core, known, path) if write and folders else known
    except PmarepError as error:
        return replace(known, error=str(error))


async def _make(core: PmaCore, known: SiteCheck, parent: str, missing: Sequence[str]) -> SiteCheck:
    """Make the folders that the next push would make."""
    path = parent
    try:
        for folder in missing:
            path = f"{path}/{folder}"
            await core.create_directory(path)
    except Refused as error:
        return replace(known, writable="no", error=f"{known.url} makes no folder {quoted(path)} ({error})")
    return replace(known, folder="exists", writable="made")


async def _make_again(core: PmaCore, known: SiteCheck, path: str) -> SiteCheck:
    """Ask to make a folder that is there: nothing changes, but a user who may not write there is refused."""
    try:
        await core.create_directory(path)
    except PermissionDenied as error:
        return replace(known, writable="no", error=f"{known.url} makes no folder {quoted(path)} ({error})")
    except Refused:
        return replace(known, writable="unknown")
    return replace(known, writable="not refused")


def _find_windows_name(name: str, names: Sequence[str]) -> str | None:
    """Return the one of `names` that Windows takes for this name, whatever its case."""
    return next((other for other in names if windows_key(other) == windows_key(name)), None)
