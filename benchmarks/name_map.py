"""Measure what a map of names costs: reading 10,000 rows, and checking them against as many slides.

    .venv/bin/python benchmarks/name_map.py [--rows 10000] [--sites 4]

Half of the rows are for all sites, the others for each site in turn; half of the slides are MIRAX with six files.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from pathlib import Path

from pmarep.engine.discovery.name_check import NameCheck
from pmarep.sites import SiteBook
from pmarep.sites.book_text import BookText
from pmarep.sites.name_map import NameMap
from pmarep.slides import Slide, SlideFile


def slide(number: int) -> Slide:
    """Return a slide that is nowhere."""
    stem, folder = f"Müller {number}", Path("/cases") / f"{number % 100}"
    if number % 2:
        return Slide(f"{number % 100}/{stem}.svs", "Aperio SVS", folder, (SlideFile(f"{stem}.svs", 1, 1),))
    files = [SlideFile(f"{stem}/Data{part:04}.dat", 1, 1) for part in range(5)]
    return Slide(f"{number % 100}/{stem}.mrxs", "3DHISTECH MIRAX", folder, (*files, SlideFile(f"{stem}.mrxs", 1, 1)))


def main() -> None:
    """Print the seconds of each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--sites", type=int, default=4)
    options = parser.parse_args()
    names = [f"box-{number}" for number in range(options.sites)]
    book = "".join(f'[sites.{name}]\nurl = "http://x/"\nusername = "u"\ntarget = "{name}/in"\n' for name in names)
    slides = [slide(number) for number in range(options.rows)]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "names.csv"
        rows = (
            f"{one.path},{names[number // 2 % len(names)] if number % 4 < 2 else ''},"
            f"case-{number:05}/he.{one.path.rpartition('.')[2]}"
            for number, one in enumerate(slides)
        )
        file.write_text("\n".join(["slide,site,to", *rows]), encoding="utf-8")
        sites = SiteBook.parse(BookText(Path(folder) / "sites.toml", book))
        began = time.perf_counter()
        found = NameMap.read(file, sites)
        read = time.perf_counter()
        with closing(NameCheck(found, names, only=False)) as check:
            for one in slides:
                check.add(one)
            check.finish(complete=True)
        checked = time.perf_counter()
        for name in names:
            at = found.of(name)
            for one in slides:
                at.named(one)
        named = time.perf_counter()
    print(f"{options.rows:,} rows, {options.sites} sites")
    print(f"read      {read - began:6.3f} s")
    print(f"checked   {checked - read:6.3f} s")
    print(f"renamed   {named - checked:6.3f} s, at all sites")


if __name__ == "__main__":
    main()
