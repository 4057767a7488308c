"""Make the pictures in `screens/` anew: boards of real pushes to sandboxes, as SVG.

`python docs/make_screens.py [NAME...]` takes about half a minute for each run and needs the extra `sandbox`. One run
has four sites: one of them has another slide of the same name, one goes away, and for one the password is wrong.
Another has twenty. Both are drawn for windows of 80 x 24 and of 200 x 50; the third is for the README. Look at the
pictures before you commit them.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from pmacore_sandbox import Sandbox
from pmacore_sandbox.settings import Settings
from pmarep.cli.render.board import BoardOutput
from pmarep.cli.render.cells import UNICODE, Frame
from pmarep.demo.sample_slides import write_svs
from pmarep.engine import Options, replicate
from pmarep.events import Event
from pmarep.sites import Credentials, SiteBook

SCREENS = Path(__file__).with_name("screens")
MIB = 1024 * 1024
PASSWORD, WRONG = "of the sandbox", "a wrong one"

SLIDES = 12
YOUNG = 60.0  # seconds: younger files might still be being written

_FONTS = re.compile(r"\s*@font-face \{\{.*?\}\}", re.DOTALL)
SVG = _FONTS.sub("", CONSOLE_SVG_FORMAT)
"""Without fonts from the network."""


@dataclass(frozen=True)
class Place:
    """One sandbox: the sites on it, its rate in bytes per second, and what is wrong with it."""

    sites: Sequence[str]
    rate: float
    conflict: str = ""
    goes_at: float | None = None
    password: str = PASSWORD


@dataclass(frozen=True)
class Scene:
    """One push, and when it is drawn, in seconds."""

    places: Sequence[Place]
    at: float
    windows: dict[str, tuple[int, int]]


SCENES = {
    "failing": Scene(
        [
            Place(["tokyo"], 2.5e6),
            Place(["saopaulo"], 1.5e6, conflict="2026/case 03/HE 03.svs"),
            Place(["boston"], 2e6, goes_at=11),
            Place(["cape-town"], 2e6, password=WRONG),
        ],
        26,
        {"failing-80x24": (80, 24), "failing-200x50": (200, 50)},
    ),
    "readme": Scene(
        [
            Place(["tokyo"], 2.5e6),
            Place(["saopaulo"], 1e6, conflict="2026/case 03/HE 03.svs"),
            Place(["boston"], 1.5e6, goes_at=14),
        ],
        24,
        {"readme": (90, 28)},
    ),
    "twenty": Scene(
        [
            Place(["tokyo", "osaka", "kyoto", "nagoya", "sapporo"], 3e6),
            Place(["boston", "chicago", "denver", "seattle", "austin"], 5e6, conflict="2026/case 06/HE 06.svs"),
            Place(["saopaulo", "rio", "recife", "manaus", "belem"], 2e6, goes_at=14),
            Place(["berlin", "wien", "zuerich", "oslo", "paris"], 6e6),
        ],
        30,
        {"twenty-80x24": (80, 24), "twenty-200x50": (200, 50)},
    ),
}


class Screen(BoardOutput):
    """A board in a window that nobody sees; keeps what it would say above it."""

    def __init__(self, width: int, height: int, command: str) -> None:
        console = Console(file=StringIO(), force_terminal=True, width=width, height=height, _environ={"TERM": "xterm"})
        super().__init__(console, glyphs=UNICODE)
        self._above = [Text(f"$ {command}")]

    def _print(self, said: list[Text], _lines: object = None) -> None:
        self._above += said

    def picture(self, title: str) -> str:
        """Return the window as SVG: the end of what was said, and the board."""
        width, height = self._console.size
        board = self.lines()
        rows = [row for text in self._above for row in text.wrap(self._console, width)]
        paper = Console(file=StringIO(), record=True, force_terminal=True, width=width, height=height)
        for row in rows[-(height - 1 - len(board)) :]:
            paper.print(row, soft_wrap=True)
        paper.print(Frame(board), end="")
        return paper.export_svg(title=title, code_format=SVG, unique_id=title.replace(" ", "-"))


def write_slides(folder: Path) -> None:
    for number in range(SLIDES):
        path = folder / "2026" / f"case {number:02}" / f"{('HE', 'PAS', 'Ki-67')[number % 3]} {number:02}.svs"
        path.parent.mkdir(parents=True)
        write_svs(path, width=1536, height=1536 if number % 2 else 1024, seed=number)


async def play(scene: Scene, folder: Path, sandboxes: Sequence[Sandbox]) -> dict[str, str]:
    """Push, and return the pictures by name."""
    names = [name for place in scene.places for name in place.sites]
    tables, environment = [], {}
    for place, sandbox in zip(scene.places, sandboxes, strict=True):
        for name in place.sites:
            keys = {"url": sandbox.url, "username": "seeder", "target": f"Slides/{name}", "connections": 3}
            tables += [f"[sites.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
            environment[f"PMAREP_PASSWORD_{name.upper().replace('-', '_')}"] = place.password
    book = folder / "sites.toml"
    book.write_text("\n".join(tables))
    few = names if len(names) < 6 else ["everywhere"]
    command = f"pmarep push cases/ --sites {','.join(few)}"
    screens = {name: Screen(width, height, command) for name, (width, height) in scene.windows.items()}

    def listen(event: Event) -> None:
        for screen in screens.values():
            screen.handle(event)

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for place, sandbox in zip(scene.places, sandboxes, strict=True):
        if place.goes_at is not None:
            loop.call_later(place.goes_at, sandbox.ask_to_stop)
    run = asyncio.create_task(
        replicate(
            Options(sources=(folder / "cases",), settle=0), SiteBook.load(book).resolve(names),
            passwords=Credentials(environment), state_dir=folder / "state", listener=listen, stop=stop,
        )
    )  # fmt: skip
    await asyncio.wait({run}, timeout=scene.at)
    pictures = {name: screen.picture("pmarep push") for name, screen in screens.items()}
    stop.set()
    await run
    return pictures


def make(name: str, say: Callable[[str], None]) -> None:
    scene = SCENES[name]
    with tempfile.TemporaryDirectory(prefix="pmarep-screens-") as temporary, ExitStack() as closing:
        folder = Path(temporary)
        write_slides(folder / "cases")
        sandboxes = []
        for number, place in enumerate(scene.places):
            data = folder / f"server{number}"
            for site in place.sites[:1] if place.conflict else []:
                other = data / "Slides" / site / place.conflict
                other.parent.mkdir(parents=True)
                other.write_bytes(bytes(1000))
            sandbox = Sandbox(Settings(data=data, password=PASSWORD, discard=True, rate=place.rate))
            closing.callback(sandbox.stop)
            sandboxes.append(sandbox.start())
        began = time.monotonic()
        pictures = asyncio.run(play(scene, folder, sandboxes))
    SCREENS.mkdir(exist_ok=True)
    for picture, svg in pictures.items():
        if temporary in svg:
            sys.exit(f"{picture} shows a path of this machine")
        (SCREENS / f"{picture}.svg").write_text(svg, encoding="utf-8")
    say(f"{', '.join(pictures)}: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or SCENES:
        make(wanted, print)
