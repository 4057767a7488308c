"""Five requests in a hundred fail in all ways at once, and nobody has to do anything about it."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from support import fault_kinds
from support.corpus import write_mirax
from support.fault_proxy import RandomFaults
from support.push_cli import PushCli, Result, arrived, contents

from pmarep.state.unfinished import SMALLEST_BLOCK

from .conftest import ProxiedCloud, StartProxiedCloud

SITES = ("a", "b", "c")
"""Two of them do in a cloud: what one site does to another is the same there."""
SHARE = 0.05
SILENCE = 4.0
"""Seconds after which a site's silence is an error here: with 1.5, a machine with 20 busy processes is never heard."""
KIB = 1024


def fifty_slides(folder: Path, *, larger: int) -> None:
    """49 of one file, some of them of several parts, and a MIRAX; all different, so that a mix-up shows."""
    sizes = random.Random(50)
    for number in range(48):
        size = 300 * KIB if number % 12 == 0 else sizes.randrange(1, 30 * KIB)
        path = folder / f"case {number % 5}" / f"{number:02} ä&+#%.svs"
        path.parent.mkdir(exist_ok=True)
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
    for number, proxy in enumerate({site.core, site.storage(root)}):
        proxy.plan = RandomFaults(seed + number, share, [*fault_kinds.EVERYWHERE, *happening])


def describe(sites: list[ProxiedCloud], result: Result) -> str:
    """What befell whom, and what came of it, for the report of a failure."""
    faults = [line for site in sites for proxy in site.proxies for line in proxy.log]
    failed = [str(event) for event in result.events if event.get("error") or event.get("reason")]
    return "\n".join([*faults, *failed, result.stderr])


@pytest.mark.slow
@pytest.mark.parametrize("root", ["Slides", "Cloud", "Blobs"], ids=["filesystem", "s3", "azure"])
def test_everything_arrives_all_the_same(
    cli: PushCli, proxied_cloud: StartProxiedCloud, root: str, record_property: Callable[[str, object], None]
) -> None:
    seed = fault_kinds.seed(6)
    fifty_slides(cli.source, larger=SMALLEST_BLOCK + 100 * KIB if root == "Blobs" else 700 * KIB)
    names = SITES if root == "Slides" else SITES[:2]
    sites = [proxied_cloud(name, azure=root == "Blobs", part_size=64 * KIB) for name in names]
    for number, (name, site) in enumerate(zip(names, sites, strict=True)):
        cli.site(name, site.core.url, f"{root}/in", password=site.cloud.sandbox.settings.password, timeout=SILENCE)
        let_it_storm(site, root, seed + 100 * number)
    result = cli.push("--patience", "10m")
    assert result.code == 0, describe(sites, result)
    for name, site in zip(names, sites, strict=True):
        assert result.counts(name) == (50, 0, 0)
        assert arrived_at(site, root) == contents(cli.source)
    asked = sum(proxy.requests for site in sites for proxy in site.proxies)
    failed = sum(len(proxy.log) for site in sites for proxy in site.proxies)
    record_property("figure", f"{root}: {failed} of {asked} requests failed, {result.summary['seconds']:.1f} s")
    assert failed > 20
