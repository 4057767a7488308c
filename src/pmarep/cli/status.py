"""`pmarep status`: what is unfinished, and how the last runs ended."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias

import typer

from ..errors import UsageError
from .config_files import state_path
from .options import StateDirOption
from .output_streams import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..state.journal import Journal
    from ..state.records import RemotePath, Run

SHOWN = 20  # partly sent slides of one server
MOST = 1_000_000  # runs

Unfinished: TypeAlias = "dict[RemotePath, Kept]"


class Kept(NamedTuple):
    """What a server has of an unfinished slide: files, parts of others, bytes, and what is still to be sent of it.

    The bytes are None where the journal does not know them: from an older pmarep, or of a slide that was damaged.
    """

    files: int = 0
    parts: int = 0
    bytes: int | None = None
    left: int | None = None


def status(
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    count: Annotated[int, typer.Option("--runs", "-n", metavar="N", help="How many of the last runs.", min=0)] = 5,
    state_dir: StateDirOption = None,
) -> None:
    """Show the slides that are partly sent, and the last runs. Contacts nobody."""
    import asyncio

    if count > MOST:
        raise UsageError(f"--runs takes numbers up to {MOST:,}")
    folder = state_path(state_dir)
    runs: list[Run] = []
    places: Unfinished = {}
    if (folder / "journal.sqlite").exists():
        runs, places = asyncio.run(_read(folder, count))
    if json:
        _print_json(runs, places)
    else:
        _print_lines(runs, places, f"no runs yet in {folder}" if count else "")


async def _read(folder: Any, count: int) -> tuple[list[Run], Unfinished]:
    from ..state.journal import Journal

    journal = Journal(folder, read_only=True)
    try:
        return await journal.runs(count), {
            place: await _kept_of(journal, place) for place in await journal.unfinished()
        }
    finally:
        journal.close()


async def _kept_of(journal: Journal, place: RemotePath) -> Kept:
    from ..state.unfinished import kept_and_left

    entry = await journal.entry(place)
    if entry is None:  # finished meanwhile by a run that goes on
        return Kept()
    parts = sum(len(numbers) for numbers in entry.parts.values())
    return Kept(len(entry.files), parts, *(kept_and_left(entry) or (None, None)))


def _print_json(runs: list[Run], places: Unfinished) -> None:
    import dataclasses
    import json

    echo(
        json.dumps(
            {
                "unfinished": [
                    {
                        **dataclasses.asdict(place),
                        "files_kept": kept.files,
                        "parts_kept": kept.parts,
                        "bytes_kept": kept.bytes,
                        "bytes_to_send": kept.left,
                    }
                    for place, kept in places.items()
                ],
                "runs": [{"started": r.started, "sources": r.sources, "summary": r.summary} for r in runs],
            }
        )
    )


def _print_lines(runs: list[Run], places: Unfinished, none: str) -> None:
    from datetime import datetime

    _print_unfinished(places)
    if runs or none:
        echo("last runs:" if runs else none)
    for run in runs:
        started = datetime.fromtimestamp(run.started).astimezone().isoformat(" ", "seconds")
        echo(f"  {started}  {' '.join(run.sources)}: {_how_it_ended(run.summary)}")


def _print_unfinished(places: Unfinished) -> None:
    echo(f"{len(places)} partly sent" + (":" if places else ""))
    for server, found in itertools.groupby(places, key=lambda place: place.server):
        here = list(found)
        for place in here[:SHOWN]:
            echo(f"  {server}  {place.path}  ({_in_words(places[place])})")
        if len(here) > SHOWN:
            echo(f"  {server}  and {len(here) - SHOWN} more (--json has all)")
        if len(here) > 1 and (total := _total([places[place] for place in here])):
            echo(f"  {server}  all together: {total}")
    if places:
        echo("  a push of the same SRC, --sites and --to finishes them; with --fresh it begins them again")


def _in_words(kept: Kept) -> str:
    """Say what the next run need not send again, and what it does."""
    from .render.base import count_of

    if kept.bytes is not None and kept.left is not None:
        return _bytes_in_words(kept.bytes, kept.left)
    said = [count_of(number, noun) for number, noun in ((kept.files, "file"), (kept.parts, "part")) if number]
    return f"{' and '.join(said)} kept" if said else "nothing of it is kept"


def _total(slides: Sequence[Kept]) -> str:
    """Add up the slides of one server, in words; empty where the bytes of a slide are not known."""
    if any(kept.bytes is None for kept in slides):
        return ""
    return _bytes_in_words(sum(kept.bytes or 0 for kept in slides), sum(kept.left or 0 for kept in slides))


def _bytes_in_words(kept: int, left: int) -> str:
    from ..units import format_size

    return f"{format_size(kept) if kept else 'nothing'} kept, {format_size(left)} to send"


def _how_it_ended(summary: dict[str, Any] | None) -> str:
    from .render.base import count_of

    if summary is None:
        return "did not end (it still runs, or was killed)"
    verified = summary.get("verify_only", False)
    said = [f"{'verify, ' if verified else ''}exit {summary['exit_code']}"]
    sites = [f"{name} {_counts(site, verified)}" for name, site in summary["sites"].items()]
    said += [", ".join(sites)] if sites else []
    if problems := summary.get("source_problems", 0):
        said.append(f"{count_of(problems, 'thing')} in the source could not be sent")
    said += [summary["error"]] if summary.get("error") else []
    return "; ".join(said)


def _counts(site: dict[str, Any], verified: bool) -> str:
    stopped = f" (stopped: {site['error']})" if site.get("error") else ""
    if verified:
        return f"{site['verified']} verified {site['failed']} failed{stopped}"
    not_begun = f" {site['not_begun']} not begun" if site.get("not_begun") else ""
    return f"{site['sent']} sent {site['skipped']} skipped {site['failed']} failed{not_begun}{stopped}"
