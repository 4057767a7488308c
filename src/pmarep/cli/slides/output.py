"""Print what `pmarep slides` finds: JSON lines, plain lines for pipes and mails, a table on a terminal."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pmarep.sites.name_map import SiteNames
from pmarep.sites.site_choices import SiteChoice
from pmarep.slides import Kind, LeftOut, Slide, Why
from pmarep.slides.formats import format_of
from pmarep.slides.labels import Carries, LabelImages
from pmarep.slides.source_counts import SourceCounts
from pmarep.text import printable
from pmarep.units import count_of, format_size

from ..output_streams import echo
from .advice import advice

COMPLETE = "complete"
_UNKNOWN = "not known"  # may be a slide or a part of one
_TABLE_LIMIT = 500  # rows; a table is only drawn when all is known, and nobody waits for a million of them
_REASONS_SHOWN = 6  # of a summary, the commonest particulars

LookForLabels = Callable[[Slide], LabelImages]


class SlideOutput:
    """Base class: counts what is found; subclasses print it. `only_problems`: nothing else is shown.

    `look`: looks for label and macro images in each slide, where that is wanted.
    """

    def __init__(self, *, only_problems: bool = False, look: LookForLabels | None = None) -> None:
        self.source = Path()  # where what is being added was found
        self.shard = ""  # whose slides they are
        self._only_problems = only_problems
        self._look = look
        self.choices: Mapping[str, SiteChoice] = {}  # of sites that are asked for, by their names
        self.names: Mapping[str, SiteNames] | None = None  # what slides are called there, where a map says that
        self._taken: dict[str, list[int]] = defaultdict(lambda: [0, 0])  # slides and bytes, by site
        self.counts = SourceCounts()
        self.label_counts: Counter[Carries] = Counter()
        self.macro_counts: Counter[Carries] = Counter()

    def add(self, thing: Slide | LeftOut) -> None:
        """Count what was found, and print it if that is the time."""
        self.counts.add(thing)
        if isinstance(thing, Slide):
            labels = None if self._look is None else self._look(thing)
            if labels is not None:
                self.label_counts[labels.label] += 1
                self.macro_counts[labels.macro] += 1
            for site, reason in self._refusals(thing).items():
                self._taken[site][0] += reason is None
                self._taken[site][1] += thing.size if reason is None else 0
            if not self._only_problems:
                self._slide(thing, labels)
        elif thing.why.is_problem:
            self._problem(thing)
        elif not self._only_problems:
            self._left_out(thing)

    def finish(self) -> None:
        """Print what is left to print at the end."""

    def _refusals(self, slide: Slide) -> dict[str, str | None]:
        """Return why each site that is asked for does not take a slide; None where it does."""
        return {site: choice.refusal(slide) for site, choice in self.choices.items()}

    def _paths(self, slide: Slide) -> dict[str, str]:
        """Return the path of a slide below the target of each site that takes it."""
        if self.names is None:
            return {}
        rows = {site: self.names[site].row(slide.path) for site, why in self._refusals(slide).items() if why is None}
        return {site: slide.path if row is None else row.to for site, row in rows.items()}

    def _slide(self, slide: Slide, labels: LabelImages | None) -> None:
        raise NotImplementedError

    def _problem(self, thing: LeftOut) -> None:
        raise NotImplementedError

    def _left_out(self, thing: LeftOut) -> None:
        raise NotImplementedError

    def _totals(self) -> str:
        counts = self.counts
        shard = f"shard {self.shard}: " if self.shard else ""
        return (
            f"{shard}{count_of(counts.slides, 'slide')}, {count_of(counts.sent, 'file')}, {format_size(counts.bytes)}; "
            f"{count_of(counts.problems, 'problem')}{self._maybe()}{self._label_totals()}{self._site_totals()}"
        )

    def _site_totals(self) -> str:
        of = f"of {count_of(self.counts.slides, 'slide')}"
        return "".join(
            f"\n{site} takes {slides:,} {of}, {format_size(size)}{_commands(choice)}"
            for site, choice, (slides, size) in ((name, one, self._taken[name]) for name, one in self.choices.items())
        )

    def _label_totals(self) -> str:
        if self._look is None:
            return ""
        kinds = ("label", self.label_counts), ("macro", self.macro_counts)
        return "\n" + "; ".join(
            f"{name} images: {', '.join(f'{counts[answer]:,} {answer.value}' for answer in Carries)}"
            for name, counts in kinds
        )

    def _maybe(self) -> str:
        unknown = self.counts.unknown
        what = "a slide or a part of one" if unknown == 1 else "slides or parts of one"
        return f"; {count_of(unknown, 'other file')} may be {what}" if unknown else ""


class JsonSlideOutput(SlideOutput):
    """One object a line, as they are found; with several sources each says which one it is from.

    ASCII with escapes: right in whatever encoding the standard output has.
    """

    def __init__(self, several: bool, *, only_problems: bool = False, look: LookForLabels | None = None) -> None:
        super().__init__(only_problems=only_problems, look=look)
        self._several = several

    def _slide(self, slide: Slide, labels: LabelImages | None) -> None:
        line: dict[str, object] = {
            "slide": slide.path,
            "format": slide.format,
            "files": len(slide.files),
            "bytes": slide.size,
            "state": COMPLETE,
        }
        if labels is not None:
            line |= {"label_image": labels.label.value, "macro_image": labels.macro.value}
        if self.choices:
            line["sites"] = self._refusals(slide)
        if self.names is not None:
            line["to"] = self._paths(slide)
        self._print(line)

    def _problem(self, thing: LeftOut) -> None:
        self._print(self._of(thing) | {"advice": advice(thing)})

    def _left_out(self, thing: LeftOut) -> None:
        line = self._of(thing)
        if thing.why is Why.NOT_A_SLIDE:
            line["kind"] = thing.kind.value
        self._print(line)

    def _of(self, thing: LeftOut) -> dict[str, object]:
        why = thing.why.value
        return {"left_out": thing.path, "why": why, "detail": thing.detail, "state": why}

    def _print(self, line: dict[str, object]) -> None:
        if self._several:
            line["source"] = str(self.source)
        echo(json.dumps(line))


class PlainSlideOutput(SlideOutput):
    """Slides as they are found, in columns with tabs between; what is left out after them, problems first.

    Of what is left out, files that may be slides or parts of one are named, others counted; `verbose` names all.
    """

    def __init__(
        self, verbose: bool = False, *, only_problems: bool = False, look: LookForLabels | None = None
    ) -> None:
        super().__init__(only_problems=only_problems, look=look)
        self._verbose = verbose
        self._bad: list[LeftOut] = []
        self._fine: list[LeftOut] = []
        self._reasons: dict[str, Counter[str]] = {}

    def _slide(self, slide: Slide, labels: LabelImages | None) -> None:
        found = () if labels is None else (f"label: {labels.label.value}", f"macro: {labels.macro.value}")
        self._print(*_cells(slide, count_of(len(slide.files), "file")), *found, *self._site_cells(slide))

    def _site_cells(self, slide: Slide) -> list[str]:
        paths = self._paths(slide)
        return [f"{site}: {reason or paths.get(site, 'yes')}" for site, reason in self._refusals(slide).items()]

    def _problem(self, thing: LeftOut) -> None:
        if self._only_problems:
            self._print(*_problem_cells(thing))
        else:
            self._bad.append(thing)

    def _left_out(self, thing: LeftOut) -> None:
        unknown = thing.why is Why.NOT_A_SLIDE and thing.kind is Kind.UNKNOWN
        if self._verbose or unknown:
            self._fine.append(thing)
        else:
            reason, _, particular = thing.detail.partition(": ")
            self._reasons.setdefault(f"{thing.why.value} ({reason})", Counter())[particular] += 1

    def finish(self) -> None:
        if self._only_problems:
            return
        self._finish_problems()
        if self._fine or self._reasons:
            self._print("\nLeft out:")
        for thing in self._fine:
            unknown = thing.why is Why.NOT_A_SLIDE and thing.kind is Kind.UNKNOWN
            why = _UNKNOWN if unknown else thing.why.value
            self._print(thing.path, why, thing.detail)
        for reason, particulars in self._reasons.items():
            self._print(count_of(particulars.total(), "entry", "entries"), f"{reason}{_commonest(particulars)}")
        self._print(f"\n{self._totals()}")

    def _finish_problems(self) -> None:
        if self._bad:
            self._print("\nCannot be sent:")
        for thing in self._bad:
            self._print(*_problem_cells(thing))

    def _print(self, *cells: str) -> None:
        echo(*cells)


class TerminalSlideOutput(PlainSlideOutput):
    """For people: a table, as long as there are not too many rows for one, then the problems with what to do.

    Problems are rows of the table too; with `verbose` also main files that were excluded.
    """

    def __init__(
        self, verbose: bool = False, *, only_problems: bool = False, look: LookForLabels | None = None
    ) -> None:
        super().__init__(verbose, only_problems=only_problems, look=look)
        self._waiting: list[_Row] | None = []
        self._console = Console()

    def _slide(self, slide: Slide, labels: LabelImages | None) -> None:
        self._row(slide, labels)

    def _problem(self, thing: LeftOut) -> None:
        self._bad.append(thing)
        if not self._only_problems:
            self._row(thing)

    def _left_out(self, thing: LeftOut) -> None:
        super()._left_out(thing)
        if self._verbose and thing.why is Why.EXCLUDED:
            self._row(thing)

    def _row(self, thing: Slide | LeftOut, labels: LabelImages | None = None) -> None:
        if self._waiting is None:
            self._print_row(thing, labels)
            return
        self._waiting.append((thing, labels))
        if len(self._waiting) > _TABLE_LIMIT:
            many, self._waiting = self._waiting, None
            for one in many:
                self._print_row(*one)

    def _print_row(self, thing: Slide | LeftOut, labels: LabelImages | None) -> None:
        if isinstance(thing, Slide):
            super()._slide(thing, labels)  # the others are listed at the end

    def finish(self) -> None:
        if self._waiting:
            self._console.print(_table(self._waiting, self.choices, self._paths, with_labels=self._look is not None))
        if not self._only_problems:
            super().finish()
            return
        self._finish_problems()
        self._print(f"{chr(10) if self._bad else ''}{self._totals()}")

    def _finish_problems(self) -> None:
        """Print problems grouped by advice, so that it is read once."""
        groups: dict[tuple[Why, str], list[LeftOut]] = {}
        for thing in self._bad:
            groups.setdefault((thing.why, advice(thing)), []).append(thing)
        for number, ((why, what_to_do), things) in enumerate(groups.items()):
            if number or not self._only_problems:
                self._print("")
            head = Text(f"{why.value} ({len(things):,})", "bold red")
            self._show(head.append(f": {what_to_do}", "not bold default"))
            for thing in things:
                self._show(Text(printable(thing.path)), indent=2)
                self._show(Text(printable(thing.detail), "dim"), indent=6)

    def _show(self, text: Text, indent: int = 0) -> None:
        for line in text.wrap(self._console, max(self._console.width - indent, 1), overflow="fold"):
            line.rstrip()
            self._console.print(Text(" " * indent).append_text(line), soft_wrap=True)


_Row = tuple[Slide | LeftOut, LabelImages | None]


def _commands(choice: SiteChoice) -> str:
    """Say which commands a push would run for the slides that a site takes; this one runs none."""
    return f"; a push runs {' and '.join(choice.commands)} first" if choice.commands else ""


def _table(
    rows: list[_Row],
    choices: Mapping[str, SiteChoice],
    paths_of: Callable[[Slide], Mapping[str, str]],
    *,
    with_labels: bool,
) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Slide", overflow="fold")
    table.add_column("Format", no_wrap=True)
    table.add_column("Files", justify="right", no_wrap=True)
    table.add_column("Size", justify="right", no_wrap=True)
    table.add_column("State", no_wrap=True)
    for title in ("Label", "Macro") if with_labels else ():
        table.add_column(title, no_wrap=True)
    for site in choices:
        table.add_column(Text(site), overflow="fold")
    for thing, labels in rows:
        # Text, so that brackets and colons in names stay what they are.
        if isinstance(thing, Slide):
            name, *cells = _cells(thing, str(len(thing.files)))
            paths = paths_of(thing)
            taken = [_taken(choice.refusal(thing), paths.get(site)) for site, choice in choices.items()]
            table.add_row(Text(printable(name)), *cells, *map(_carries, labels or ()), *taken)
        else:
            style = "red" if thing.why.is_problem else "dim"
            kind = format_of(thing.path)
            table.add_row(Text(printable(thing.path)), kind.name if kind else "", "", "", Text(thing.why.value, style))
    return table


def _cells(slide: Slide, files: str) -> tuple[str, ...]:
    return slide.path, slide.format, files, format_size(slide.size), COMPLETE


def _carries(answer: Carries) -> Text:
    return Text(answer.value, {Carries.YES: "yellow", Carries.UNKNOWN: "dim"}.get(answer, ""))


def _taken(reason: str | None, path: str | None) -> Text:
    return Text("yes" if path is None else printable(path)) if reason is None else Text(reason, "dim")


def _problem_cells(thing: LeftOut) -> tuple[str, ...]:
    return thing.path, thing.why.value, thing.detail, advice(thing)


def _commonest(particulars: Counter[str]) -> str:
    shown = [f"{text} {number:,}" for text, number in particulars.most_common(_REASONS_SHOWN) if text]
    if len(particulars) > _REASONS_SHOWN:
        shown.append("others")
    return ": " + ", ".join(shown) if shown else ""
