"""Print the results of `pmarep sites test`: a row per site, then a line for each that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..output_streams import echo

if TYPE_CHECKING:
    from ...sites.site_check import SiteCheck

_HEADER = ["SITE", "RESULT", "REACHED", "TLS", "PMA.CORE", "PASSWORD", "TARGET", "WRITABLE"]


def show(checks: Sequence[SiteCheck], print_columns: Callable[[list[list[str]]], None]) -> None:
    columns = len(_HEADER) if any(check.writable for check in checks) else -1  # the last one only with --write
    print_columns([row[:columns] for row in (_HEADER, *map(_row, checks))])
    failed = [check for check in checks if not check.ok]
    if failed:
        echo()
    for check in failed:
        echo(f"{check.site}: {check.error}")
    for advice in dict.fromkeys(check.advice for check in checks if check.advice):
        names = ", ".join(check.site for check in checks if check.advice == advice)
        echo(f"\nnote on {names}: {advice}")


def _row(check: SiteCheck) -> list[str]:
    """Return the cells of a site; `-` for what was not tried."""
    cells = [
        f"{check.seconds * 1000:.0f} ms" if check.seconds is not None else "no",
        _tls(check),
        check.version or "-",
        {None: "-", True: "accepted", False: "FAILED"}[check.credentials],
        _target(check),
        check.writable or "-",
    ]
    return [check.site, "ok" if check.ok else "FAILED", *cells]


def _tls(check: SiteCheck) -> str:
    if check.tls is None:
        return "none" if check.url.startswith("http:") else "-"
    days = f"{check.tls.days_left} days left"
    return f"{check.tls.issuer}, {days}{'' if check.tls.verified else ', NOT VERIFIED'}"


def _target(check: SiteCheck) -> str:
    if check.root_directory is False:
        return f"{check.target}: FAILED"
    return f"{check.target} {check.folder}" if check.folder else "-"
