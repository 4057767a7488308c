"""`pmarep annotations import`: annotations in side files, to slides at sites."""

from __future__ import annotations

import json as json_module
import os
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...errors import PmarepError
from ...text import printable
from ..config_files import load_book, state_path, warn_unverified_tls
from ..option_values import parse_sub_folder
from ..options import ConfigOption, SitesOption, StateDirOption, ToOption
from ..output_streams import echo

if TYPE_CHECKING:
    from ...engine.audit import AuditLog
    from ...places.annotation_import import FoundSideFile, Imported
    from ...sites import Site


def import_files(
    sources: Annotated[list[Path], typer.Argument(metavar="SRC...", help="Folders with side files, or side files.")],
    sites: SitesOption,
    to: ToOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be added; change nothing.")] = False,
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append a JSON line for each slide and site: what was added.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
    state_dir: StateDirOption = None,
) -> None:
    """Add annotations in side files to the slides at sites; only what is missing, nothing is deleted.

    SRC/case/x.svs.annotations.json goes to case/x.svs below each site's target, where that slide has to be already.
    Author and date become the site's user and now. Ends with 1 if something is missing afterwards, with 3 if other
    runs hold all sites.
    """
    import asyncio

    from ...engine.audit import AuditLog, Auditor
    from ...places.annotation_import import find_side_files
    from ...state.target_locks import hold_targets

    book = load_book(config)
    chosen, folder = book.resolve(sites), parse_sub_folder(to)
    warn_unverified_tls(chosen)
    found = list(find_side_files(sources))
    if not found:
        where = printable(", ".join(map(str, sources)))
        raise PmarepError(f"no side file is in {where}; pmarep annotations export writes them")
    log = None if audit is None or dry_run else AuditLog(audit, Auditor.here())
    # Two that add to a slide at the same time would both find nothing there.
    places = [] if dry_run else [(site.name, site.destination_key) for site in chosen]
    with closing(log) if log else nullcontext(), hold_targets(state_path(state_dir) / "locks", places) as busy:
        for error in busy.values():
            echo(f"pmarep: {error}", err=True)
        free = [site for site in chosen if site.name not in busy]
        code = asyncio.run(_import(found, free, folder, log, dry_run=dry_run, json=json))
    raise typer.Exit(code or int(bool(busy)))


async def _import(
    found: list[FoundSideFile], sites: list[Site], to: str, log: AuditLog | None, *, dry_run: bool, json: bool
) -> int:
    """Import all, say each slide at each site, and return the exit code."""
    from ...places.annotation_import import import_annotations
    from ...sites import Credentials
    from ...units import count_of
    from ..render.base import annotations_text

    def say_shared(site: str, other: str) -> None:
        echo(f"note: {site} and {other} share a database: what was added at {other} is at {site} too", err=True)

    counts = {site.name: [0, 0, 0] for site in sites}  # added, there, slides that failed
    stopped: set[str] = set()
    importing = import_annotations(found, sites, Credentials(os.environ), to=to, dry_run=dry_run, say_shared=say_shared)
    async for one in importing:
        brought, of = one.brought, counts[one.site.name]
        failed = int(brought.error is not None and one.slide != "")
        of[0], of[1], of[2] = of[0] + brought.added, of[1] + brought.there, of[2] + failed
        stopped |= {one.site.name} if not one.slide else set()
        if log is not None and one.slide:
            await log.record(_audited(one), on_disk=brought.added > 0)
        _say(one, dry_run=dry_run, json=json)
    if not json:
        width = max(map(len, counts))
        for name, (added, there, failed) in counts.items():
            rest = f"; {count_of(failed, 'slide')} not complete, see above" if failed else ""
            rest += "; STOPPED, see above" if name in stopped else ""
            echo(f"{name:{width}}  {annotations_text(added, there, planned=dry_run)}{rest}")
    return int(bool(stopped) or any(failed for _, _, failed in counts.values()))


def _say(one: Imported, *, dry_run: bool, json: bool) -> None:
    from ..render.base import annotations_error, annotations_text

    brought, slide = one.brought, printable(one.slide)
    if json:
        echo(json_module.dumps({**_line(one), "dry_run": dry_run}))
    elif brought.added:
        echo(f"{one.site.name}: {slide}: {annotations_text(brought.added, brought.there, planned=dry_run)}")
    if brought.error is not None:
        words = printable(brought.error)
        if slide:
            words = annotations_error(slide, brought.missing, words)
        echo(f"pmarep: {one.site.name}: {words}", err=True)


def _line(one: Imported) -> dict[str, Any]:
    brought = one.brought
    return {
        "site": one.site.name,
        "slide": one.slide or None,
        "to": one.to or None,
        "added": brought.added,
        "there": brought.there,
        "missing": brought.missing,
        "error": brought.error,
    }


def _audited(one: Imported) -> dict[str, Any]:
    """Return the line of the audit file, with the keys that a push with --annotations has."""
    brought = one.brought
    return {
        "site": one.site.name,
        "url": one.site.url,
        "slide": one.slide,
        "to": one.to,
        "status": "annotations",
        "error": brought.error,
        "note": "author and date of what was added are this user and now" if brought.added else None,
        "annotations": {"added": brought.added, "there": brought.there, "missing": brought.missing},
    }
