"""One request in ten fails in all ways at once, and nobody has to do anything about it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support import fault_kinds, in_process
from support.cloud import MIB, make_blocks_small
from support.corpus import write_mirax
from support.fault_proxy import RandomFaults
from support.idle_clock import IdleClock
from support.in_process import Report
from support.push_cli import arrived, contents
from support.sandboxes import PASSWORD, USER

from pmarep.sites import Site

from .conftest import ProxiedCloud, StartProxiedCloud

SITES = {"Slides": ("a", "b"), "Cloud": ("a",), "Blobs": ("a",)}
"""By root-directory. What one site does to another is the same everywhere."""
SINGLE = 16
"""Slides of one file, and a MIRAX."""
SHARE = 0.1
SILENCE = 4.0
"""Seconds after which a site's silence is an error here: with 1.5, a machine with 20 busy processes is never heard."""
KIB = 1024


def write_slides(folder: Path, *, larger: int) -> None:
    """Some of several parts; all different, so that a mix-up shows."""
    sizes = random.Random(50)
    for number in range(SINGLE - 1):
        size = 300 * KIB if number % 12 == 0 else sizes.randrange(1, 30 * KIB)
        path = folder / f"case {number % 3}" / f"{number:02} ä&+#%.svs"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    (folder / "large.svs").write_bytes(os.urandom(larger))
    write_mirax(folder / "m.mrxs", data_files=4, data_size=20_000)


def arrived_at(site: ProxiedCloud, root: str) -> dict[str, bytes]:
    if root == "Slides":
        return arrived(site.cloud.sandbox)
    return {name.removeprefix("in/"): content for name, content in site.cloud.side(root).objects().items()}


def let_it_storm(site: ProxiedCloud, root: str, seed: int, share: float = SHARE) -> None:
    happening = [fault_kinds.happening("end all sessions", site.cloud.sandbox.end_all_sessions)]
    if root != "Slides":
        happening.append(fault_kinds.happening("expire all URLs", site.cloud.expire_urls))
    for number, proxy in enumerate(dict.fromkeys([site.core, site.storage(root)])):
        proxy.plan = RandomFaults(seed + number, share, [*fault_kinds.EVERYWHERE, *happening])


def describe(sites: dict[str, ProxiedCloud], report: Report) -> str:
    """What befell whom, and what came of it, for the report of a failure."""
    faults = [f"{name}: {line}" for name, site in sites.items() for proxy in site.proxies for line in proxy.log]
    failed = [str(event) for event in report.events if getattr(event, "error", "") or getattr(event, "reason", "")]
    return "\n".join([*faults, *failed])


@pytest.mark.slow
@pytest.mark.parametrize("root", SITES, ids=["filesystem", "s3", "azure"])
async def test_everything_arrives_all_the_same(
    tmp_path: Path,
    proxied_cloud: StartProxiedCloud,
    monkeypatch: pytest.MonkeyPatch,
    root: str,
    record_property: Callable[[str, object], None],
) -> None:
    make_blocks_small(monkeypatch)
    seed = fault_kinds.seed(8)
    write_slides(tmp_path / "cases", larger=MIB + 100 * KIB if root == "Blobs" else 700 * KIB)
    proxied = {name: proxied_cloud(name, azure=root == "Blobs", part_size=64 * KIB) for name in SITES[root]}
    for number, site in enumerate(proxied.values()):
        let_it_storm(site, root, seed + 100 * number)
    sites = [
        Site(name=name, url=site.core.url, username=USER, target=f"{root}/in", timeout=SILENCE)
        for name, site in proxied.items()
    ]
    report = await in_process.push(
        tmp_path / "cases", sites, tmp_path / "state", PASSWORD, clock=IdleClock(), patience=600.0
    )
    assert report.code == 0, describe(proxied, report)
    for name, site in proxied.items():
        counts = report.summary.sites[name]
        assert (counts.sent, counts.skipped, counts.failed) == (SINGLE + 1, 0, 0)
        assert arrived_at(site, root) == contents(tmp_path / "cases")
    asked = sum(proxy.requests for site in proxied.values() for proxy in site.proxies)
    failed = sum(len(proxy.log) for site in proxied.values() for proxy in site.proxies)
    record_property("figure", f"{root}: {failed} of {asked} requests failed, {report.summary.seconds:.1f} s")
    assert failed > 5
