"""Short ways for the tests of discovery to look at what it finds."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pmarep.slides import LeftOut, Slide, Why, find_slides
from pmarep.slides.listing import Scandir


@dataclass
class Look:
    """All that was found in a source."""

    things: list[Slide | LeftOut]

    @property
    def slides(self) -> dict[str, list[str]]:
        """Slides and the files of each, as announced, in the order of sending."""
        return {thing.path: [file.path for file in thing.files] for thing in self.things if isinstance(thing, Slide)}

    @property
    def left(self) -> dict[str, Why]:
        left = [thing for thing in self.things if isinstance(thing, LeftOut)]
        assert len({thing.path for thing in left}) == len(left), f"reported twice: {left}"
        return {thing.path: thing.why for thing in left}

    def detail(self, path: str) -> str:
        return next(thing.detail for thing in self.things if isinstance(thing, LeftOut) and thing.path == path)

    def slide(self, path: str) -> Slide:
        return next(thing for thing in self.things if isinstance(thing, Slide) and thing.path == path)


def look(
    source: Path, *, include: Sequence[str] = (), exclude: Sequence[str] = (), scandir: Scandir = os.scandir
) -> Look:
    found = Look(list(find_slides(source, include=include, exclude=exclude, scandir=scandir)))
    paths = [slide.local(file) for slide in found.things if isinstance(slide, Slide) for file in slide.files]
    assert len(paths) == len(set(paths)), "a file belongs to two slides"
    for slide in found.things:
        if isinstance(slide, Slide):
            assert slide.files[-1].path == slide.path.rpartition("/")[2], "the main file is not the last"
            for file in slide.files:
                assert slide.local(file).stat().st_size == file.size
                assert slide.local(file).stat().st_mtime_ns == file.mtime_ns
    return found


def shuffled(seed: int) -> Scandir:
    """os.scandir with the entries in another order, as another disk would have them."""

    @contextmanager
    def scandir(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        with os.scandir(path) as entries:
            shuffled = list(entries)
        random.Random(seed).shuffle(shuffled)
        yield iter(shuffled)

    return scandir


def refusing(*names: str) -> Scandir:
    """os.scandir that may not look into folders of these names, also as root, whom permissions do not stop."""

    @contextmanager
    def scandir(path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
        if Path(path).name in names:
            raise PermissionError(13, "Permission denied", path)
        with os.scandir(path) as entries:
            yield entries

    return scandir
