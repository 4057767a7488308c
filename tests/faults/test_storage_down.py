"""A server that answers everything but takes no file: how much it is asked before that is understood."""

from __future__ import annotations

import random
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.corpus import tree
from support.idle_clock import IdleClock
from support.in_process import Report
from support.push_cli import arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Sandbox
from pmarep.events import Event, SiteState, SlideStatus, State
from pmarep.sites import Site

from .test_budgets import after_pauses

SLIDES = 40
PATIENCE = 240.0
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
    return await in_process.push(
        tmp_path / "cases",
        [site],
        tmp_path / "state",
        sandbox.settings.password,
        **{"clock": IdleClock(), "patience": PATIENCE, **options},
    )


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
    assert SLIDES <= asked["posts"] <= 3 * SLIDES  # with five requests for each of three attempts it were 15
    assert asked["versions"] <= 25
    assert asked["pings"] <= 25


async def test_a_storage_that_comes_back_gets_everything(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.faults.add(DOWN, path=FILE)
    report = await push(tmp_path, sandbox, patience=1e6, on_event=after_pauses(5, sandbox.faults.clear))
    assert report.code == 0, report.error("a")
    assert arrived(sandbox) == contents(tmp_path / "cases")
    assert counted(sandbox)["posts"] <= 3 * SLIDES


async def test_a_folder_that_the_server_does_not_want_stops_no_others(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.faults.add(DOWN, path=FILE + "00")  # the first ten
    report = await push(tmp_path, sandbox)
    assert report.code == 1
    assert report.summary.sites["a"].sent == SLIDES - 10


class AtFirstPause:
    """Hears events: counts requests by what `name` finds at a site's first pause, and ends the fault."""

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self.counted: Counter[str] | None = None
        self._sandbox = sandbox
        self._name = re.compile(name)

    def __call__(self, event: Event) -> None:
        if self.counted is None and isinstance(event, SiteState) and event.state is State.PAUSED:
            found = [self._name.search(request.path) for request in self._sandbox.requests]
            self.counted = Counter(match[1] for match in found if match)
            self._sandbox.faults.clear()


@pytest.fixture
async def between(tmp_path: Path, start_sandbox: StartSandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Has the second of three slides, unknown to the journal. Pauses are the longest possible: new slides go first."""
    sandbox = start_sandbox()
    tree(tmp_path / "cases", "b/1.svs", content=b"1" * 3000)
    assert (await push(tmp_path, sandbox)).code == 0
    shutil.rmtree(tmp_path / "state")
    tree(tmp_path / "cases", "a/0.svs", "c/2.svs", content=b"0" * 3000)
    monkeypatch.setattr(random, "uniform", lambda _least, most: most)
    sandbox.clear_requests()
    return sandbox


async def test_a_slide_that_is_there_proves_no_storage(tmp_path: Path, between: Sandbox) -> None:
    """Two fail while they are sent, with one between them that need not be sent: the storage is down."""
    between.faults.add(DOWN, path=FILE)
    pause = AtFirstPause(between, r"[?]path=.*/([0-9])\.svs")
    report = await push(tmp_path, between, connections=1, on_event=pause)
    assert report.code == 0, report.error("a")
    assert pause.counted is not None
    assert pause.counted["0"] == pause.counted["2"]  # none was tried again before that


async def test_a_slide_that_is_there_proves_that_the_server_answers(tmp_path: Path, between: Sandbox) -> None:
    """Two fail while they are looked at, with one between them that is fine: it is these slides, not the site."""
    assert (await push(tmp_path, between)).code == 0
    shutil.rmtree(tmp_path / "state")
    between.clear_requests()
    between.faults.add(CannedResponse.iis(503), path=r"api/json/Get.*(/|%2F)[02]\.svs")
    pause = AtFirstPause(between, r"api/json/Get.*(?:/|%2F)([0-9])\.svs")
    report = await push(tmp_path, between, connections=1, on_event=pause)
    assert report.code == 0, report.error("a")
    assert pause.counted is not None
    assert pause.counted["0"] == 2 * pause.counted["2"]  # it was tried again before that
