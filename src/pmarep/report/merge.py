"""Merge the reports of runs that belong together, as those of shards do, into one: nothing is counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..slides.shard import Shard
from .model import Line, Report, ReportRun, ReportSite, Sample

_STATES = ("stopped", "paused", "connecting", "running", "done")
"""Of a site, the one that a person has to know first comes first."""

_EXIT_CODES = (0, 4, 1, 2, 3, 130)
"""The one that counts for all comes last."""


def merge_reports(reports: Sequence[Report]) -> Report:
    """Return one report of reports of one run each, the oldest first. Of a slide at a site the last one counts."""
    if len(reports) == 1:
        return reports[0]
    merged = Report(runs=[run for one in reports for run in one.runs])
    indices: dict[str, int] = {}
    parts: dict[tuple[str, str, str], list[ReportSite]] = {}
    for report in reports:
        numbers = []
        for slide in report.slides:
            index = indices.setdefault(slide.path, len(merged.slides))
            numbers.append(index)
            merged.slides[index : index + 1] = [slide]
        for site in report.sites:
            key = (site.name, site.url, site.target)
            parts.setdefault(key, []).append(site)
            if len(parts[key]) == 1:
                merged.sites.append(ReportSite(*key))
            whole = next(one for one in merged.sites if (one.name, one.url, one.target) == key)
            whole.cells.update((numbers[index], cell) for index, cell in site.cells.items())
            whole.names.update((numbers[index], name) for index, name in site.names.items())
        merged.deleted += report.deleted
        merged.extra += report.extra
        merged.problems += _new(merged.problems, report.problems, ("path", "why"))
        merged.notices += _new(merged.notices, report.notices, ("text",))
    for site in merged.sites:
        _merge_site(site, parts[site.name, site.url, site.target])
    merged.whole = _whole_run(merged.runs)
    merged.shards, merged.unknown_shards = _shards(merged.runs)
    return merged


def _new(known: Sequence[Line], lines: Sequence[Line], keys: Sequence[str]) -> list[Line]:
    """Return the lines that say something else than those that are known: each run says what is about the source."""
    said = {tuple(line[key] for key in keys) for line in known}
    return [line for line in lines if tuple(line[key] for key in keys) not in said]


def _merge_site(site: ReportSite, parts: Sequence[ReportSite]) -> None:
    worst = min(parts, key=lambda one: _STATES.index(one.state) if one.state in _STATES else len(_STATES))
    site.state = worst.state
    site.reason = worst.reason or next((one.reason for one in parts if one.reason), None)
    site.summary = {**_sum([one.summary for one in parts]), "bytes_sent": sum(one.bytes_sent for one in parts)}
    site.pauses = sorted((pause for one in parts for pause in one.pauses), key=lambda pause: pause[0])
    site.samples = _add_rates([one for one in parts if one.samples])


def _sum(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up the numbers of summaries; of other values the first one that says something stays."""
    found: dict[str, Any] = {}
    for summary in summaries:
        for key, value in summary.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[key] = found.get(key, 0) + value
            else:
                found[key] = found.get(key) or value
    return found


def _add_rates(parts: Sequence[ReportSite]) -> list[Sample]:
    """Return the rate of several runs together: at each moment the sum of those that go on then."""
    if len(parts) == 1:
        return parts[0].samples
    changes: Counter[datetime] = Counter()
    for part in parts:
        for sample, begin in zip(part.samples, part.begins, strict=True):
            changes[begin] += sample.rate  # type: ignore[assignment]
            changes[sample.time] -= sample.rate  # type: ignore[assignment]
    found: list[Sample] = []
    rate, sent, before = 0.0, 0.0, None
    for moment in sorted(changes):
        if before is not None:
            sent += rate * (moment - before).total_seconds()
            found.append(Sample(moment, max(rate, 0.0), round(sent)))
        rate, before = rate + changes[moment], moment
    return found


def _whole_run(runs: Sequence[ReportRun]) -> ReportRun:
    last, machines = runs[-1], dict.fromkeys(str(run.about.get("machine") or "") for run in runs)
    about = {**last.about, "shard": None, "machine": ", ".join(filter(None, machines))}
    states = {run.state for run in runs}
    summary = _whole_summary([run.summary for run in runs if run.summary]) if states == {"finished"} else None
    started, ended = min(run.started for run in runs), max(run.ended for run in runs)
    return ReportRun(about, "running" in states, started, ended, summary)


def _whole_summary(summaries: Sequence[Line]) -> Line:
    sites: dict[str, list[Mapping[str, Any]]] = {}
    for summary in summaries:
        for name, site in summary["sites"].items():
            sites.setdefault(name, []).append(site)
    codes = [summary["exit_code"] for summary in summaries]
    sources = [summary.get("source", {}) for summary in summaries]
    return {
        **summaries[-1],
        "exit_code": max(codes, key=lambda code: _EXIT_CODES.index(code) if code in _EXIT_CODES else len(_EXIT_CODES)),
        "seconds": max(summary["seconds"] for summary in summaries),
        "sites": {name: _sum(some) for name, some in sites.items()},
        "source_problems": sum(summary["source_problems"] for summary in summaries),
        "source": {
            **_sum(sources),
            **{key: sorted({path for one in sources for path in one.get(key, ())}) for key in ("empty", "filtered")},
            "reasons": _sum([one.get("reasons", {}) for one in sources]),
        },
        "left_out": _sum([summary["left_out"] for summary in summaries]),
        "error": "; ".join(dict.fromkeys(summary["error"] for summary in summaries if summary["error"])) or None,
        "shard": None,
    }


def _shards(runs: Sequence[ReportRun]) -> tuple[int | None, list[str]]:
    """Return N where the runs are of shards K/N, and the shards that no run is of."""
    known = [Shard.parse(run.about["shard"]) for run in runs if run.about.get("shard")]
    if not known:
        return None, []
    count, numbers = known[0].count, {shard.number for shard in known}
    return count, [f"{number}/{count}" for number in range(1, count + 1) if number not in numbers]
