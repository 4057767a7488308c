"""A report as JSON, for programs, and as CSV, for spreadsheets: one row for each slide and site."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..text import spreadsheet_cell
from .model import Cell, CellState, Report, ReportSite, at_site
from .resend import command_for_all

VERSION = 1
"""Of the JSON. New keys are no new version."""

COLUMNS = (
    "slide", "format", "files", "bytes", "source", "site", "to", "state", "finished", "verified_by", "bytes_sent",
    "bytes_resumed", "seconds", "error",
)  # fmt: skip


_DELETED = ("time", "site", "slide", "to", "files", "bytes")


def to_json(report: Report, state_dir: Path | None = None) -> str:
    """Return a report as one JSON object, ASCII, with names as they are."""
    missing = [(report.slides[index].bytes, cell.resumed) for index, _, cell in report.missing()]
    data = {
        "report": VERSION,
        "runs": [
            {
                "number": run.about["number"],
                "started": run.about["time"],
                "state": run.state,
                "command": run.about["command"],
                "sources": run.about["sources"],
                "to": run.about["to"],
                "folder": run.about.get("folder"),
                "shard": run.about.get("shard"),
                "summary": run.summary,
            }
            for run in report.runs
        ],
        "shards": None if report.shards is None else {"count": report.shards, "unknown": report.unknown_shards},
        "sites": [
            {
                "name": site.name,
                "url": site.url,
                "target": site.target,
                "state": site.state,
                "reason": site.reason,
                "rates": [
                    {"time": one.time.isoformat(timespec="milliseconds"), "rate": one.rate} for one in site.samples
                ],
            }
            for site in report.sites
        ],
        "slides": [
            {
                "slide": slide.path,
                "format": slide.format,
                "files": slide.files,
                "bytes": slide.bytes,
                "source": slide.local,
                "sites": {site.name: _cell(report.cell(index, site), site, index) for site in report.sites},
            }
            for index, slide in enumerate(report.slides)
        ],
        "source_problems": [{key: line[key] for key in ("path", "why", "detail")} for line in report.problems],
        "notices": [line["text"] for line in report.notices],
        "deleted": [{key: line[key] for key in _DELETED} for line in report.deleted],
        "extra": [{key: line[key] for key in (*_DELETED, "reason")} for line in report.extra],
        "missing": {
            "count": len(missing),
            "bytes": sum(size for size, _ in missing),
            "needs_decision": report.undecided(),
            "command": command_for_all(report, state_dir),
        },
    }
    return json.dumps(data)


def _cell(cell: Cell, site: ReportSite, index: int) -> Mapping[str, Any]:
    return {
        "state": cell.state.value,
        "finished": _when(cell),
        "verified_by": cell.verified_by,
        "bytes_sent": cell.bytes,
        "bytes_resumed": cell.resumed,
        "seconds": _seconds(cell),
        "error": why(cell, site),
        "needs_decision": cell.needs_decision,
        **({"to": site.names[index]} if index in site.names else {}),
    }


_NAMES = ("slide", "site", "to")


def to_csv(report: Report) -> str:
    """Return a report as a table, one row for each slide and site; a line break is CR LF, as RFC 4180 says.

    Slides that a mirror has deleted, or found to be extra, come last.

    It begins with a byte order mark, or Excel would take UTF-8 for another encoding. Texts that a spreadsheet would
    take for formulas begin with an apostrophe; control characters in names are escaped.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for index, slide in enumerate(report.slides):
        path, kind, local = map(spreadsheet_cell, (slide.path, slide.format, slide.local))
        what = [path, kind, slide.files, slide.bytes, local]
        for site in report.sites:
            cell, to = report.cell(index, site), at_site(site, report, index)
            if cell.state is CellState.ELSEWHERE:
                continue
            where = [spreadsheet_cell(site.name), spreadsheet_cell(to), cell.state.value, _when(cell), cell.verified_by]
            how = [cell.bytes, cell.resumed, _seconds(cell), spreadsheet_cell(why(cell, site) or "")]
            writer.writerow([*what, *where, *how])
    for state, lines in (("deleted", report.deleted), ("extra", report.extra)):
        for line in lines:
            gone, name, to, reason = map(spreadsheet_cell, (*(line[key] for key in _NAMES), line.get("reason", "")))
            what = [gone, "", line["files"], line["bytes"], "", name, to, state, line["time"], None]
            writer.writerow([*what, 0, 0, None, reason])
    return "\ufeff" + out.getvalue()


def why(cell: Cell, site: ReportSite) -> str | None:
    """Return why a slide is not at a site, or not sent there, as far as anybody has said so; None where it is there."""
    return None if cell.state.is_there or cell.state is CellState.ELSEWHERE else cell.error or site.reason


def _when(cell: Cell) -> str | None:
    """Return when a slide was finished, sent or not; None where it was not."""
    return cell.time.isoformat(timespec="seconds") if cell.has_ended and cell.time is not None else None


def _seconds(cell: Cell) -> float | None:
    return cell.seconds if cell.has_ended else None
