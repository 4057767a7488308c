"""`pmarep status`: what is unfinished, and how the last runs ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import StateDirOption, state_path

if TYPE_CHECKING:
    from ..journal import Place, Run


def status(
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    count: Annotated[int, typer.Option("--runs", "-n", metavar="N", help="How many of the last runs.", min=0)] = 5,
    state_dir: StateDirOption = None,
) -> None:
    """Show the slides that are partly sent, and the last runs. Contacts nobody."""
    import asyncio

    folder = state_path(state_dir)
    runs: list[Run] = []
    places: list[Place] = []
    if (folder / "journal.sqlite").exists():
        runs, places = asyncio.run(_read(folder, count))
    if json:
        _print_json(runs, places)
    else:
        _print_lines(runs, places)


async def _read(folder: Any, count: int) -> tuple[list[Run], list[Place]]:
    from ..journal import Journal

    journal = Journal(folder)
    try:
        return await journal.runs(count), await journal.unfinished()
    finally:
        journal.close()


def _print_json(runs: list[Run], places: list[Place]) -> None:
    import dataclasses
    import json

    print(
        json.dumps(
            {
                "unfinished": [dataclasses.asdict(place) for place in places],
                "runs": [{"started": r.started, "sources": r.sources, "summary": r.summary} for r in runs],
            }
        )
    )


def _print_lines(runs: list[Run], places: list[Place]) -> None:
    from datetime import datetime

    print(f"{len(places)} partly sent" + (", to be finished by the next push:" if places else ""))
    for place in places:
        print(f"  {place.server}  {place.path}")
    print("last runs:" if runs else "no runs yet")
    for run in runs:
        started = datetime.fromtimestamp(run.started).astimezone().isoformat(" ", "seconds")
        print(f"  {started}  {' '.join(run.sources)}: {_how_it_ended(run.summary)}")


def _how_it_ended(summary: dict[str, Any] | None) -> str:
    if summary is None:
        return "did not end (it still runs, or was killed)"
    sites = ", ".join(
        f"{name} {site['sent']} sent {site['skipped']} skipped {site['failed']} failed"
        for name, site in summary["sites"].items()
    )
    return f"exit {summary['exit_code']}; {sites}"
