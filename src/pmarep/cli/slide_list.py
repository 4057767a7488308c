"""How `pmarep slides` shows what it finds: JSON lines, plain lines for pipes and mails, a table on a terminal."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pmarep.slides import LeftOut, Slide
from pmarep.units import format_size

_TABLE_LIMIT = 500  # slides; a table is only drawn when all is known, and nobody waits for a million rows
_REASONS_SHOWN = 6  # of a summary, the commonest particulars


class SlideList:
    """Counts what is found; the kinds of output say how it looks."""

    def __init__(self) -> None:
        self.problems = 0
        self.source = Path()  # where what is being added was found

    def add(self, thing: Slide | LeftOut) -> None:
        if isinstance(thing, LeftOut):
            self.problems += thing.why.is_problem
            self._left_out(thing)
        else:
            self._slide(thing)

    def finish(self) -> None:
        """Everything has been found."""

    def _slide(self, slide: Slide) -> None:
        raise NotImplementedError

    def _left_out(self, thing: LeftOut) -> None:
        raise NotImplementedError


class JsonLines(SlideList):
    """One object a line, as they are found; with several sources each says which one it is from.

    ASCII with escapes: right in whatever encoding the standard output has.
    """

    def __init__(self, several: bool) -> None:
        super().__init__()
        self._several = several

    def _slide(self, slide: Slide) -> None:
        self._print({"slide": slide.path, "format": slide.format, "files": len(slide.files), "bytes": slide.size})

    def _left_out(self, thing: LeftOut) -> None:
        self._print({"left_out": thing.path, "why": thing.why.value, "detail": thing.detail})

    def _print(self, line: dict[str, str | int]) -> None:
        if self._several:
            line["source"] = str(self.source)
        print(json.dumps(line), flush=True)


class PlainList(SlideList):
    """Slides as they are found, in columns with tabs between; what is left out after them, problems first."""

    def __init__(self, verbose: bool) -> None:
        super().__init__()
        self._verbose = verbose
        self._slides = self._files = self._bytes = 0
        self._bad: list[LeftOut] = []
        self._fine: list[LeftOut] = []  # only with -v
        self._reasons: dict[str, Counter[str]] = {}

    def _slide(self, slide: Slide) -> None:
        self._slides += 1
        self._files += len(slide.files)
        self._bytes += slide.size
        self._row(slide)

    def _row(self, slide: Slide) -> None:
        self._print("\t".join((slide.path, slide.format, _count(len(slide.files), "file"), format_size(slide.size))))

    def _left_out(self, thing: LeftOut) -> None:
        if thing.why.is_problem:
            self._bad.append(thing)
        elif self._verbose:
            self._fine.append(thing)
        else:
            reason, _, particular = thing.detail.partition(": ")
            self._reasons.setdefault(f"{thing.why.value} ({reason})", Counter())[particular] += 1

    def finish(self) -> None:
        if self._bad:
            self._print("\nCannot be sent:")
        for thing in self._bad:
            self._print(f"{thing.path}\t{thing.why.value}\t{thing.detail}")
        if self._fine or self._reasons:
            self._print("\nLeft out:")
        for thing in self._fine:
            self._print(f"{thing.path}\t{thing.why.value}\t{thing.detail}")
        for reason, particulars in self._reasons.items():
            self._print(f"{_count(particulars.total(), 'entry', 'entries')}\t{reason}{_commonest(particulars)}")
        self._print(
            f"\n{_count(self._slides, 'slide')}, {_count(self._files, 'file')}, {format_size(self._bytes)}; "
            f"{_count(self.problems, 'problem')}"
        )

    def _print(self, text: str) -> None:
        print(text, flush=True)


class TerminalList(PlainList):
    """The same with a table, as long as there are not too many slides for one."""

    def __init__(self, verbose: bool) -> None:
        super().__init__(verbose)
        self._waiting: list[Slide] | None = []

    def _row(self, slide: Slide) -> None:
        if self._waiting is None:
            super()._row(slide)
            return
        self._waiting.append(slide)
        if len(self._waiting) > _TABLE_LIMIT:
            many, self._waiting = self._waiting, None
            for one in many:
                super()._row(one)

    def finish(self) -> None:
        if self._waiting:
            table = Table(box=None, pad_edge=False, header_style="bold")
            table.add_column("Slide", overflow="fold")
            table.add_column("Format", no_wrap=True)
            table.add_column("Files", justify="right", no_wrap=True)
            table.add_column("Size", justify="right", no_wrap=True)
            for slide in self._waiting:
                # Text, so that brackets and colons in names stay what they are.
                table.add_row(Text(slide.path), slide.format, str(len(slide.files)), format_size(slide.size))
            Console().print(table)
        super().finish()


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _commonest(particulars: Counter[str]) -> str:
    shown = [f"{text} {number:,}" for text, number in particulars.most_common(_REASONS_SHOWN) if text]
    if len(particulars) > _REASONS_SHOWN:
        shown.append("others")
    return ": " + ", ".join(shown) if shown else ""
