"""A report as one HTML file that needs no network: what is missing, the sites, and the matrix of slides and sites.

What a person has to know is in the HTML itself; the script only draws the matrix. Nothing is loaded: the page forbids
it by a Content-Security-Policy that allows its own script and style alone, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..events import VerifiedBy
from ..text import printable
from ..units import count_of, format_duration, format_size
from .chart import rate_chart
from .exports import why
from .model import Cell, CellState, Line, Report, ReportSite, folder_at_site
from .resend import command_for_all, command_for_slide
from .words import words_of

_LETTERS = {
    CellState.SENT: "S",
    CellState.SKIPPED: "K",
    CellState.VERIFIED: "V",
    CellState.FAILED: "F",
    CellState.LEFT_OUT: "L",
    CellState.UNFINISHED: "U",
    CellState.EXCLUDED: "X",
    CellState.NOT_TRIED: "N",
    CellState.PULLED: "P",
    CellState.ELSEWHERE: "E",
}
_WORDS = {
    CellState.FAILED: "failed",
    CellState.UNFINISHED: "unfinished",
    CellState.NOT_TRIED: "not tried, not known to be there",
}
_LOOKS = [look.value for look in VerifiedBy]

COMMANDS = 2000
"""Slides for which the page has a command of their own."""

SHARDS = 5
"""Shards of which nothing is known that are named."""

NAMES = 50_000
"""Names of missing slides in the part that is printed."""

_NOT_IN_SCRIPTS = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&"}


def to_html(report: Report, state_dir: Path | None = None, thumbnails: Mapping[int, str] | None = None) -> str:
    """Return the page of a report. `thumbnails`: data URIs by the numbers of slides."""
    css, js = _asset("page.css"), _asset("page.js")
    verdict, mood = _verdict(report)
    parts = {
        "policy": f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(js)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        "title": _html(_title(report)),
        "css": css,
        "js": js,
        "verdict": _html(verdict),
        "mood": mood,
        "there": words_of(report).there,
        "moved": words_of(report).moved,
        "facts": "".join(f"<dt>{_html(name)}</dt><dd>{_html(value)}</dd>" for name, value in _facts(report)),
        "sites": "".join(_site_row(site, report) for site in report.sites),
        "missing": _missing_section(report, state_dir),
        "problems": _mirror_section(report) + _problems_section(report),
        "footer": _html(f"Made by pmarep {report.run.about['pmarep']} from the record of this run; nothing is loaded."),
        "data": json.dumps(_data(report, state_dir, thumbnails or {}), separators=(",", ":")).translate(
            _NOT_IN_SCRIPTS
        ),
    }
    # In one pass: what a name brings in is no place for another part.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _asset("page.html"))


def _asset(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _html(text: str) -> str:
    return escape(printable(text))


def _title(report: Report) -> str:
    run = report.run
    which = f"run {run.about['number']}" if report.whole is None else f"{len(report.runs)} of {report.shards} shards"
    return f"{words_of(report).title} of {_local(run.started)} ({which})"


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _verdict(report: Report) -> tuple[str, str]:
    """Return how the run ended, in a sentence, and a class for its colour."""
    run, words, whole = report.run, words_of(report), _whole_words(report)
    missing = "; ".join(filter(None, (_missing_words(report), _unknown_words(report))))
    if run.state == "killed":
        seen = f"The run was killed or the machine went down: its last sign is of {_local(run.ended)}."
        return f"{seen} {missing or f'Every slide that was found by then is {whole}'}.", "bad"
    if run.state == "running":
        return (
            f"The run goes on; this is what was known at {_local(run.ended)}. {missing or 'Nothing is missing'}.",
            "wait",
        )
    summary = run.summary or {}
    said = _empty_sources(summary)
    said += [missing] if missing else []
    if report.problems:
        said.append(f"{count_of(len(report.problems), 'thing')} {words.unlisted}")
    if failed := sum(site.get("annotations_failed", 0) for site in summary.get("sites", {}).values()):
        said.append(f"annotations of {count_of(failed, 'slide')} could not all be brought")
    said += [summary["error"]] if summary.get("error") else []
    if said:
        text = "; ".join(said)
        return f"{text[0].upper()}{text[1:]}{'' if text.endswith('?') else '.'}", "bad"
    if others := _may_have_others(summary):
        return f"Every slide of the source is {whole}; {', '.join(others)} may have others.", "bad"
    if any(site.get("left_out") for site in summary.get("sites", {}).values()):
        return f"Every slide is {whole}.", "wait"
    if summary.get("exit_code"):
        return f"The run ended with exit code {summary['exit_code']}.", "bad"
    if not report.slides:
        return f"No slide was found, nothing was {words.moved}.", "good"
    return f"Every slide is {whole}: {len(report.slides):,} slides, {len(report.sites)} sites.", "good"


def _whole_words(report: Report) -> str:
    """Say where the slides are when none is missing."""
    states = Counter(cell.state for site in report.sites for cell in site.cells.values())
    where = "where the site book wants it" if states[CellState.EXCLUDED] else words_of(report).whole
    left_out = states[CellState.LEFT_OUT]
    return f"{where}, but for {left_out:,} that require leaves out there" if left_out else where


def _may_have_others(summary: Mapping[str, Any]) -> list[str]:
    """Return the sites at which a mirror has left slides that the source has not, or may have."""
    sites = summary.get("sites", {}) if not summary.get("dry_run") else {}
    return [name for name, site in sites.items() if site.get("extra") or site.get("mirror_error")]


def _unknown_words(report: Report) -> str:
    """Say of which shards nothing is known, so that a slide of theirs may be missing anywhere."""
    if not (unknown := report.unknown_shards):
        return ""
    more = f" and {len(unknown) - SHARDS} more" if len(unknown) > SHARDS else ""
    return f"nothing is known here of shard{'s' * (len(unknown) > 1)} {', '.join(unknown[:SHARDS])}{more}"


def _missing_words(report: Report) -> str:
    """Count the slides that are not at every site, apart from those of which that is only not known."""
    slides = {index for index, _, _ in report.missing()}
    absent = {index for index, _, cell in report.missing() if cell.state is not CellState.NOT_TRIED}
    unknown = len(slides - absent)
    of, whole = f"of {len(report.slides):,}", words_of(report).whole
    said = [f"{count_of(len(absent), 'slide')} {of} not {whole}"] if absent else []
    if unknown:
        number = f"{unknown:,} more" if absent else f"{count_of(unknown, 'slide')} {of}"
        said.append(f"{number} not known to be {whole}")
    if undecided := report.undecided():
        said.append(f"{undecided:,} need{'s' if undecided == 1 else ''} a decision")
    return "; ".join(said)


def _empty_sources(summary: Mapping[str, Any]) -> list[str]:
    source = summary.get("source", {})
    if not source.get("empty") or source.get("may_be_empty"):
        return []
    return [f"no slide is in {', '.join(source['empty'])}; is its drive mounted?"]


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    run = report.run
    about: Mapping[str, Any] = run.about
    size = sum(slide.bytes for slide in report.slides)
    machine = f" on {about['machine']}" if about.get("machine") else ""
    if report.is_pull:
        yield "from", ", ".join(about["sources"])
        yield "into", f"{about['folder']}{machine}"
    else:
        yield "from", f"{', '.join(about['sources'])}{machine}"
    if about.get("shard"):
        yield "shard", str(about["shard"])
    yield "slides", f"{len(report.slides):,}, {format_size(size)}"
    yield "took", f"{format_duration((run.ended - run.started).total_seconds())}, until {_local(run.ended)}"
    yield "verified by", "nothing (--verify none)" if about["verify"] == "none" else str(about["verify"])
    if run.summary is not None:
        yield "exit code", str(run.summary["exit_code"])
        if left := {kind: number for kind, number in run.summary["left_out"].items() if number}:
            yield "left out", ", ".join(f"{number:,} {kind}" for kind, number in left.items())


def _site_row(site: ReportSite, report: Report) -> str:
    cells = [report.cell(index, site) for index in range(len(report.slides))]
    cells = [cell for cell in cells if cell.state is not CellState.ELSEWHERE]
    there = sum(cell.state.is_there for cell in cells)
    counts = Counter(cell.state for cell in cells)
    not_tried, left_out = counts[CellState.NOT_TRIED], counts[CellState.LEFT_OUT]
    excluded = counts[CellState.EXCLUDED]
    state = site.state if report.run.state != "killed" else "killed"
    about = [
        _html(site.url if report.is_pull else f"{site.url} {folder_at_site(site, report.run.about['to'])}"),
        _html(state if site.reason is None else f"{state}: {site.reason}"),
    ]
    if excluded:
        about.append(_html(f"{count_of(excluded, 'slide')} excluded by the site book"))
    about += [_html(text) for text in _unequal(site)]
    about += [f"{count_of(left_out, 'slide')} left out by require"] if left_out else []
    chart = rate_chart(site, report.run.started, report.run.ended)
    if chart:
        mean = site.samples[-1].sent / (site.samples[-1].time - report.run.started).total_seconds()
        highest = max(one.rate for one in site.samples)
        words = f"mean over the run {format_size(mean)}/s, at most {format_size(highest)}/s"
        ends = (_local(report.run.started)[11:], words, _local(report.run.ended)[11:])
        chart += '<div class="axis">' + "".join(f"<span>{_html(text)}</span>" for text in ends) + "</div>"
    absent = len(cells) - there - left_out - excluded - not_tried
    columns = [f"{there:,}", *(f"<b>{n:,}</b>" if n else "0" for n in (absent, not_tried))]
    columns += [_html(format_size(site.bytes_sent)), chart]
    name = f"<b>{_html(site.name)}</b><small>{'<br>'.join(about)}</small>"
    return f"<tr><td>{name}</td>{''.join(f'<td>{column}</td>' for column in columns)}</tr>"


def _unequal(site: ReportSite) -> Iterator[str]:
    if differing := site.summary.get("differing"):
        yield f"{count_of(differing, 'slide')} there differ from the ones here and were left as they are"
    if changed := site.summary.get("changed"):
        yield f"{count_of(changed, 'slide')} there have the names and sizes of the ones here, which have changed since"


def _missing_section(report: Report, state_dir: Path | None) -> str:
    groups: dict[tuple[int, str, str], list[int]] = defaultdict(list)
    numbers = {id(site): number for number, site in enumerate(report.sites)}
    size, missing, tried = 0, set(), set()
    say = words_of(report)
    for index, site, cell in report.missing():
        words = f"{_WORDS[cell.state]}{', needs a decision' if cell.needs_decision else ''}"
        groups[numbers[id(site)], words, why(cell, site) or ""].append(index)
        size += report.slides[index].bytes
        missing.add(index)
        if cell.state is not CellState.NOT_TRIED:
            tried.add(index)
    if not groups:
        return ""
    title = "What is missing" if tried else "What is not known to be there"
    out = [f'<section aria-labelledby="h-missing"><h2 id="h-missing">{title}</h2>']
    are = "is" if len(missing) == 1 else "are"
    known = f"known to be {say.whole}" if tried != missing else say.whole
    out.append(f"<p>{count_of(len(missing), 'slide')} {are} not {known}, {_html(format_size(size))} at most.</p>")
    if command := command_for_all(report, state_dir):
        out.append(f"<p>This {say.gets if tried else f'looks {say.there}, and {say.gets}'} what is missing:</p>")
        out.append(
            f'<div class="command"><pre>{escape(command)}</pre><button type="button" data-copy>Copy</button></div>'
        )
    if undecided := report.undecided():
        need = "needs" if undecided == 1 else "need"
        out.append(
            f"<p>{count_of(undecided, 'slide')} {need} a decision, or the next {say.refused} refuses the same again. "
            f"Where another slide is {say.there}, <code>--existing overwrite</code> would replace it and "
            "<code>--existing skip</code> leave it; the reasons are below.</p>"
        )
    left = NAMES
    for (number, words, reason), slides in sorted(groups.items(), key=lambda group: (group[0][0], -len(group[1]))):
        site = report.sites[number]
        out.append(f'<div class="group"><b>{_html(site.name)}: {count_of(len(slides), "slide")} {words}</b> ')
        out.append(f'<button type="button" data-show="{number}">Show</button>')
        out.append(f"<br><small>{_html(reason)}</small>" if reason else "")
        out.append(_names((report.slides[index].path for index in slides[:left]), len(slides)))
        left -= len(slides[:left])
        out.append("</div>")
    return "".join([*out, "</section>"])


def _names(names: Iterable[str], count: int) -> str:
    """Return a list of names; the script hides a long one on the screen, since the matrix has them."""
    items = [f"<li>{_html(name)}</li>" for name in names]
    if count > len(items):
        items.append(f"<li>and {count - len(items):,} more (pmarep report --format csv has all)</li>")
    return f'<ul class="names{" all" if count > 5 else ""}">{"".join(items)}</ul>'


def _mirror_section(report: Report) -> str:
    """Return what a mirror has deleted at each site, and what stays there though the source has it not."""
    out = []
    for title, lines in (("Deleted, since the source has it not", report.deleted), ("Not in the source", report.extra)):
        by_site: dict[str, list[Line]] = defaultdict(list)
        for line in lines:
            by_site[line["site"]].append(line)
        for site, there in by_site.items():
            size = format_size(sum(line["bytes"] for line in there))
            out.append(f'<div class="group"><b>{_html(site)}: {count_of(len(there), "slide")}, {_html(size)}</b> ')
            out.append(f"<small>{_html(title)}</small>")
            out.append(_names((line["slide"] for line in there[:NAMES]), len(there)) + "</div>")
    head = '<section aria-labelledby="h-mirror"><h2 id="h-mirror">Mirror</h2>'
    return "".join([head, *out, "</section>"]) if out else ""


def _problems_section(report: Report) -> str:
    out = []
    if report.problems:
        out.append('<section aria-labelledby="h-problems"><h2 id="h-problems">')
        out.append(f"{words_of(report).in_source}</h2>")
        for line in report.problems:
            text = f"{line['path']}: {line['why']}"
            out.append(f'<div class="group"><b>{_html(text)}</b> <small>{_html(line["detail"])}</small></div>')
        out.append("</section>")
    if report.notices:
        out.append('<section aria-labelledby="h-notices"><h2 id="h-notices">Notices</h2><ul>')
        out += [f"<li>{_html(line['text'])}</li>" for line in report.notices]
        out.append("</ul></section>")
    return "".join(out)


def _data(report: Report, state_dir: Path | None, thumbnails: Mapping[int, str]) -> dict[str, Any]:
    """Return what the script draws the matrix from: columns, not rows, since that is a third of the text."""
    start = report.run.started
    errors: dict[str, int] = {}
    formats: dict[str, int] = {}
    zone = start.astimezone().utcoffset()
    return {
        "start": int(start.timestamp()),
        "zone": 0 if zone is None else int(zone.total_seconds()),
        "names": [printable(slide.path) for slide in report.slides],
        "format": [formats.setdefault(slide.format, len(formats)) for slide in report.slides],
        "formats": list(formats),
        "bytes": [slide.bytes for slide in report.slides],
        "files": [slide.files for slide in report.slides],
        "sites": [_site_data(site, report, errors) for site in report.sites],
        "words": words_of(report)._asdict(),
        "errors": list(errors),
        "commands": _commands(report, state_dir),
        "thumbnails": thumbnails,
    }


def _site_data(site: ReportSite, report: Report, errors: dict[str, int]) -> dict[str, Any]:
    start = report.run.started
    cells = [report.cell(index, site) for index in range(len(report.slides))]
    times: dict[datetime | None, int] = {None: -1}

    def since_start(cell: Cell) -> int:
        if cell.time not in times and cell.time is not None:
            times[cell.time] = max(int((cell.time - start).total_seconds()), 0)
        return times[cell.time]

    return {
        "name": printable(site.name),
        "reason": printable(site.reason or ""),
        "states": "".join(_LETTERS[cell.state] for cell in cells),
        "when": [since_start(cell) for cell in cells],
        "looks": "".join("-" if cell.verified_by is None else str(_LOOKS.index(cell.verified_by)) for cell in cells),
        "sent": {
            index: [cell.bytes, cell.resumed, round(cell.seconds, 1)]
            for index, cell in enumerate(cells)
            if cell.bytes or cell.resumed
        },
        "named": {index: printable(name) for index, name in site.names.items()},
        "errors": {
            index: errors.setdefault(printable(cell.error), len(errors))
            for index, cell in enumerate(cells)
            if cell.error is not None
        },
    }


def _commands(report: Report, state_dir: Path | None) -> dict[int, str]:
    missing: dict[int, list[ReportSite]] = {}
    for index, site, cell in report.missing():
        if cell.needs_decision:
            continue
        if index not in missing and len(missing) == COMMANDS:
            break
        missing.setdefault(index, []).append(site)
    return {index: command_for_slide(report, report.slides[index], at, state_dir) for index, at in missing.items()}
