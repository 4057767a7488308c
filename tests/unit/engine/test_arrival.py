"""What counts as arrived."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from support.clocks import JumpingClock

from pmarep.engine.slide.arrival import READABLE_SECONDS, check_arrived, check_status
from pmarep.pmacore import NotArrived, PmaCore, Refused, RemoteFile, ServerError, UploadStatus
from pmarep.slides import Slide, SlideFile

SLIDE = Slide("m.mrxs", "3DHISTECH MIRAX", Path("/cases"), (SlideFile("m/1.dat", 10, 0), SlideFile("m.mrxs", 3, 0)))


class FakeCore:
    """Cannot read a slide for some seconds; then has these files."""

    def __init__(self, clock: JumpingClock, unreadable: float = 0, **files: int) -> None:
        self._clock = clock
        self._unreadable = unreadable
        self._files = files or {"Slides/in/m/1.dat": 10, "Slides/in/m.mrxs": 3}
        self.error: Exception = Refused("GetImageInfo was refused: not yet")

    async def image_info(self, path: str) -> dict[str, Any]:
        assert path == "Slides/in/m.mrxs"
        if self._clock.now < self._unreadable:
            raise self.error
        return {}

    async def slide_files(self, path: str) -> list[RemoteFile]:
        return [RemoteFile(path=name, size=size) for name, size in self._files.items()]


async def arrives(core: FakeCore, clock: JumpingClock) -> None:
    await check_arrived(cast(PmaCore, core), "Slides/in/m.mrxs", SLIDE, clock)


@pytest.mark.parametrize("seconds", [0, 0.05, 20, READABLE_SECONDS - 10])
async def test_waits_until_the_server_understands_the_slide(seconds: float) -> None:
    clock = JumpingClock()
    await arrives(FakeCore(clock, seconds), clock)
    assert seconds <= clock.now <= max(seconds * 2, seconds + 5)


async def test_does_not_wait_for_ever() -> None:
    clock = JumpingClock()
    with pytest.raises(NotArrived, match=r"cannot read the slide.*not yet"):
        await arrives(FakeCore(clock, 1e9), clock)
    assert READABLE_SECONDS - 6 <= clock.now <= READABLE_SECONDS


async def test_a_server_that_fails_is_another_matter() -> None:
    clock = JumpingClock()
    core = FakeCore(clock, 1)
    core.error = ServerError("down")
    with pytest.raises(ServerError):
        await arrives(core, clock)
    assert clock.now == 0


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"Slides/in/m.mrxs": 3}, "m/1.dat is missing there"),
        ({"Slides/in/m.mrxs": 3, "Slides/in/m/1.dat": 9}, "9 bytes there and 10 here"),
        ({"Slides/in/other/m/1.dat": 10, "Slides/in/m.mrxs": 3}, "m/1.dat is missing there"),
        ({"Slides/in/x": 3}, "and 1 more"),
    ],
)
async def test_a_slide_that_has_not_arrived_is_reported_with_its_reason(files: dict[str, int], words: str) -> None:
    clock = JumpingClock()
    with pytest.raises(NotArrived, match=words):
        await arrives(FakeCore(clock, **files), clock)


async def test_files_that_were_asked_for_too_early_are_asked_for_again() -> None:
    clock = JumpingClock()
    core = FakeCore(clock, 5)
    there, asked = core._files, []

    async def slide_files(path: str) -> list[RemoteFile]:
        asked.append(clock.now)
        return [RemoteFile(path=name, size=size) for name, size in there.items() if clock.now >= 5]

    core.slide_files = slide_files  # type: ignore[method-assign]
    await arrives(core, clock)
    assert len(asked) == 2


@pytest.mark.parametrize("slashes", ["/Slides/in/{}", "slides/IN/{}", "Slides/in/{}"])
async def test_leftovers_case_and_slashes_do_no_harm(slashes: str) -> None:
    clock = JumpingClock()
    files = {slashes.format(name): size for name, size in (("M/1.DAT", 10), ("m.mrxs", 3), ("m/old.dat", 7))}
    await arrives(FakeCore(clock, **files), clock)


def test_the_status_of_an_upload() -> None:
    def status(**complete: bool) -> UploadStatus:
        return UploadStatus.read({"Files": [{"Path": p, "Complete": c} for p, c in complete.items()]}, "status")

    slide = Slide("c", "any", Path(), tuple(SlideFile(name, 1, 0) for name in "abc"))
    check_status(status(), slide)  # a server that does not say
    check_status(status(a=True, b=True, c=True), slide)
    with pytest.raises(NotArrived, match="b is not complete there, and 1 more"):
        check_status(status(a=True, b=False, c=False), slide)
    with pytest.raises(NotArrived, match="c is not complete there"):
        check_status(status(a=True, b=True), slide)
