"""Make slides as discovery would hand them on, with and without files on disk."""

from __future__ import annotations

from pathlib import Path

from pmarep.slides import Slide, SlideFile


def make_slide(path: str = "x.svs", size: int = 1, *companions: str) -> Slide:
    """A slide of no folder that exists; its main file has `size` bytes, each companion one."""
    main = path.rpartition("/")[2]
    files = (*(SlideFile(name, 1, 1) for name in companions), SlideFile(main, size, 1))
    return Slide(path, "Aperio SVS", Path("/cases"), files)


def slide_at(path: Path) -> Slide:
    """The slide that this one file is."""
    stat = path.stat()
    return Slide(path.name, "Aperio SVS", path.parent, (SlideFile(path.name, stat.st_size, stat.st_mtime_ns),))
