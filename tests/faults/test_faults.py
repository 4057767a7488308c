"""One fault at a time, where it hurts most: what is found, what is sent again, and how much of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import in_process
from support.cloud import KINDS, MIB, make_blocks_small
from support.corpus import tree, write_mirax
from support.fault_kinds import SIGN_IN
from support.fault_proxy import CutAnswer, Damage, Fault, FaultProxy, Reset, ScriptedFaults, Slow, Stall
from support.idle_clock import IdleClock
from support.in_process import Report
from support.network import Network
from support.push_cli import arrived, contents
from support.sandboxes import PASSWORD, USER, StartSandbox

from pmacore_sandbox import CannedResponse, Corrupt, Hold, Sandbox
from pmarep.engine import Verify
from pmarep.events import Event, SiteState, SlideFinished, SlideRetracted, SlideStatus, State
from pmarep.sites import Site

from .conftest import StartProxiedCloud

SILENCE = 1.0
"""Seconds; for the answer to an upload ten times as much."""


def site_at(url: str, target: str = "Slides/in", fault: Fault | None = None, name: str = "a") -> Site:
    """Silence is an error soon only where it is what happens: a busy machine is silent at times.

    With a number of connections, nothing is hedged.
    """
    timeout: dict[str, Any] = {"timeout": SILENCE} if isinstance(fault, Stall) else {}
    return Site(name=name, url=url, username=USER, target=target, connections=4, **timeout)


class Pusher:
    """Pushes `source`: what waits for nothing real takes no time."""

    def __init__(self, folder: Path) -> None:
        self.source, self._state = folder / "cases", folder / "state"
        self.source.mkdir()

    async def push(self, *sites: Site, **options: Any) -> Report:
        return await in_process.push(self.source, sites, self._state, PASSWORD, clock=IdleClock(), **options)

    async def push_through(self, fault: Fault, site: Site) -> Report:
        """A fault is outlasted by the request alone; but a busy machine may be silent where others are to be heard."""
        return await self.push(site, patience=600.0 if isinstance(fault, Stall) else 0.0)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    make_blocks_small(monkeypatch)


@pytest.fixture
def pusher(tmp_path: Path) -> Pusher:
    return Pusher(tmp_path)


FILE = r"transfer/Upload/\*\?path="
PART = 64 * 1024

PIECE = {"Cloud": r"x\.svs\?.*partnumber=2", "Blobs": r"x\.svs\?.*comp=block&blockid="}
"""One part in the middle of x.svs, as a proxy before the storage sees it."""


def in_pieces(folder: Path, root: str) -> Path:
    """x.svs, of three parts at S3 and of two blocks at Azure."""
    tree(folder, "x.svs", content=os.urandom(3 * PART if root == "Cloud" else MIB + 1000))
    return folder / "x.svs"


# Corruption of one part


@pytest.mark.parametrize("root", KINDS, ids=["s3", "azure"])
async def test_a_part_damaged_on_the_wire_is_sent_again(
    pusher: Pusher, proxied_cloud: StartProxiedCloud, root: str
) -> None:
    site = proxied_cloud("tokyo", azure=root == "Blobs", part_size=PART)
    slide = in_pieces(pusher.source, root)
    site.storage(root).plan = ScriptedFaults(PIECE[root], Damage(17))
    report = await pusher.push(site_at(site.core.url, f"{root}/in"))
    assert report.code == 0, report
    assert len(site.storage(root).log) == 1
    assert site.cloud.side(root).objects() == {"in/x.svs": slide.read_bytes()}
    pieces = site.cloud.side(root).acknowledged()
    assert len(set(pieces)) == len(pieces), "what had arrived was sent again"
    assert report.summary.sites["a"].bytes_sent == slide.stat().st_size


@pytest.mark.parametrize("root", KINDS, ids=["s3", "azure"])
async def test_a_part_damaged_at_the_server_is_sent_again(
    pusher: Pusher, proxied_cloud: StartProxiedCloud, root: str
) -> None:
    site = proxied_cloud("tokyo", azure=root == "Blobs", part_size=PART)
    slide = in_pieces(pusher.source, root)
    rule = site.cloud.side(root).faults.add(Corrupt(17), method="PUT", path=r"partNumber=2|comp=block&", times=1)
    report = await pusher.push(site_at(site.core.url, f"{root}/in"))
    assert report.code == 0, report
    assert rule.hits == 1
    assert site.cloud.side(root).objects() == {"in/x.svs": slide.read_bytes()}


@pytest.mark.parametrize("level", [Verify.FINGERPRINT, Verify.DEEP])
async def test_a_file_damaged_on_the_wire_to_a_file_system(
    pusher: Pusher, network: Network, start_sandbox: StartSandbox, level: Verify
) -> None:
    """No checksum goes with it: fingerprint finds it as the odd one of three, deep by itself. The next run mends it."""
    tree(pusher.source, "x.svs", content=os.urandom(PART))
    tree(pusher.source, "y.svs", content=os.urandom(PART))
    sandboxes = {name: start_sandbox(name) for name in "abc"}
    proxies = {name: FaultProxy(network, target=sandbox.url) for name, sandbox in sandboxes.items()}
    sites = [site_at(proxy.url, name=name) for name, proxy in proxies.items()]
    proxies["b"].plan = ScriptedFaults(FILE + "x.svs", Damage(PART // 2))
    report = await pusher.push(*sites, verify=level)
    assert len(proxies["b"].log) == 1
    assert arrived(sandboxes["a"]) == arrived(sandboxes["c"]) == contents(pusher.source)
    assert report.finished("b")["y.svs"].status is SlideStatus.SENT
    if report.code != 0:  # said, and mended by the next run
        said = [e for e in report.events if isinstance(e, SlideFinished | SlideRetracted)]
        wrong = [(e.site, e.slide) for e in said if getattr(e, "status", SlideStatus.FAILED) is SlideStatus.FAILED]
        assert wrong == [("b", "x.svs")]
        report = await pusher.push(*sites, verify=level)
        assert report.code == 0, report
    assert arrived(sandboxes["b"]) == contents(pusher.source)


# A site that is away


class TwoSites:
    """`away` and `there`. What is added happens when so many slides are at a site; the push stands still meanwhile.

    `there` takes its fifth slide only when the other one has been found to be away.
    """

    def __init__(self, pusher: Pusher, start_sandbox: StartSandbox) -> None:
        for number in range(12):
            tree(pusher.source, f"{number:02}.svs", content=os.urandom(20_000))
        self._pusher = pusher
        self.away, self.there = start_sandbox("away"), start_sandbox("there")
        self._found_away = Hold()
        self.there.faults.add(self._found_away, path=r"\?path=(0[4-9]|1)")
        self._wanted: dict[tuple[str, int], Callable[[], Any]] = {}
        self._seen: Counter[str] = Counter()

    def add(self, site: str, count: int, what: Callable[[], Any]) -> None:
        self._wanted[site, count] = what

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SlideFinished):
            self._seen[event.site] += 1
            if (what := self._wanted.pop((event.site, self._seen[event.site]), None)) is not None:
                what()
        if isinstance(event, SiteState) and (event.site, event.state) == ("away", State.PAUSED):
            self._found_away.release()

    async def push(self) -> None:
        sites = [site_at(self.away.url, name="away"), site_at(self.there.url, name="there")]
        report = await self._pusher.push(*sites, patience=60.0, on_event=self._on_event)
        assert report.code == 0, report
        assert not self._wanted
        assert arrived(self.away) == arrived(self.there) == contents(self._pusher.source)
        states = [e.state for e in report.events if isinstance(e, SiteState) and e.site == "away"]
        assert State.PAUSED in states
        assert states[-1] is State.DONE
        counts = report.summary.sites["away"]
        assert (counts.sent, counts.skipped, counts.failed) == (12, 0, 0)


@pytest.fixture
def two_sites(pusher: Pusher, start_sandbox: StartSandbox) -> TwoSites:
    return TwoSites(pusher, start_sandbox)


async def test_a_site_that_is_dead_for_the_first_half(two_sites: TwoSites) -> None:
    """Nobody listens at first. It comes up when the other site has half of the slides."""
    two_sites.away.stop()
    two_sites.add("there", 6, two_sites.away.start)
    await two_sites.push()


async def test_a_site_that_goes_away_and_comes_back(two_sites: TwoSites) -> None:
    two_sites.add("away", 2, two_sites.away.stop)
    two_sites.add("there", 6, two_sites.away.start)
    await two_sites.push()


# Silence, and other ends of a request


def one_file(folder: Path) -> None:
    write_mirax(folder / "m.mrxs", data_files=3, data_size=200_000)


@pytest.mark.parametrize(
    "fault",
    [
        Stall(100_000),
        Stall(20, of_answer=True),
        Reset(150_000),
        CutAnswer(0),
        CutAnswer(40, reset=True),
        Slow(400_000),
        CannedResponse.iis(503, headers={"Retry-After": "1"}),
        CannedResponse.iis(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        CannedResponse.iis(503, headers={"Retry-After": "soon"}),
    ],
    ids=[
        "stall in the middle",
        "stall within the answer",
        "reset",
        "closed instead of the answer",
        "reset within the answer",
        "slow",
        "503 Retry-After",
        "503 Retry-After a date of the past",
        "503 Retry-After nonsense",
    ],
)
async def test_a_file_that_breaks_is_sent_again_alone(
    pusher: Pusher, network: Network, sandbox: Sandbox, fault: Fault
) -> None:
    one_file(pusher.source)
    proxy = FaultProxy(network, ScriptedFaults(FILE + "m/Data0001.dat", fault), sandbox.url)
    report = await pusher.push_through(fault, site_at(proxy.url, fault=fault))
    assert report.code == 0, report
    assert len(proxy.log) == 1
    assert arrived(sandbox) == contents(pusher.source)
    again = [r.path for r in sandbox.requests if "?path=" in r.path and r.status == 200]
    assert all(name.endswith("Data0001.dat") for name in again if again.count(name) > 1)


@pytest.mark.parametrize("root", KINDS, ids=["s3", "azure"])
@pytest.mark.parametrize("fault", [Stall(1000), Reset(1000), CutAnswer(10)], ids=["stall", "reset", "truncated"])
async def test_a_part_that_breaks_is_sent_again_alone(
    pusher: Pusher, proxied_cloud: StartProxiedCloud, root: str, fault: Fault
) -> None:
    site = proxied_cloud("tokyo", azure=root == "Blobs", part_size=PART)
    slide = in_pieces(pusher.source, root)
    site.storage(root).plan = ScriptedFaults(PIECE[root], fault)
    report = await pusher.push_through(fault, site_at(site.core.url, f"{root}/in", fault))
    assert report.code == 0, report
    assert len(site.storage(root).log) == 1
    assert site.cloud.side(root).objects() == {"in/x.svs": slide.read_bytes()}
    parts = [part for _, part in site.cloud.side(root).acknowledged()]
    assert len(parts) - len(set(parts)) <= 1, "only the part whose answer was lost may come twice"


@pytest.mark.parametrize(
    "call",
    ["GetVersionInfo", "authenticate", "GetRootDirectories", "GetFiles", "transfer/Upload$", "GetImageInfo"],
)
async def test_a_sign_in_page_in_between_passes(pusher: Pusher, network: Network, sandbox: Sandbox, call: str) -> None:
    (sandbox.data / "Slides" / "in").mkdir()
    tree(pusher.source, "x.svs")
    proxy = FaultProxy(network, ScriptedFaults(call, SIGN_IN), sandbox.url)
    report = await pusher.push(site_at(proxy.url))
    assert len(proxy.log) == 1
    assert report.code == 0, report
    assert arrived(sandbox) == contents(pusher.source)


@pytest.mark.parametrize("level", [Verify.NONE, Verify.SIZE])
async def test_a_sign_in_page_is_no_acknowledgement(
    pusher: Pusher, network: Network, sandbox: Sandbox, level: Verify
) -> None:
    """The worst lie of a network: 200 to a POST that the server never saw."""
    tree(pusher.source, "x.svs", content=b"slide" * 1000)
    proxy = FaultProxy(network, ScriptedFaults(FILE, SIGN_IN), sandbox.url)
    report = await pusher.push(site_at(proxy.url), verify=level)
    assert len(proxy.log) == 1
    assert (report.code, arrived(sandbox)) == (0, contents(pusher.source))
