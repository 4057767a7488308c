"""Measure how long the report of a run takes to make and to open in headless Chromium, and look at what it shows.

    .venv/bin/python benchmarks/report.py [--slides 2000 10000] [--screens docs/screens]

Three sites, slides with odd names, failures and a site that stopped. Opening is timed from the request to the second
frame after the page was loaded. Whatever the console says, a filter that does not filter, or problems that are not
shown, fails. Without a Chromium (`apt install chromium`) only the making is measured, and it says so.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from _harness import machine, scratch_folder, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.browser import Browser, find_browser
from support.records import made_up_run

STARTED = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
GOALS = {2000: 2.0, 10_000: 4.0}
OPENED = 3  # times; the median counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, nargs="+", default=list(GOALS))
    parser.add_argument("--screens", type=Path, help="keep screenshots of the first report in this folder")
    parser.add_argument("--dir", type=Path, help="where the reports are made")
    options = parser.parse_args()
    print(machine())
    program = find_browser()
    if program is None:
        print("there is no Chromium, so only the making is measured: apt install chromium")
    rows = []
    with scratch_folder(options.dir) as folder:
        for slides in options.slides:
            asyncio.run(made_up_run(folder / f"{slides}" / "pmarep" / "runs", slides, started=STARTED))
            page = folder / f"{slides}.html"
            start = time.perf_counter()
            command = [sys.executable, "-m", "pmarep", "report", "-o", str(page)]
            # The user's own state folder, which no command in the report has to name.
            own = {**os.environ, "XDG_STATE_HOME": str(folder / f"{slides}")}
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=own)
            made = time.perf_counter() - start
            opened = "" if program is None else look(program, page, slides)
            rows.append([f"{slides:,}", f"{page.stat().st_size / 1e6:.1f} MB", f"{made:.1f} s", opened])
        if program is not None and options.screens:
            screens(program, folder / f"{options.slides[0]}.html", options.screens)
    table(["slides", "size", "made in", "opened in"], rows)


def look(program: str, page: Path, slides: int) -> str:
    """Open a report some times, check what it does, and return the median of the seconds until it was there."""
    with Browser(program) as browser:
        seconds = statistics.median(browser.open(page) for _ in range(OPENED))
        count = "document.getElementById('count').textContent"
        assert browser.run(count) == f"{slides:,} slides", browser.run(count)
        assert browser.run("document.querySelectorAll('#rows tr').length") < 200
        filter_by(browser, words="S26 _17")
        assert " of " in browser.run(count)
        filter_by(browser, words="", only=True)
        assert browser.run("document.querySelectorAll('#rows td.F, #rows td.N').length") > 0
        browser.run("document.getElementById('scroll').scrollTop = 1e9")
        browser.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        browser.media("print")
        listed = "[...document.querySelectorAll('.names li')].filter(name => name.checkVisibility()).length"
        states = "JSON.parse(document.getElementById('data').textContent).sites.map(site => site.states).join('')"
        assert browser.run(listed) == sum(state in "FUN" for state in browser.run(states)), "printed"
        browser.media()
        last = browser.run("[...document.querySelectorAll('#rows tr[data-row]')].at(-1).dataset.row")
        shown = int(browser.run(count).split(" of ")[0].split()[0].replace(",", ""))
        assert int(last) == shown - 1
        assert browser.complaints == [], browser.complaints
    goal = GOALS.get(slides)
    assert goal is None or seconds < goal, f"{seconds:.2f} s, and not {goal} s"
    return f"{seconds:.2f} s"


def filter_by(browser: Browser, *, words: str, only: bool = False) -> None:
    browser.run(
        f"words.value = {words!r}; words.dispatchEvent(new Event('input')); "
        f"only.checked = {str(only).lower()}; only.dispatchEvent(new Event('change'))"
    )


def screens(program: str, page: Path, folder: Path) -> None:
    """Take pictures: the page, the matrix with a cell's details in the dark, and what is printed."""
    folder.mkdir(parents=True, exist_ok=True)
    with Browser(program, 1200, 900) as browser:
        browser.media()
        browser.open(page)
        browser.screenshot(folder / "report.png")
        browser.run("document.querySelector('.matrix').scrollIntoView()")
        browser.run("document.querySelector('#rows td.F').click()")
        browser.media(dark=True)
        browser.screenshot(folder / "report-slides-dark.png")
    with Browser(program, 800, 1100) as browser:
        browser.media("print")
        browser.open(page)
        browser.screenshot(folder / "report-printed.png")


if __name__ == "__main__":
    main()
