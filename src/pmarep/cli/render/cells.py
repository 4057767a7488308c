"""Lines of styled text in terminal columns: cut, padded, with bars and sparklines, in Unicode or ASCII."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

Span = tuple[str, str]
"""A text and the name of a style."""

Line = list[Span]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that a terminal can show. `corners`: top left, top right, bottom left, bottom right."""

    filled: str
    empty: str
    levels: str
    ellipsis: str
    corners: tuple[str, str, str, str]
    horizontal: str
    vertical: str


UNICODE = Glyphs("━", "─", "▁▂▃▄▅▆▇█", "…", ("╭", "╮", "╰", "╯"), "─", "│")
ASCII = Glyphs("#", "-", "", "...", ("+", "+", "+", "+"), "-", "|")


@dataclass(frozen=True, slots=True)
class Frame:
    """Lines as a rich renderable. Quicker than Text, which looks for places to wrap at."""

    lines: Sequence[Line]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        end = Segment.line()
        for line in self.lines:
            for text, style in line:
                yield Segment(text, console.get_style(style) if style else None)
            yield end


def width_of(line: Iterable[Span]) -> int:
    """Return the columns that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def cut(text: str, width: int, glyphs: Glyphs) -> str:
    """Cut a text at its end to at most `width` columns."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - len(glyphs.ellipsis), 0)).rstrip() + glyphs.ellipsis[: max(width, 0)]


def cut_path(path: str, width: int, glyphs: Glyphs) -> str:
    """Cut a path at its beginning: names differ at their end."""
    room = width - len(glyphs.ellipsis)
    if cell_len(path) <= width:
        return path
    start = max(len(path) - max(room, 0), 0)  # no character is narrower than a column, but for those that join
    while start < len(path) and cell_len(path[start:]) > room:
        start += 1
    return glyphs.ellipsis[: max(width, 0)] + path[start:]


def fit(line: Line, width: int, glyphs: Glyphs) -> Line:
    """Cut or pad a line to exactly `width` columns."""
    found: Line = []
    room = width
    for text, style in line:
        size = cell_len(text)
        if size > room:
            text = cut(text, room, glyphs)
            size = cell_len(text)
            found.append((text, style))
            room -= size
            break
        found.append((text, style))
        room -= size
    if room > 0:
        found.append((" " * room, ""))
    return found


def bar(part: float, width: int, style: str, glyphs: Glyphs) -> Line:
    """Draw a bar of which `part` (0 to 1) is filled. Any progress shows, and only all of it fills the bar."""
    filled = min(int(part * width), width)
    if 0 < part < 1 and width > 1:
        filled = min(max(filled, 1), width - 1)
    return [(glyphs.filled * filled, style), (glyphs.empty * (width - filled), "dim")]


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs) -> str:
    """Draw the last `width` values as columns, the highest as a full one; blanks where there are fewer."""
    if not glyphs.levels:
        return " " * width
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    steps = len(glyphs.levels) - 1
    drawn = "".join(glyphs.levels[round(value / top * steps)] if top > 0 else glyphs.levels[0] for value in shown)
    return drawn.rjust(width)


def joined(names: Iterable[str], width: int, glyphs: Glyphs) -> str:
    """Name as many things as `width` columns take, and how many more there are: `a.svs, b.svs +3`."""
    every = list(names)
    if not every:
        return ""
    for shown in range(min(len(every), 9), 1, -1):
        more = f" +{len(every) - shown}" if shown < len(every) else ""
        text = ", ".join(every[:shown]) + more
        if cell_len(text) <= width:
            return text
    more = f" +{len(every) - 1}" if len(every) > 1 else ""
    return cut_path(every[0], max(width - len(more), 0), glyphs) + more


def box(title: Line, corner: Line, lines: Sequence[Line], width: int, style: str, glyphs: Glyphs) -> list[Line]:
    """Draw a box of `width` columns around lines: its title at the top left, `corner` at the top right."""
    top_left, top_right, bottom_left, bottom_right = glyphs.corners
    inner = width - 4
    corner = corner if width_of(title) + width_of(corner) + 2 <= inner else []
    between = width - 6 - width_of(title) - width_of(corner) - (2 if corner else 0)
    head: Line = [
        (f"{top_left}{glyphs.horizontal} ", style),
        *title,
        (" " + glyphs.horizontal * max(between, 0), style),
    ]
    if corner:
        head += [(" ", ""), *corner, (" ", "")]
    head += [(glyphs.horizontal + top_right, style)]
    side = glyphs.vertical
    body = [[(f"{side} ", style), *fit(line, inner, glyphs), (f" {side}", style)] for line in lines]
    return [head, *body, [(bottom_left + glyphs.horizontal * (width - 2) + bottom_right, style)]]


def beside(boxes: Sequence[Sequence[Line]], gap: int) -> list[Line]:
    """Put boxes of the same height beside each other."""
    rows: list[Line] = []
    for parts in zip(*boxes, strict=True):
        row: Line = []
        for part in parts:
            row += [(" " * gap, ""), *part] if row else part
        rows.append(row)
    return rows


def plain(line: Iterable[Span]) -> str:
    """Return the text of a line."""
    return "".join(text for text, _ in line)
