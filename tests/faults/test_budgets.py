"""How long a slide and a site are tried: storages that are down, and slides that never go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.cloud import KINDS, CloudSandbox, StartCloud
from support.corpus import tree
from support.idle_clock import IdleClock
from support.in_process import Report
from support.push_cli import arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import SERVER_BUSY, SLOW_DOWN, CannedResponse, Drop
from pmarep.engine import Verify
from pmarep.events import Event, SiteState, SlideFinished, SlideStatus, State
from pmarep.sites import Site

PATIENCE = 240.0
LONG_PATIENCE = 100_000.0
"""Where it is not to end."""
SLIDES = 6
BUSY = {"Cloud": SLOW_DOWN, "Blobs": SERVER_BUSY}

Push = Callable[..., Awaitable[Report]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(SLIDES):
        tree(tmp_path / "cases", f"{number:02}.svs", content=bytes([number + 1]) * 1000)
    return tmp_path / "cases"


@pytest.fixture
def push(source: Path, tmp_path: Path) -> Push:
    """`push(cloud, "Cloud")`: to a cloud sandbox's root-directory."""

    async def push(cloud: CloudSandbox, root: str, **options: Any) -> Report:
        settings = cloud.sandbox.settings
        site = Site(name="tokyo", url=cloud.sandbox.url, username=settings.user, target=f"{root}/in")
        return await in_process.push(
            source,
            [site],
            tmp_path / "state",
            settings.password,
            **{"patience": PATIENCE, "clock": IdleClock(), **options},
        )

    return push


def pauses(report: Report) -> list[str]:
    states = [event for event in report.events if isinstance(event, SiteState)]
    return [event.reason or "" for event in states if event.state is State.PAUSED]


def after_pauses(count: int, what: Callable[[], None]) -> Callable[[Event], None]:
    """Hears events, and does something at the `count`th pause of a site."""
    seen = 0

    def on_event(event: Event) -> None:
        nonlocal seen
        if isinstance(event, SiteState) and event.state is State.PAUSED:
            seen += 1
            if seen == count:
                what()

    return on_event


@pytest.mark.parametrize(("root", "connections"), [("Cloud", 3), ("Blobs", 1)], ids=["s3", "azure"])
async def test_a_storage_that_is_down_for_the_first_half(
    cloud_sandbox: StartCloud, push: Push, source: Path, root: str, connections: int
) -> None:
    cloud = cloud_sandbox(azure=root == "Blobs")
    side = cloud.side(root)
    rule = side.faults.add(BUSY[root], method="PUT")
    report = await push(
        cloud, root, connections=connections, patience=LONG_PATIENCE, on_event=after_pauses(6, side.faults.clear)
    )
    assert report.code == 0, report
    assert side.objects() == {f"in/{name}": content for name, content in contents(source).items()}
    assert len(pauses(report)) >= 6
    assert not [why for why in pauses(report) if not ("the storage failed (" in why and "; trying again in " in why)]
    # So many slides fail at once, then one at a time is on trial; each try is five requests at most.
    assert rule.hits <= 5 * (connections + 6)


@pytest.mark.parametrize("root", KINDS, ids=["s3", "azure"])
async def test_a_storage_that_fails_to_give_a_file_back_is_asked_again(
    cloud_sandbox: StartCloud, push: Push, source: Path, root: str
) -> None:
    for slide in list(source.iterdir())[2:]:
        slide.unlink()
    cloud = cloud_sandbox(azure=root == "Blobs")
    rule = cloud.side(root).faults.add(BUSY[root], method="GET", times=3)
    report = await push(cloud, root, verify=Verify.DEEP)
    assert report.code == 0, report
    assert rule.hits == 3


async def test_a_storage_that_hangs_up_is_as_bad(cloud_sandbox: StartCloud, push: Push, source: Path) -> None:
    cloud = cloud_sandbox(azure=False)
    cloud.s3.faults.add(Drop(100), method="PUT")
    report = await push(cloud, "Cloud", patience=LONG_PATIENCE, on_event=after_pauses(4, cloud.s3.faults.clear))
    assert report.code == 0, report
    assert len(cloud.s3.objects()) == SLIDES


async def test_a_storage_that_stays_down_is_given_up(cloud_sandbox: StartCloud, push: Push) -> None:
    cloud = cloud_sandbox(azure=False)
    rule = cloud.s3.faults.add(SLOW_DOWN, method="PUT")
    report = await push(cloud, "Cloud")
    assert report.code == 1
    assert "the storage failed" in (report.summary.sites["tokyo"].error or "")
    assert "; given up after " in (report.summary.sites["tokyo"].error or "")
    assert report.finished("tokyo") == {}  # it is not the slides' fault
    assert report.summary.seconds >= PATIENCE
    assert rule.hits <= 5 * (6 + 15)


@pytest.mark.parametrize(("connections", "poison"), [(1, ("00",)), (1, ("00", "03", "05")), (3, ("00", "01", "02"))])
async def test_slides_that_never_go_hold_up_no_others(
    cloud_sandbox: StartCloud, push: Push, connections: int, poison: tuple[str, ...]
) -> None:
    """After the first of them has failed, another one arrives: else it were the storage."""
    cloud = cloud_sandbox(azure=False)
    rule = cloud.s3.faults.add(SLOW_DOWN, method="PUT", path=rf"/({'|'.join(poison)})\.svs")
    bad = {f"{name}.svs" for name in poison}
    report = await push(cloud, "Cloud", connections=connections)
    assert report.code == 1
    finished = [event for event in report.events if isinstance(event, SlideFinished)]
    assert {event.slide for event in finished if event.status is SlideStatus.SENT} == set(cloud_names()) - bad
    assert {event.slide for event in finished if event.status is SlideStatus.FAILED} == bad
    assert all(event.seconds >= PATIENCE / 10 for event in finished if event.slide in bad)
    assert report.summary.sites["tokyo"].error is None
    assert len(pauses(report)) <= len(bad) * (len(bad) - 1)  # one slide alone pauses no site
    assert rule.hits <= 5 * 30 * len(bad)


async def test_a_folder_of_slides_that_the_server_does_not_want(
    source: Path, tmp_path: Path, start_sandbox: StartSandbox
) -> None:
    """ASP.NET says 500 to what it dislikes, which may as well be its own trouble; the others arrive all the same."""
    sandbox = start_sandbox()
    sandbox.faults.add(CannedResponse.aspnet("Value cannot be null."), path=r"transfer/Upload/[0-9]+\?path=0[0-3]")
    site = Site(name="tokyo", url=sandbox.url, username=sandbox.settings.user, target="Slides/in")
    report = await in_process.push(
        source,
        [site],
        tmp_path / "state",
        sandbox.settings.password,
        clock=IdleClock(),
        patience=PATIENCE,
        connections=1,
    )
    assert set(arrived(sandbox)) == {"04.svs", "05.svs"}
    assert report.summary.sites["tokyo"].error is None
    assert {name for name, end in report.finished("tokyo").items() if end.status is SlideStatus.FAILED} == {
        f"0{number}.svs" for number in range(4)
    }


async def test_max_duration_ends_all_waiting(cloud_sandbox: StartCloud, push: Push) -> None:
    cloud = cloud_sandbox(azure=False)
    cloud.s3.faults.add(SLOW_DOWN, method="PUT", path="/00")
    report = await push(cloud, "Cloud", connections=2, max_duration=60.0, patience=1e7)
    assert report.code == 1
    ended = report.finished("tokyo")["00.svs"]
    assert ended.status is SlideStatus.FAILED
    assert "the storage failed" in str(ended.error)
    assert "/00.svs" not in str(cloud.s3.objects())


async def test_without_patience_nothing_is_waited_for(cloud_sandbox: StartCloud, push: Push) -> None:
    cloud = cloud_sandbox(azure=False)
    rule = cloud.s3.faults.add(SLOW_DOWN, method="PUT")
    report = await push(cloud, "Cloud", patience=0.0)
    assert pauses(report) == []
    assert len(report.finished("tokyo")) == SLIDES
    assert rule.hits <= SLIDES * 3 * 5


def cloud_names() -> list[str]:
    return [f"{number:02}.svs" for number in range(SLIDES)]
