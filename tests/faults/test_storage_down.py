"""A server that answers everything but takes no file: how much it is asked before that is understood."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.clocks import FastClock
from support.corpus import tree
from support.in_process import Report
from support.push_cli import arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Sandbox
from pmarep.events import SlideStatus
from pmarep.sites import Site

from .test_budgets import after_pauses

SLIDES = 200
PATIENCE = 600.0
FILE = r"transfer/Upload/[0-9]+\?path="
DOWN = CannedResponse.aspnet("Object reference not set to an instance of an object.")


def counted(sandbox: Sandbox) -> Counter[str]:
    """Posts of files, questions whether the server and the session are alive, and all others."""
    found: Counter[str] = Counter()
    for request in sandbox.requests:
        kinds = {"?path=": "posts", "GetVersionInfo": "versions", "Ping": "pings"}
        found[next((kind for text, kind in kinds.items() if text in request.path), "others")] += 1
    return found


async def push(tmp_path: Path, sandbox: Sandbox, **options: Any) -> Report:
    site = Site(name="a", url=sandbox.url, username=sandbox.settings.user, target="Slides/in")
    work = in_process.push(
        tmp_path / "cases",
        [site],
        tmp_path / "state",
        sandbox.settings.password,
        **{"clock": FastClock(), "patience": PATIENCE, **options},
    )
    return await asyncio.wait_for(work, 120)


@pytest.fixture
def sandbox(tmp_path: Path, start_sandbox: StartSandbox) -> Sandbox:
    for number in range(SLIDES):
        tree(tmp_path / "cases", f"{number:03}.svs", content=b"%03d" % number * 1000)
    return start_sandbox()


async def test_a_server_that_takes_no_file_is_asked_little(tmp_path: Path, sandbox: Sandbox) -> None:
    """Each slide is tried once, for it may be its own fault, and hardly any of them more often."""
    sandbox.faults.add(DOWN, path=FILE)
    report = await push(tmp_path, sandbox)
    assert report.code == 1
    assert {end.status for end in report.finished("a").values()} == {SlideStatus.FAILED}
    asked = counted(sandbox)
    assert SLIDES <= asked["posts"] <= 2 * SLIDES
    assert asked["versions"] <= 40
    assert asked["pings"] <= 40


async def test_a_storage_that_comes_back_gets_everything(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.faults.add(DOWN, path=FILE)
    report = await push(tmp_path, sandbox, patience=1e6, on_event=after_pauses(5, sandbox.faults.clear))
    assert report.code == 0, report.error("a")
    assert arrived(sandbox) == contents(tmp_path / "cases")
    assert counted(sandbox)["posts"] <= SLIDES + 150


async def test_a_folder_that_the_server_does_not_want_stops_no_others(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.faults.add(DOWN, path=FILE + "0[0-2]")  # the first thirty
    report = await push(tmp_path, sandbox)
    assert report.code == 1
    assert report.summary.sites["a"].sent == SLIDES - 30
