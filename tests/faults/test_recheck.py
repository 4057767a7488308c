"""What somebody does to our slides at a site is found and mended by one of the next runs, though the journal knows
better."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.corpus import tree, write_mirax
from support.idle_clock import IdleClock
from support.in_process import Report
from support.push_cli import arrived, contents
from support.sandboxes import PASSWORD, USER

from pmacore_sandbox import Sandbox
from pmarep.sites import Site


class Later(IdleClock):
    """So many days later."""

    def __init__(self, days: float) -> None:
        super().__init__()
        self.days = days

    def local(self) -> datetime:
        return super().local() + timedelta(days=self.days)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        tree(tmp_path / "cases", f"{name}.svs", content=name.encode() * 1000)
    write_mirax(tmp_path / "cases" / "m.mrxs")
    return tmp_path / "cases"


async def push(source: Path, sandbox: Sandbox, **options: Any) -> Report:
    site = Site(name="a", url=sandbox.url, username=USER, target="Slides/in")
    return await in_process.push(source, [site], source.parent / "state", PASSWORD, **options)


async def test_a_slide_that_was_cut_off_behind_our_back_is_mended(source: Path, sandbox: Sandbox) -> None:
    assert (await push(source, sandbox)).code == 0
    for broken in ("b.svs", "m/Data0000.dat"):
        with (sandbox.data / "Slides" / "in" / broken).open("r+b") as file:
            file.truncate(100)
    sandbox.clear_requests()
    assert (await push(source, sandbox)).code == 0  # it is not yet their turn
    assert not [request for request in sandbox.requests if "GetFilenames" in request.path]
    report = await push(source, sandbox, clock=Later(8))
    assert report.code == 0, report.error("a")
    assert {slide: end.status.value for slide, end in report.finished("a").items()} == {
        "a.svs": "skipped",
        "b.svs": "sent",
        "c.svs": "skipped",
        "m.mrxs": "sent",
    }
    assert arrived(sandbox) == contents(source)


async def test_nothing_is_looked_at_without_a_period(source: Path, sandbox: Sandbox) -> None:
    assert (await push(source, sandbox)).code == 0
    sandbox.clear_requests()
    assert (await push(source, sandbox, clock=Later(800), recheck=None)).code == 0
    assert (await push(source, sandbox, clock=Later(800), dry_run=True)).code == 0
    assert not [request for request in sandbox.requests if "GetFilenames" in request.path]
