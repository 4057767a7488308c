"""A site that stops at one node: others bring its slides there, and what nobody can bring is said with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.corpus import tree
from support.nodes_here import WorkersHere, notices, push_by_nodes
from support.push_cli import PushCli, arrived, contents, files_sent
from support.sandboxes import StartSandbox

from pmacore_sandbox import CannedResponse, Sandbox


@pytest.fixture
def tokyo(start_sandbox: StartSandbox) -> Sandbox:
    return start_sandbox("tokyo")


@pytest.fixture
def ghent(start_sandbox: StartSandbox) -> Sandbox:
    return start_sandbox("ghent")


@pytest.fixture
def cli(tmp_path: Path, tokyo: Sandbox, ghent: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", tokyo)
    cli.site("ghent", ghent)
    tree(cli.source, *(f"case {number}/{number}.svs" for number in range(12)), content=os.urandom(1000))
    return cli


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, cli: PushCli) -> WorkersHere:
    cluster = WorkersHere(monkeypatch)
    cluster.add("a", cli.environment)
    cluster.add("b", cli.environment)
    return cluster


async def test_each_node_serves_the_sites_whose_passwords_it_has(
    cli: PushCli, tokyo: Sandbox, ghent: Sandbox, cluster: WorkersHere
) -> None:
    cluster.add("a", {**cli.environment, "PMAREP_PASSWORD_TOKYO": "an old one"})
    cluster.add("b", {name: value for name, value in cli.environment.items() if name != "PMAREP_PASSWORD_GHENT"})
    report = await push_by_nodes(cli, cluster)
    assert report.code == 0, report.summary
    assert arrived(tokyo) == arrived(ghent) == contents(cli.source)
    assert {site: one.sent for site, one in report.summary.sites.items()} == {"tokyo": 12, "ghent": 12}
    first, second = sorted(notices(report))
    assert first.startswith("node a: it sends nothing more to tokyo, other nodes do: ")
    assert second.startswith("node b: it sends nothing more to ghent, other nodes do: no password for ghent")
    assert len(files_sent(tokyo)) == len(files_sent(ghent)) == 12


async def test_what_a_node_has_begun_goes_to_others_when_its_site_stops(
    cli: PushCli, tokyo: Sandbox, ghent: Sandbox, cluster: WorkersHere
) -> None:
    full = CannedResponse.aspnet("There is not enough space on the disk.")
    tokyo.faults.add(full, method="POST", path=r"\?path=.*svs", after=2, times=1)
    report = await push_by_nodes(cli, cluster)
    assert report.code == 0, report.summary
    assert arrived(tokyo) == arrived(ghent) == contents(cli.source)
    assert len(report.finished("tokyo")) == len(report.finished("ghent")) == 12
    (said,) = notices(report)
    assert "it sends nothing more to tokyo, other nodes do: " in said
    assert "not enough space" in said
    assert report.summary.sites["tokyo"].error is None


async def test_a_site_that_stops_at_all_nodes_is_said_with_the_reason(
    cli: PushCli, tokyo: Sandbox, ghent: Sandbox, cluster: WorkersHere
) -> None:
    full = CannedResponse.aspnet("There is not enough space on the disk.")
    rule = tokyo.faults.add(full, method="POST", path=r"\?path=.*svs")
    report = await push_by_nodes(cli, cluster)
    assert report.code == 1
    assert "not enough space" in report.error("tokyo")
    sums = report.summary.sites
    assert (sums["tokyo"].sent, sums["tokyo"].failed, sums["ghent"].sent, sums["ghent"].error) == (0, 12, 12, None)
    assert arrived(ghent) == contents(cli.source)
    assert rule.hits <= 2 * 16, "each node tries once: what it had in progress"
