"""Print what `pmarep status` has found: as lines for people, and as JSON."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from ...state.run_progress import RunState, SiteProgress
from ...system.shell_words import shell_line
from ...text import printable
from ...units import count_of, format_duration, format_size
from ..list_output import print_columns
from ..output_streams import echo
from .overview import Overview, RecordedRun, UnfinishedSlide

SHOWN = 5
"""Partly sent slides of one site that are named."""


def print_json(overview: Overview) -> None:
    """Print one JSON object."""
    found = {
        "unfinished": [_slide_object(slide) for slide in overview.unfinished],
        "runs": [_run_object(one, overview) for one in overview.runs],
    }
    echo(json.dumps(found))


def _slide_object(slide: UnfinishedSlide) -> dict[str, Any]:
    return {
        "server": slide.place.server,
        "path": slide.place.path,
        "files_kept": slide.files,
        "parts_kept": slide.parts,
        "bytes_kept": slide.kept,
        "bytes_to_send": slide.left,
        "site": slide.site,
        "since": slide.since,
    }


def _run_object(one: RecordedRun, overview: Overview) -> dict[str, Any]:
    go_on = overview.to_go_on.get(one.key)
    found = {
        "started": one.run.started,
        "sources": one.run.sources,
        "summary": one.run.summary,
        "number": one.run.number,
        "command": one.command,
        "state": one.state,
        "shard": None if one.shard is None else str(one.shard),
        "state_dir": str(one.folder.root.absolute()),
        "to": None if one.progress is None else one.progress.to,
        "folder": None if one.progress is None else one.progress.folder,
        "to_go_on": None if go_on is None else ["pmarep", *go_on],
        "progress": None,
    }
    if one.progress is not None and one.run.summary is None:
        found["progress"] = {
            "last": one.progress.last.timestamp(),
            "process": one.progress.pid,
            "slides": one.progress.slides,
            "sites": {
                name: {key: getattr(site, key) for key in _SITE_KEYS} for name, site in one.progress.sites.items()
            },
        }
    return found


_COUNTS = ("sent", "skipped", "verified", "failed", "left_out", "pulled", "excluded")
_ADDED = (*_COUNTS, "not_begun", "not_looked_at")
_SITE_KEYS = ("state", "reason", *_COUNTS, "bytes_done", "bytes_total", "rate")


def print_lines(overview: Overview, none: str) -> None:
    """Print lines for people; `none`: what is said where there are no runs."""
    for one in overview.runs:
        if one.state is RunState.RUNNING:
            _print_running(one)
    _print_unfinished(overview.unfinished)
    if overview.runs or none:
        shards = any(row[0].shard for row in overview.rows)
        more = (
            "NUMBER has more of one; of a shard with --state-dir DIR/shard-K-of-N"
            if shards
            else "NUMBER has more of one"
        )
        echo(f"last runs (pmarep report {more}):" if overview.runs else none)
    several = len({one.folder.root for one in overview.runs}) > 1
    for row in overview.rows:
        if row[0].shard is not None:
            _print_shards(row, overview)
            continue
        (one,) = row
        where = f" (in {one.folder.root})" if several else ""
        echo(f"  {one.run.number}  {_moment(one.run.started)}  {_from_and_to(one)} {_how_it_ended(one)}{where}")
        _print_what_to_do(one, overview, "    ")


def _print_shards(row: Sequence[RecordedRun], overview: Overview) -> None:
    """Print the runs of shards that belong together: their sum, and those about which there is something to do."""
    count = row[0].shard.count if row[0].shard else 0
    began = min(one.run.started for one in row)
    echo(f"  {len(row)} of {count} shards  {_moment(began)}  {_from_and_to(row[0])} {_how_shards_ended(row, count)}")
    for one in sorted(row, key=lambda one: one.shard.number if one.shard else 0):
        if overview.to_go_on.get(one.key) is not None or (one.key in overview.latest and one.undecided):
            echo(f"    {one.shard}: {_how_it_ended(one)}")
            _print_what_to_do(one, overview, "      ")


def _how_shards_ended(row: Sequence[RecordedRun], count: int) -> str:
    """Say how the runs of shards ended, and what is at the sites by all of them together."""
    words = {RunState.RUNNING: "still running", RunState.KILLED: "killed", RunState.UNKNOWN: "not ended"}
    how = Counter(words.get(one.state) or f"exit {(one.run.summary or {}).get('exit_code')}" for one in row)
    said = [next(iter(how))] if len(how) == 1 else [", ".join(f"{number} {what}" for what, number in how.items())]
    numbers = {one.shard.number for one in row if one.shard}
    if missing := [f"{number}/{count}" for number in range(1, count + 1) if number not in numbers]:
        shown = ", ".join(missing[:SHOWN]) + (f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else "")
        said.append(f"nothing is known here of {shown}")
    sums: dict[str, Counter[str]] = {}
    for one in row:
        sites = one.run.summary["sites"] if one.run.summary else {}
        if one.run.summary is None and one.progress is not None:
            sites = {name: _as_summary(site) for name, site in one.progress.sites.items()}
        for name, site in sites.items():
            sums.setdefault(name, Counter()).update(
                {key: value for key in _ADDED if isinstance(value := site.get(key), int)}
            )
    command = row[0].command
    said.append(", ".join(f"{name} {_counts(site, command)}" for name, site in sums.items()))
    return f"{_named(command)}{'; '.join(said)}"


def _print_what_to_do(one: RecordedRun, overview: Overview, indent: str) -> None:
    if (go_on := overview.to_go_on.get(one.key)) is not None:
        echo(f"{indent}to go on: {shell_line(['pmarep', *go_on])}")
    if one.key in overview.latest and (undecided := one.undecided):
        need = "needs" if undecided == 1 else "need"
        slides = count_of(undecided, "slide")
        where = "here" if one.command == "pull" else "there"
        echo(f"{indent}{slides} {need} a decision, or a {one.command} refuses the same again: where another")
        echo(f"{indent}slide is {where}, --existing overwrite would replace it and --existing skip leave it")


def _print_running(one: RecordedRun) -> None:
    progress = one.progress
    if progress is None:
        return
    since = format_duration(max(0.0, time.time() - progress.started.timestamp()))
    process = "" if progress.pid is None else f" (process {progress.pid})"
    shard = [] if one.shard is None else ["--shard", str(one.shard)]
    echo(f"{one.command} {_from_and_to(one, shard)} running for {since}{process}")
    rows = [["SITE", "STATE", "SLIDES", "BYTES", "RATE"]]
    rows += [[name, *_site_cells(site, progress.slides)] for name, site in progress.sites.items()]
    print_columns(rows, "  ")
    for name, site in progress.sites.items():
        if site.reason:
            echo(f"  {name}: {printable(site.reason)}")
    echo(f"  as of {_moment(progress.last.timestamp())}")


def _from_and_to(one: RecordedRun, more: Sequence[str] = ()) -> str:
    """Return the sources of a run, its DIR or `--to`, and more words; with a colon, where no place ends in one."""
    to = ["--to", one.progress.to] if one.progress is not None and one.progress.to else []
    to += [one.progress.folder] if one.progress is not None and one.progress.folder else []
    words = " ".join(map(printable, [*one.run.sources, *to, *more]))
    return words if words.endswith(":") else f"{words}:"


def _site_cells(site: SiteProgress, slides: int) -> list[str]:
    failed = f", {site.failed} failed" if site.failed else ""
    failed += f", {site.left_out} left out" if site.left_out else ""
    sizes = f"{format_size(site.bytes_done)} of {format_size(site.bytes_total)}"
    moves = site.state == "running"
    rate = f"{format_size(site.rate)}/s" if moves else ""
    if moves and site.rate > 0 and site.bytes_total > site.bytes_done:
        rate += f", {format_duration((site.bytes_total - site.bytes_done) / site.rate)} left"
    return [site.state, f"{site.slides_done} of {slides - site.excluded}{failed}", sizes, rate]


def _print_unfinished(slides: Sequence[UnfinishedSlide]) -> None:
    echo(f"{len(slides)} partly sent" + (":" if slides else ""))
    if not slides:
        return
    by_site = [(name, list(some)) for name, some in groupby(sorted(slides, key=_where), key=_where)]
    rows = [["SITE", "SLIDES", "KEPT", "TO SEND", "OLDEST"]]
    rows += [[name, str(len(some)), *_sizes(some), _age(min(slide.since for slide in some))] for name, some in by_site]
    print_columns(rows, "  ")
    for name, some in by_site:
        for slide in sorted(some, key=lambda slide: slide.kept or 0, reverse=True)[:SHOWN]:
            echo(f"  {name}  {printable(slide.place.path)}  ({_in_words(slide)})")
        if len(some) > SHOWN:
            echo(f"  {name}  and {len(some) - SHOWN} more (--json has all)")
    echo("  a push of the same SRC, --sites and --to finishes them; with --fresh it begins them again")


def _where(slide: UnfinishedSlide) -> str:
    return slide.site or slide.place.server


def _sizes(slides: Sequence[UnfinishedSlide]) -> tuple[str, str]:
    """Add up the bytes of some slides; `?` where those of one are not known."""
    if any(slide.kept is None or slide.left is None for slide in slides):
        return "?", "?"
    return format_size(sum(slide.kept or 0 for slide in slides)), format_size(sum(slide.left or 0 for slide in slides))


def _in_words(slide: UnfinishedSlide) -> str:
    """Say what the next run need not send again, and what it does."""
    if slide.kept is not None and slide.left is not None:
        return f"{format_size(slide.kept) if slide.kept else 'nothing'} kept, {format_size(slide.left)} to send"
    said = [count_of(number, noun) for number, noun in ((slide.files, "file"), (slide.parts, "part")) if number]
    return f"{' and '.join(said)} kept" if said else "nothing of it is kept"


def _how_it_ended(one: RecordedRun) -> str:
    if (summary := one.run.summary) is None:
        return _how_far(one)
    said = [f"{_named(one.command)}exit {summary['exit_code']}"]
    sites = [f"{name} {_counts(site, one.command)}" for name, site in summary["sites"].items()]
    said += [", ".join(sites)] if sites else []
    source = summary.get("source", {})
    if source.get("empty") and not source.get("may_be_empty"):
        said.append(f"no slide is in {', '.join(map(printable, source['empty']))}; is its drive mounted?")
    if problems := summary.get("source_problems", 0):
        pulled = one.command == "pull"
        what = ("place or folder", "places or folders") if pulled else ("thing", "things")
        said.append(
            f"{count_of(problems, *what)} {'could not be looked at' if pulled else 'in the source could not be sent'}"
        )
    said += [summary["error"]] if summary.get("error") else []
    return "; ".join(said)


def _how_far(one: RecordedRun) -> str:
    """Say how far a run has come that has not said how it ended."""
    if one.progress is None:
        return "did not end (it still runs, or was killed)"
    last = _moment(one.progress.last.timestamp())
    words = {
        RunState.RUNNING: "goes on",
        RunState.KILLED: f"was killed, or the machine went down; last heard of at {last}",
    }.get(one.state, "ended")
    sites = [f"{name} {_counts(_as_summary(site), one.command)}" for name, site in one.progress.sites.items()]
    return f"{_named(one.command)}{words}; {', '.join(sites)}"


def _as_summary(site: SiteProgress) -> dict[str, Any]:
    return {key: getattr(site, key) for key in _COUNTS}


def _named(command: str) -> str:
    """Return what stands before how a run ended: its command, where it is no push."""
    return "" if command == "push" else f"{command}, "


def _counts(site: dict[str, Any], command: str) -> str:
    notes = [f"{site['not_looked_at']} not looked at"] if site.get("not_looked_at") else []
    notes += [f"{site['excluded']} excluded by the site book"] if site.get("excluded") else []
    notes += [f"stopped: {site['error']}"] if site.get("error") else []
    why = f" ({'; '.join(notes)})" if notes else ""
    left_out = f" {site['left_out']} left out" if site.get("left_out") else ""
    if command == "verify":
        return f"{site['verified']} verified {site['failed']} failed{left_out}{why}"
    not_begun = f" {site['not_begun']} not begun" if site.get("not_begun") else ""
    moved = "pulled" if command == "pull" else "sent"
    return f"{site.get(moved, 0)} {moved} {site['skipped']} skipped {site['failed']} failed{left_out}{not_begun}{why}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(" ", "seconds")


def _age(since: float) -> str:
    return f"{format_duration(max(0.0, time.time() - since))} ago"
