"""Two machines send a slide of one name: the one that is completed later does not replace the other unasked."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.cloud import MIB, CloudSandbox, StartCloud, make_blocks_small
from support.corpus import tree
from support.idle_clock import IdleClock
from support.in_process import Report
from support.push_cli import arrived, contents
from support.sandboxes import PASSWORD, SMALLEST_PART, USER

from pmacore_sandbox import Hold
from pmacore_sandbox.faults import FaultInjector
from pmarep.engine import Existing
from pmarep.sites import Site

ANNOUNCEMENT = "transfer/Upload$"
MOMENTS = {
    "filesystem": ("Slides", ANNOUNCEMENT, 3000),
    "s3": ("Cloud", r"partNumber=2", 3 * SMALLEST_PART),
    "s3, in one piece": ("Cloud", ANNOUNCEMENT, 3000),
    "azure": ("Blobs", "comp=block&", MIB + 1000),
    "azure, in one piece": ("Blobs", ANNOUNCEMENT, 3000),
    "azure, at the end": ("Blobs", "comp=blocklist", MIB + 1000),
}
"""Where the slower machine is when the other one comes and goes: root-directory, request, bytes of the slide."""


class Machines:
    """Two, with one site."""

    def __init__(self, folder: Path, cloud: CloudSandbox, root: str) -> None:
        self.folder, self.cloud, self.root = folder, cloud, root
        # With a number of connections, no request that is held is hedged.
        self.site = Site(name="a", url=cloud.sandbox.url, username=USER, target=f"{root}/in", connections=4)

    def write(self, machine: str, content: bytes, mtime: int) -> None:
        os.utime(tree(self.folder / machine, "x.svs", content=content), (mtime, mtime))

    async def push(self, machine: str, **options: Any) -> Report:
        return await in_process.push(
            self.folder / machine,
            [self.site],
            self.folder / f"{machine}-state",
            PASSWORD,
            clock=IdleClock(),
            **options,
        )

    def faults(self, request: str) -> FaultInjector:
        return self.cloud.sandbox.faults if request == ANNOUNCEMENT else self.cloud.side(self.root).faults

    async def overtake(self, request: str, **options: Any) -> tuple[Report, Report]:
        """The slower one stands still at a request while the other one does all its work."""
        hold = Hold()
        self.faults(request).add(hold, path=request, times=1)
        slower = asyncio.create_task(self.push("slower", **options))
        while not hold.reached.is_set():
            assert not slower.done()
            await asyncio.sleep(0.005)
        quicker = await self.push("quicker")
        hold.release()
        return await slower, quicker

    def there(self) -> dict[str, bytes]:
        if self.root == "Slides":
            return arrived(self.cloud.sandbox)
        return {name.removeprefix("in/"): content for name, content in self.cloud.side(self.root).objects().items()}


@pytest.fixture(params=list(MOMENTS.values()), ids=list(MOMENTS))
def moment(request: pytest.FixtureRequest) -> tuple[str, str, int]:
    found: tuple[str, str, int] = request.param
    return found


@pytest.fixture
def machines(
    tmp_path: Path, cloud_sandbox: StartCloud, moment: tuple[str, str, int], monkeypatch: pytest.MonkeyPatch
) -> Machines:
    make_blocks_small(monkeypatch)
    root = moment[0]
    cloud = cloud_sandbox("c", azure=root == "Blobs", s3_options={"part_size": SMALLEST_PART})
    return Machines(tmp_path, cloud, root)


async def is_left_alone(machines: Machines, request: str, slower_size: int, quicker_size: int) -> None:
    machines.write("slower", os.urandom(slower_size), 1_700_000_000)
    machines.write("quicker", os.urandom(quicker_size), 1_700_000_005)
    slower, quicker = await machines.overtake(request)
    assert (slower.code, quicker.code) == (1, 0)
    assert "another slide of this name is there" in slower.error("a")
    assert machines.there() == contents(machines.folder / "quicker")
    assert (await machines.push("slower")).code == 1
    assert machines.there() == contents(machines.folder / "quicker")


async def test_another_slide_is_left_alone(machines: Machines, moment: tuple[str, str, int]) -> None:
    _, request, size = moment
    await is_left_alone(machines, request, size, size)


@pytest.mark.parametrize("moment", [MOMENTS["filesystem"], MOMENTS["s3"]], ids=["filesystem", "s3"], indirect=True)
async def test_a_slide_of_another_size_is_left_alone(machines: Machines, moment: tuple[str, str, int]) -> None:
    _, request, size = moment
    await is_left_alone(machines, request, size, size + 7)


async def test_the_same_slide_is_there(machines: Machines, moment: tuple[str, str, int]) -> None:
    _, request, size = moment
    content = os.urandom(size)
    machines.write("slower", content, 1_700_000_000)
    machines.write("quicker", content, 1_700_000_005)
    slower, quicker = await machines.overtake(request)
    assert (slower.code, quicker.code) == (0, 0), slower.error("a")
    assert machines.there() == {"x.svs": content}


async def test_with_overwrite_the_slower_push_replaces_the_quicker_ones_slide(
    machines: Machines, moment: tuple[str, str, int]
) -> None:
    _, request, size = moment
    machines.write("slower", os.urandom(size), 1_700_000_000)
    machines.write("quicker", os.urandom(size), 1_700_000_005)
    slower, quicker = await machines.overtake(request, existing=Existing.OVERWRITE)
    assert (slower.code, quicker.code) == (0, 0), slower.error("a")
    assert machines.there() == contents(machines.folder / "slower")
