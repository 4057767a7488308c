"""Measure how fast the walk is, against `find` in the same run, and how much memory it takes.

    .venv/bin/python benchmarks/walk.py                  # 200,000 files in 4,000 folders, under a minute
    .venv/bin/python benchmarks/walk.py --folders 20000  # a million

Folders of 50 files each: half hold 35 single-file slides, the main file of a MIRAX slide and strangers, the other half
are those MIRAX slides' companion folders, 36 files of the slide and strangers. Files have one byte; the tree is made
below --dir and removed afterwards. Everything is in the cache, so this measures the walk and not a disk.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_DATA_FILES = 34
_SINGLE = 35
_INI = "[HIERARCHICAL]\r\nINDEXFILE=Index.dat\r\n[DATAFILE]\r\n" + "".join(
    [f"FILE_COUNT={_DATA_FILES}\r\n"] + [f"FILE_{number}=Data{number:04}.dat\r\n" for number in range(_DATA_FILES)]
)


def make(top: Path, folders: int) -> int:
    """Write pairs of a folder and its slide's companion folder, 100 files in the two; return the number of files."""
    files = 0
    for number in range(folders // 2):
        folder = top / f"case{number // 100:03}" / f"slide{number:05}"
        companion = folder / "m"
        companion.mkdir(parents=True)
        (companion / "Slidedat.ini").write_text(_INI)
        (folder / "m.mrxs").write_bytes(b"x")
        names = [companion / f"Data{index:04}.dat" for index in range(_DATA_FILES)] + [companion / "Index.dat"]
        names += [companion / f"stranger{index}.txt" for index in range(50 - len(names) - 1)]
        names += [folder / f"s{index}.svs" for index in range(_SINGLE)]
        names += [folder / f"note{index}.xml" for index in range(49 - _SINGLE)]
        for name in names:
            name.write_bytes(b"x")
        files += len(names) + 2
    return files


_WALK = """
import resource, sys, time
from pathlib import Path
from pmarep.slides import Slide, find_slides
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start, cpu = time.perf_counter(), time.process_time()
slides = left = files = 0
first = None
for thing in find_slides(Path(sys.argv[1])):
    if first is None: first = time.perf_counter() - start
    if isinstance(thing, Slide): slides += 1; files += len(thing.files)
    else: left += 1
seconds = time.perf_counter() - start
cpu = time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seconds, first, slides, files, left, base // 1024, peak // 1024, cpu)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folders", type=int, default=4000)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    if not 2 <= options.folders <= 40_000:
        parser.error("--folders must be between 2 and 40000")
    top = Path(tempfile.mkdtemp(prefix="pmarep-walk-", dir=options.dir))
    try:
        made = make(top, options.folders)
        print(f"{made:,} files in {options.folders:,} folders (and {options.folders // 200 + 1} above them)")
        for label, command in {
            "find -type f": ["find", str(top), "-type", "f"],
            "find -type f -size": ["find", str(top), "-type", "f", "-printf", "%s %T@ %p\n"],
        }.items():
            best, cpu = map(min, zip(*(_timed(command) for _ in range(options.repeat)), strict=True))
            print(f"{label:22} {best:6.2f} s  {made / best:10,.0f} files/s  ({cpu:.2f} s of a processor)")
        runs = [_walk(top) for _ in range(options.repeat)]
        seconds, first, slides, files, left, base, peak, _ = min(runs)
        cpu = min(run[-1] for run in runs)
        print(f"{'pmarep.slides':22} {seconds:6.2f} s  {made / seconds:10,.0f} files/s  ({cpu:.2f} s of a processor)")
        print(f"first after {first * 1000:.1f} ms; {slides:,.0f} slides of {files:,.0f} files, {left:,.0f} left out")
        print(f"memory: {peak:.0f} MiB at the peak, {base:.0f} MiB before the walk")
    finally:
        shutil.rmtree(top)


def _timed(command: list[str]) -> tuple[float, float]:
    """Return the seconds by the clock and of a CPU: on a busy machine only the latter can be compared."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    seconds, after = time.perf_counter() - start, os.times()
    return seconds, after.children_user + after.children_system - before.children_user - before.children_system


def _walk(top: Path) -> list[float]:
    output = subprocess.run([sys.executable, "-c", _WALK, str(top)], capture_output=True, text=True, check=True).stdout
    return [float(word) for word in output.split()]


if __name__ == "__main__":
    main()
