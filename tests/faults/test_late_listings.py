"""Servers that show seconds later what they have: nothing is wrong with the slide, and nothing is sent twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from support import in_process
from support.clocks import JumpingClock
from support.corpus import tree
from support.sandboxes import PASSWORD

from pmacore_sandbox import Sandbox, StaleListings
from pmarep.clock import Clock
from pmarep.engine.remote_listing import LAG_SECONDS, RemoteListing
from pmarep.engine.slide.arrival import LISTED_SECONDS, check_arrived
from pmarep.pmacore import NotArrived, NotFound, PermissionDenied, PmaCore, Refused, RemoteFile
from pmarep.sites import Site
from pmarep.slides import Slide, SlideFile

SLIDE = Slide("a.svs", "Aperio SVS", Path("/cases"), (SlideFile("a.svs", 10, 0),))


def site(sandbox: Sandbox, target: str = "Slides/in") -> Site:
    return Site(name="tokyo", url=sandbox.url, username="seeder", target=target)


async def test_sizes_that_are_reported_late(tmp_path: Path, sandbox: Sandbox) -> None:
    tree(tmp_path / "cases", "a.svs", "b.svs")
    sandbox.faults.add(StaleListings(0.4), path="GetFilenames")
    report = await in_process.push(tmp_path / "cases", [site(sandbox)], tmp_path / "state", PASSWORD, clock=Clock())
    assert report.code == 0, report.error("tokyo")
    assert sum("?path=" in request.path and request.method == "POST" for request in sandbox.requests) == 2


async def test_a_folder_that_another_machine_has_just_made(tmp_path: Path, sandbox: Sandbox) -> None:
    tree(tmp_path / "one", "case/a.svs")
    tree(tmp_path / "other", "case/b.svs")
    first = await in_process.push(tmp_path / "one", [site(sandbox)], tmp_path / "state1", PASSWORD)
    rule = sandbox.faults.add(StaleListings(600), path="GetDirectories")
    second = await in_process.push(tmp_path / "other", [site(sandbox)], tmp_path / "state2", PASSWORD)
    assert rule.hits
    assert (first.code, second.code) == (0, 0), second.error("tokyo")
    assert {file.name for file in (sandbox.data / "Slides/in/case").iterdir()} == {"a.svs", "b.svs"}


class Listing:
    """A PMA.core that shows files and folders when the clock says `since`."""

    def __init__(self, clock: JumpingClock, since: float, refusal: Refused) -> None:
        self.clock, self.since, self.refusal = clock, since, refusal

    @property
    def shows(self) -> bool:
        return self.clock.now >= self.since

    async def directories(self, _: str) -> list[str]:
        return ["R/case"] if self.shows else []

    async def create_directory(self, _: str) -> None:
        raise self.refusal

    async def image_info(self, _: str) -> dict[str, Any]:
        return {}

    async def slide_files(self, path: str) -> list[RemoteFile]:
        if not self.shows:
            raise self.refusal
        return [RemoteFile(path=path, size=10)]


def listing(since: float, refusal: Refused) -> tuple[PmaCore, JumpingClock]:
    clock = JumpingClock()
    return cast(PmaCore, Listing(clock, since, refusal)), clock


@pytest.mark.parametrize("words", ["existiert schon", "already exists", "HTTP status 500"])
async def test_a_folder_is_looked_for_whatever_the_refusal_says(words: str) -> None:
    core, clock = listing(LAG_SECONDS / 2, Refused(f"CreateDirectory was refused: {words}"))
    await RemoteListing(core, clock).make("R/case")


async def test_a_folder_that_the_server_says_to_have_is_believed() -> None:
    core, clock = listing(600, Refused("CreateDirectory was refused: R/case already exists"))
    remote = RemoteListing(core, clock)
    await remote.make("R/case")
    assert await remote.exists("R/case")
    assert clock.now == 0


@pytest.mark.parametrize("words", ["An existing connection was forcibly closed", "R does not exist", "no"])
async def test_a_folder_that_does_not_show_up_is_not_there(words: str) -> None:
    core, clock = listing(600, Refused(words))
    with pytest.raises(Refused, match=words):
        await RemoteListing(core, clock).make("R/case")
    assert 0 < clock.now <= LAG_SECONDS


async def test_a_folder_that_may_not_be_made_is_not_waited_for() -> None:
    core, clock = listing(600, PermissionDenied("no"))
    with pytest.raises(PermissionDenied):
        await RemoteListing(core, clock).make("R/case")
    assert clock.now == 0


async def test_files_that_are_not_listed_at_first() -> None:
    core, clock = listing(LISTED_SECONDS - 5, NotFound("GetFilenames: no such slide"))
    await check_arrived(core, "R/a.svs", SLIDE, clock)


async def test_files_that_are_never_listed_and_those_of_a_slide_that_is_no_news() -> None:
    core, clock = listing(600, NotFound("GetFilenames: no such slide"))
    with pytest.raises(NotFound):
        await check_arrived(core, "R/a.svs", SLIDE, clock, wait=False)
    assert clock.now == 0
    with pytest.raises((NotFound, NotArrived)):
        await check_arrived(core, "R/a.svs", SLIDE, clock)
    assert clock.now <= LISTED_SECONDS
