"""One fault at a time, where it hurts most: what is found, what is sent again, and how much of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.cloud import KINDS
from support.corpus import tree, write_mirax
from support.fault_kinds import SIGN_IN
from support.fault_proxy import CutAnswer, Damage, Fault, FaultProxy, Reset, ScriptedFaults, Slow, Stall
from support.network import Network
from support.push_cli import PushCli, arrived, contents
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Corrupt, Sandbox
from pmarep.state.unfinished import SMALLEST_BLOCK

from .conftest import StartProxiedCloud

SILENCE = 0.5
"""Seconds; for the answer to an upload ten times as much."""


def patience_with(fault: Fault) -> dict[str, Any]:
    """Keys of a site: silence is an error soon only where it is what happens. A busy machine is silent at times."""
    return {"timeout": SILENCE} if isinstance(fault, Stall) else {}


FILE = r"transfer/Upload/\*\?path="
PART = 64 * 1024

PIECE = {"Cloud": r"x\.svs\?.*partnumber=2", "Blobs": r"x\.svs\?.*comp=block&blockid="}
"""One part in the middle of x.svs, as a proxy before the storage sees it."""


def in_pieces(folder: Path, root: str) -> Path:
    """x.svs, of three parts at S3 and of two blocks at Azure."""
    tree(folder, "x.svs", content=os.urandom(3 * PART if root == "Cloud" else SMALLEST_BLOCK + 1000))
    return folder / "x.svs"


# Corruption of one part


@pytest.mark.parametrize("root", KINDS, ids=["s3", "azure"])
def test_a_part_damaged_on_the_wire_is_sent_again(cli: PushCli, proxied_cloud: StartProxiedCloud, root: str) -> None:
    site = proxied_cloud("tokyo", azure=root == "Blobs", part_size=PART)
    slide = in_pieces(cli.source, root)
    cli.site("tokyo", site.core.url, f"{root}/in", password=site.cloud.sandbox.settings.password)
    site.storage(root).plan = ScriptedFaults(PIECE[root], Damage(17))
    result = cli.push()
    assert result.code == 0, result.stdout
    assert len(site.storage(root).log) == 1
    assert site.cloud.side(root).objects() == {"in/x.svs": slide.read_bytes()}
    pieces = site.cloud.side(root).acknowledged()
    assert len(set(pieces)) == len(pieces), "what had arrived was sent again"
    assert result.summary["sites"]["tokyo"]["bytes_sent"] == slide.stat().st_size


@pytest.mark.parametrize("root", KINDS, ids=["s3", "azure"])
def test_a_part_damaged_at_the_server_is_sent_again(cli: PushCli, proxied_cloud: StartProxiedCloud, root: str) -> None:
    site = proxied_cloud("tokyo", azure=root == "Blobs", part_size=PART)
    slide = in_pieces(cli.source, root)
    cli.site("tokyo", site.core.url, f"{root}/in", password=site.cloud.sandbox.settings.password)
    rule = site.cloud.side(root).faults.add(Corrupt(17), method="PUT", path=r"partNumber=2|comp=block&", times=1)
    result = cli.push()
    assert result.code == 0, result.stdout
    assert rule.hits == 1
    assert site.cloud.side(root).objects() == {"in/x.svs": slide.read_bytes()}


@pytest.mark.parametrize("level", ["fingerprint", "deep"])
def test_a_file_damaged_on_the_wire_to_a_file_system(
    cli: PushCli, network: Network, start_sandbox: StartSandbox, level: str
) -> None:
    """No checksum goes with it: fingerprint finds it as the odd one of three, deep by itself. The next run mends it."""
    tree(cli.source, "x.svs", content=os.urandom(PART))
    tree(cli.source, "y.svs", content=os.urandom(PART))
    sandboxes = {name: start_sandbox(name) for name in "abc"}
    proxies = {name: FaultProxy(network, target=sandbox.url) for name, sandbox in sandboxes.items()}
    for name, sandbox in sandboxes.items():
        cli.site(name, proxies[name].url, password=sandbox.settings.password)
    proxies["b"].plan = ScriptedFaults(FILE + "x.svs", Damage(PART // 2))
    result = cli.push("--verify", level)
    assert len(proxies["b"].log) == 1
    assert arrived(sandboxes["a"]) == arrived(sandboxes["c"]) == contents(cli.source)
    assert result.finished("b")["y.svs"]["status"] == "sent"
    if result.code != 0:  # said, and mended by the next run
        wrong = [e for e in result.events if e["event"] == "slide_retracted" or e.get("status") == "failed"]
        assert [(e["site"], e["slide"]) for e in wrong] == [("b", "x.svs")]
        result = cli.push("--verify", level)
        assert result.code == 0, result.stdout
    assert arrived(sandboxes["b"]) == contents(cli.source)


# A site that is away


def test_a_site_that_is_dead_for_the_first_half(cli: PushCli, start_sandbox: StartSandbox) -> None:
    """Nobody listens at first. It comes up when the other site has half of the slides."""
    for number in range(12):
        tree(cli.source, f"{number:02}.svs", content=os.urandom(20_000))
    away, there = start_sandbox("away"), start_sandbox("there")
    cli.site("away", away)
    cli.site("there", there)
    away.stop()
    with cli.start("--connections", "1", "--bwlimit", "200k", "--patience", "1m") as running:
        running.wait_for(lambda e: e["event"] == "slide_finished" and e["site"] == "there", count=6)
        away.start()
        result = running.result()
    assert result.code == 0, result.stdout
    assert arrived(away) == arrived(there) == contents(cli.source)
    states = [e["state"] for e in result.events if e["event"] == "site_state" and e["site"] == "away"]
    assert states[-1] == "done"


def test_a_site_that_goes_away_and_comes_back(cli: PushCli, start_sandbox: StartSandbox) -> None:
    for number in range(12):
        tree(cli.source, f"{number:02}.svs", content=os.urandom(20_000))
    away, there = start_sandbox("away"), start_sandbox("there")
    cli.site("away", away, connections=1, bwlimit="100k")
    cli.site("there", there, connections=1, bwlimit="80k")
    with cli.start("--patience", "1m") as running:
        running.wait_for(lambda e: e["event"] == "slide_finished" and e["site"] == "away", count=2)
        away.stop()
        running.wait_for(lambda e: e["event"] == "slide_finished" and e["site"] == "there", count=4)
        away.start()
        result = running.result()
    assert result.code == 0, result.stdout
    assert arrived(away) == arrived(there) == contents(cli.source)
    assert result.counts("away") == (12, 0, 0)


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
def test_a_file_that_breaks_is_sent_again_alone(cli: PushCli, network: Network, sandbox: Sandbox, fault: Fault) -> None:
    one_file(cli.source)
    proxy = FaultProxy(network, ScriptedFaults(FILE + "m/Data0001.dat", fault), sandbox.url)
    cli.site("a", proxy.url, password=sandbox.settings.password, **patience_with(fault))
    result = cli.push()
    assert result.code == 0, result.stdout
    assert len(proxy.log) == 1
    assert arrived(sandbox) == contents(cli.source)
    again = [r.path for r in sandbox.requests if "?path=" in r.path and r.status == 200]
    assert all(name.endswith("Data0001.dat") for name in again if again.count(name) > 1)


@pytest.mark.parametrize("root", KINDS, ids=["s3", "azure"])
@pytest.mark.parametrize("fault", [Stall(1000), Reset(1000), CutAnswer(10)], ids=["stall", "reset", "truncated"])
def test_a_part_that_breaks_is_sent_again_alone(
    cli: PushCli, proxied_cloud: StartProxiedCloud, root: str, fault: Fault
) -> None:
    site = proxied_cloud("tokyo", azure=root == "Blobs", part_size=PART)
    slide = in_pieces(cli.source, root)
    cli.site(
        "tokyo", site.core.url, f"{root}/in", password=site.cloud.sandbox.settings.password, **patience_with(fault)
    )
    site.storage(root).plan = ScriptedFaults(PIECE[root], fault)
    result = cli.push()
    assert result.code == 0, result.stdout
    assert len(site.storage(root).log) == 1
    assert site.cloud.side(root).objects() == {"in/x.svs": slide.read_bytes()}
    parts = [part for _, part in site.cloud.side(root).acknowledged()]
    assert len(parts) - len(set(parts)) <= 1, "only the part whose answer was lost may come twice"


@pytest.mark.parametrize(
    "call",
    ["GetVersionInfo", "authenticate", "GetRootDirectories", "GetFiles", "transfer/Upload$", "GetImageInfo"],
)
def test_a_sign_in_page_in_between_passes(cli: PushCli, network: Network, sandbox: Sandbox, call: str) -> None:
    (sandbox.data / "Slides" / "in").mkdir()
    tree(cli.source, "x.svs")
    proxy = FaultProxy(network, ScriptedFaults(call, SIGN_IN), sandbox.url)
    cli.site("a", proxy.url, password=sandbox.settings.password)
    result = cli.push()
    assert len(proxy.log) == 1
    assert result.code == 0, result.stdout
    assert arrived(sandbox) == contents(cli.source)


@pytest.mark.parametrize("level", ["none", "size"])
def test_a_sign_in_page_is_no_acknowledgement(cli: PushCli, network: Network, sandbox: Sandbox, level: str) -> None:
    """The worst lie of a network: 200 to a POST that the server never saw."""
    tree(cli.source, "x.svs", content=b"slide" * 1000)
    proxy = FaultProxy(network, ScriptedFaults(FILE, SIGN_IN), sandbox.url)
    cli.site("a", proxy.url, password=sandbox.settings.password)
    result = cli.push("--verify", level)
    assert len(proxy.log) == 1
    assert (result.code, arrived(sandbox)) == (0, contents(cli.source))
