"""Make a report of the record of a run: what became of each slide at each site.

Nothing but lines of a record goes in (what is in them: state/run_record.py), so reports can be made of records that
came from other machines. Of several outcomes of a slide at a site the latest counts. Several runs: merge.py.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from ..errors import PmarepError

Line = Mapping[str, Any]


class DamagedRecordError(PmarepError):
    """The lines of a record are none that pmarep has written."""


class CellState(StrEnum):
    """What is known of a slide at a site."""

    SENT = "sent"
    SKIPPED = "skipped"
    VERIFIED = "verified"
    PULLED = "pulled"
    FAILED = "failed"
    LEFT_OUT = "left_out"  # not there, and not to be: a rule of the site says so
    UNFINISHED = "unfinished"  # begun, and neither there nor failed: it is being sent, or the run ended
    EXCLUDED = "excluded"  # the site does not take it, by its keys in the site book
    NOT_TRIED = "not_tried"  # nothing is known of it: the run had not come so far, or could not look at the site
    ELSEWHERE = "elsewhere"  # of a pull: it comes from another site

    @property
    def is_missing(self) -> bool:
        """Return whether the site is to have the slide, and is not known to."""
        return not self.is_there and self not in (CellState.LEFT_OUT, CellState.EXCLUDED, CellState.ELSEWHERE)

    @property
    def is_there(self) -> bool:
        return self in (CellState.SENT, CellState.SKIPPED, CellState.VERIFIED, CellState.PULLED)


class Cell(NamedTuple):
    """A slide at a site. Bytes and seconds are those of `slide_finished`; `time` of an unfinished one: when it began.

    `needs_decision`: the same command would be refused again.
    """

    state: CellState
    time: datetime | None = None
    bytes: int = 0
    resumed: int = 0
    seconds: float = 0.0
    verified_by: str | None = None
    error: str | None = None
    needs_decision: bool = False

    @property
    def has_ended(self) -> bool:
        return self.state not in (CellState.UNFINISHED, CellState.NOT_TRIED, CellState.ELSEWHERE)


NOT_TRIED, ELSEWHERE = Cell(CellState.NOT_TRIED), Cell(CellState.ELSEWHERE)


class ReportSlide(NamedTuple):
    """A slide. `path` as in events; `local` is its main file on the disk of the machine that sent or pulled it.

    Of a pull, `site` is where it comes from, and `remote` its virtual path there.
    """

    path: str
    format: str
    bytes: int
    files: int
    local: str
    site: str = ""
    remote: str = ""


class Sample(NamedTuple):
    """How much a site was sent: `sent` bytes until a moment, `rate` of them per second since the sample before."""

    time: datetime
    rate: float
    sent: int


@dataclass(slots=True)
class ReportSite:
    """A site: its last state, its progress, its summary, and its slides by their indices in `Report.slides`.

    What `cells` does not name was not tried (`Report.cell`).
    """

    name: str
    url: str
    target: str
    state: str = "connecting"
    reason: str | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    begins: list[datetime] = field(default_factory=list)  # of the time that each sample is about
    pauses: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    cells: dict[int, Cell] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)  # paths below the target, where a map gives another name

    def add_sample(self, progress: Line, started: datetime) -> None:
        """Add the sample of a progress event of a run that has `started` then."""
        before, sent = (self.samples[-1].time, self.samples[-1].sent) if self.samples else (started, 0)
        time, now = _time(progress), progress["bytes_sent"]
        seconds = (time - before).total_seconds()
        if seconds > 0:
            self.samples.append(Sample(time, (now - sent) / seconds, now))
            self.begins.append(before)

    @property
    def bytes_sent(self) -> int:
        """Return what the site was sent: by its summary, else by its last progress, where slides do not say more."""
        last = self.samples[-1].sent if self.samples else 0
        return max(int(self.summary.get("bytes_sent", last)), sum(cell.bytes for cell in self.cells.values()))


@dataclass(slots=True)
class ReportRun:
    """One run: the first line of its record, its summary, and whether it goes on."""

    about: Line
    running: bool
    started: datetime
    ended: datetime  # when it said something for the last time
    summary: Line | None = None

    @property
    def state(self) -> str:
        """Return `finished`, `running` or `killed`."""
        return "finished" if self.summary is not None else "running" if self.running else "killed"


@dataclass(slots=True)
class Report:
    """What became of each slide at each site, and what was said about runs and sources."""

    runs: list[ReportRun] = field(default_factory=list)
    sites: list[ReportSite] = field(default_factory=list)
    slides: list[ReportSlide] = field(default_factory=list)
    problems: list[Line] = field(default_factory=list)  # the events `source_problem`
    notices: list[Line] = field(default_factory=list)  # the events `notice`
    deleted: list[Line] = field(default_factory=list)  # the events `slide_deleted` of mirrors
    extra: list[Line] = field(default_factory=list)  # the events `slide_extra`
    whole: ReportRun | None = None  # of several runs that are merged: all of them together
    shards: int | None = None  # of runs of shards that are merged: N
    unknown_shards: list[str] = field(default_factory=list)  # those that no run is of

    @property
    def run(self) -> ReportRun:
        """Return the run, or what several that are merged are together."""
        return self.whole or self.runs[-1]

    @property
    def is_pull(self) -> bool:
        """Return whether slides came from the sites."""
        return bool(self.run.about["command"] == "pull")

    def cell(self, slide: int, site: ReportSite) -> Cell:
        """Return what is known of a slide, by its index, at a site."""
        known = site.cells.get(slide)
        if known is not None:
            return known
        return ELSEWHERE if self.slides[slide].site not in ("", site.name) else NOT_TRIED

    def undecided(self) -> int:
        """Count the slides at sites that need a decision before they can be sent."""
        return sum(cell.needs_decision for _, _, cell in self.missing())

    def missing(self) -> Iterator[tuple[int, ReportSite, Cell]]:
        """Yield each slide that is not known to be at a site and is to be there, slide by slide."""
        for index in range(len(self.slides)):
            for site in self.sites:
                if (cell := self.cell(index, site)).state.is_missing:
                    yield index, site, cell


def build_report(lines: Iterable[Line], running: bool) -> Report:
    """Make a report of the lines of one record. `running`: its run goes on. Raises DamagedRecordError."""
    report = Report()
    try:
        _Builder(report).add(lines, running)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DamagedRecordError(f"the record of a run is damaged ({type(error).__name__}: {error})") from None
    return report


class _Builder:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._sites: dict[tuple[str, str, str], ReportSite] = {}
        self._slides: dict[str, int] = {}  # indices in the report by path

    def add(self, lines: Iterable[Line], running: bool) -> None:
        events = iter(lines)
        first = next(events, None)
        if first is None or first["event"] != "run":
            raise ValueError("it does not begin with the run")
        run = ReportRun(first, running, _time(first), _time(first))
        self._report.runs.append(run)
        sites = {site["name"]: self._site(site) for site in first["sites"]}
        numbers: list[int] = []  # the report's indices of the run's slides
        for line in events:
            run.ended = max(run.ended, _time(line)) if "time" in line else run.ended
            match line["event"]:
                case "slides":
                    numbers += self._add_slides(line)
                case "slides_named":
                    for name in line["sites"]:
                        sites[name].names.update((numbers[number], to) for number, to in line["slides"])
                case "slides_known":
                    cell = _cell(line)
                    sites[line["site"]].cells.update(
                        (numbers[number], cell) for low, high in line["slides"] for number in range(low, high + 1)
                    )
                case "slide_finished":
                    sites[line["site"]].cells[self._slides[line["slide"]]] = _cell(line)
                case "slide_started":
                    cells, index = sites[line["site"]].cells, self._slides[line["slide"]]
                    cells[index] = Cell(CellState.UNFINISHED, _time(line))
                case "slide_unfinished":
                    cells, index = sites[line["site"]].cells, self._slides[line["slide"]]
                    cell = cells.get(index, Cell(CellState.UNFINISHED))
                    cells[index] = cell._replace(bytes=line["bytes"], resumed=line["resumed_bytes"])
                case "slide_retracted":
                    cells, index = sites[line["site"]].cells, self._slides[line["slide"]]
                    known = cells.get(index, NOT_TRIED)
                    cells[index] = known._replace(
                        state=CellState.FAILED, time=_time(line), error=line["error"], verified_by=None
                    )
                case "site_state":
                    _set_state(sites[line["site"]], line)
                case "progress":
                    sites[line["site"]].add_sample(line, run.started)
                case "source_problem":
                    self._report.problems.append(line)
                case "slide_deleted":
                    self._report.deleted.append(line)
                case "slide_extra":
                    self._report.extra.append(line)
                case "notice":
                    self._report.notices.append(line)
                case "annotations_finished":  # recorded where they could not all be brought
                    text = f"{line['site']}: annotations of {line['slide']}: {line['error']}"
                    self._report.notices.append({**line, "text": text})
                case "summary":
                    run.summary = line
                    for name, summary in line["sites"].items():
                        sites[name].summary = summary
                        sites[name].reason = sites[name].reason or summary["error"]

    def _site(self, site: Line) -> ReportSite:
        key = (site["name"], site["url"], site["target"])
        if key not in self._sites:
            self._sites[key] = ReportSite(*key)
            self._report.sites.append(self._sites[key])
        return self._sites[key]

    def _add_slides(self, line: Line) -> list[int]:
        return [self._add_slide(line, *row) for row in line["slides"]]

    def _add_slide(self, line: Line, name: str, kind: str, size: int, files: int, local: str = "") -> int:
        folder, path = line["folder"], line["below"] + name
        join = "\\".join if "\\" in folder and "/" not in folder else "/".join  # as that machine writes paths
        where = join([folder.rstrip("/\\"), local or name])
        remote = f"{line['at']}/{name}" if "at" in line else ""
        slide = ReportSlide(path, kind, size, files, where, line.get("site", ""), remote)
        index = self._slides.setdefault(path, len(self._report.slides))
        if index == len(self._report.slides):
            self._report.slides.append(slide)
        else:
            self._report.slides[index] = slide
        return index


def folder_at_site(site: ReportSite, to: str) -> str:
    """Return the virtual path of the folder that a run with `--to` sends to."""
    return posixpath.join(site.target, *filter(None, [to]))


def at_site(site: ReportSite, report: Report, index: int) -> str:
    """Return the virtual path of a slide's main file at a site."""
    slide = report.slides[index]
    name = site.names.get(index, slide.path)
    return slide.remote or posixpath.join(folder_at_site(site, report.run.about["to"]), name)


def _cell(line: Line) -> Cell:
    return Cell(
        CellState(line["status"]),
        _time(line),
        line.get("bytes", 0),
        line.get("resumed_bytes", 0),
        line.get("seconds", 0.0),
        line.get("verified_by"),
        line.get("error"),
        line.get("needs_decision", False),
    )


def _set_state(site: ReportSite, line: Line) -> None:
    before, site.state, site.reason = site.state, line["state"], line["reason"]
    if before == "paused" and site.state != "paused":
        site.pauses[-1] = site.pauses[-1][0], _time(line)
    elif before != "paused" and site.state == "paused":
        site.pauses.append((_time(line), None))


def _time(line: Line) -> datetime:
    return datetime.fromisoformat(line["time"])
