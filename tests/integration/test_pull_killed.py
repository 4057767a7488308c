"""Pulls that are killed again and again, and what the last one leaves.

`PMAREP_PULL_KILLS=20 PMAREP_PULL_SLIDES=1000 pytest tests/integration/test_pull_killed.py` is the long form.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from support.corpus import tree
from support.corpus_formats import KINDS, write_slide
from support.fork_server import PATIENCE, LatePatch, start
from support.push_cli import PushCli, Running, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import Hold, Sandbox
from pmarep.slides.formats import FORMATS

KILLS = int(os.environ.get("PMAREP_PULL_KILLS", "2"))
SLIDES = int(os.environ.get("PMAREP_PULL_SLIDES", "19"))
CONNECTIONS = 4


def write_slides(folder: Path, count: int) -> None:
    """Slides of all formats with several files, and large ones of one file, some of each in a folder."""
    kinds = [*KINDS, "one file", "another"]
    for number in range(count):
        where, kind = folder / f"case {number // len(kinds)}", kinds[number % len(kinds)]
        if kind in KINDS:
            write_slide(kind, where, f"slide {number}")
        else:
            tree(where, f"{kind} {number}.svs", content=random.Random(number).randbytes(200_000))


def test_all_formats_with_several_files_are_pulled() -> None:
    several = {entry.name for entry in FORMATS if entry.has_companions and "not sent" not in entry.name}
    assert several <= set(KINDS)


NOTHING_IS_STUCK = LatePatch("import math, pmarep.pull.file_download as download\ndownload.STUCK_SECONDS = math.inf")
"""A slow machine asks for nothing twice."""


def test_a_pull_that_is_killed_again_and_again(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    """Each run until so many files have come; the server lets it have no more until it is killed."""
    sandbox = start_sandbox("tokyo")
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    write_slides(cli.source, SLIDES)
    assert cli.push().counts("tokyo") == (SLIDES, 0, 0)
    sandbox.clear_requests()
    here = tmp_path / "here"
    words = ["pull", "tokyo:", str(here), "--config", str(cli.book), "--json", "--connections", str(CONNECTIONS)]
    words += ["--state-dir", str(cli.state)]
    files, pause = len(contents(cli.source)), random.Random(KILLS)
    for _ in range(KILLS):
        hold = Hold()
        sandbox.faults.add(hold, path="Download", after=pause.randint(1, max(2, files // (KILLS + 1) - CONNECTIONS)))
        with Running(start(words, cli.environment, patch=NOTHING_IS_STUCK)) as running:
            assert hold.reached.wait(PATIENCE)
            running.kill()
        sandbox.faults.clear()
    assert sandbox.wait_idle()
    with Running(start(words, cli.environment, patch=NOTHING_IS_STUCK)) as running:
        last = running.result()
    assert last.code == 0
    assert contents(here) == contents(cli.source)
    downloads = Counter(one.path for one in sandbox.requests if "Download" in one.path)
    again = sum(downloads.values()) - files + sum(not content for content in contents(here).values())
    assert again <= KILLS * CONNECTIONS, "more than what was under way has come again"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is a signal there that tests cannot send")
def test_ctrl_c(tmp_path: Path, sandbox: Sandbox) -> None:
    cli, hold = PushCli(tmp_path / "cli"), Hold()
    cli.site("tokyo", sandbox)
    tree(sandbox.data / "Slides" / "in", *(f"{number}.svs" for number in range(40)), content=bytes(2000))
    sandbox.faults.add(hold, path="Download", after=20)
    words = ["pull", "tokyo:", str(tmp_path / "here"), "--config", str(cli.book), "--json", "--connections", "2"]
    words += ["--state-dir", str(cli.state)]
    with Running(start(words, cli.environment)) as running:
        assert hold.reached.wait(PATIENCE)
        running.wait_for(lambda event: event["event"] == "slide_finished")
        running.interrupt()
        result = running.result()
    assert (result.code, result.stderr) == (130, "")
    assert result.summary["error"].startswith("interrupted; ")
    assert not (tmp_path / "here" / ".pmarep-pull.lock").exists()
    sandbox.faults.clear()
    assert sandbox.wait_idle()
    assert sandbox.open_sessions == 0
