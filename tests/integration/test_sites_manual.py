"""The two scenarios of the vendor's manual: several PMA.cores by geography, and one with several slideboxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.corpus import tree
from support.push_cli import arrived, contents, logins
from support.sandboxes import PASSWORD, USER, StartSandbox
from support.sites_cli import SitesCli


@pytest.fixture
def sites_cli(tmp_path: Path) -> SitesCli:
    tree(tmp_path / "cases", "liver.svs", "case 1/kidney.svs", content=b"not a real slide, but it travels like one")
    return SitesCli(tmp_path, {"PMAREP_STATE_DIR": str(tmp_path / "state")})


def sent(sites_cli: SitesCli, *sites: str) -> dict[str, int]:
    """Push, and how many slides came to each site."""
    done = sites_cli.pmarep("push", "cases", *sites, "--verify", "none", "--settle", "0", "--json")
    summary = json.loads(done.stdout.splitlines()[-1])
    return {name: site["sent"] for name, site in summary["sites"].items()}


def test_three_pma_cores_by_geography(sites_cli: SitesCli, start_sandbox: StartSandbox) -> None:
    cores = {name: start_sandbox(name) for name in ("ghent", "tokyo", "saopaulo")}
    for name, core in cores.items():
        sites_cli("add", name, "--url", core.url, "--username", USER, "--target", "Slides/incoming")
        sites_cli("login", name, stdin=f"{PASSWORD}\n")
    assert len(sites_cli.kept) == 3
    sites_cli.pmarep("groups", "set", "overseas", "tokyo", "saopaulo")
    sites_cli.pmarep("groups", "set", "everywhere", "ghent", "overseas")
    sites_cli("test", "everywhere")
    assert sent(sites_cli, "--sites", "overseas") == {"tokyo": 2, "saopaulo": 2}
    assert sent(sites_cli, "--sites", "everywhere") == {"ghent": 2, "tokyo": 0, "saopaulo": 0}
    for core in cores.values():
        assert arrived(core, "Slides/incoming") == contents(sites_cli.folder / "cases")
        assert core.open_sessions == 0


def test_one_pma_core_with_four_slideboxes(sites_cli: SitesCli, start_sandbox: StartSandbox) -> None:
    names = ("anna", "ben", "chloe", "dev")
    core = start_sandbox("campus", roots=tuple(f"slidebox-{name}" for name in names))
    sites_cli("add", "box-anna", "--url", core.url, "--username", USER, "--target", "slidebox-anna/demo")
    sites_cli("login", "box-anna", stdin=f"{PASSWORD}\n")
    for name in names[1:]:
        sites_cli("duplicate", "box-anna", f"box-{name}", "--target", f"slidebox-{name}/demo", "--yes")
    assert sites_cli.book.read_text().count(core.url) == 1, "written once, for all four"
    assert len(sites_cli.kept) == 1, "one password for all four"
    core.clear_requests()
    assert sent(sites_cli, "--sites", "box-*") == {f"box-{name}": 2 for name in names}
    for name in names:
        assert arrived(core, f"slidebox-{name}/demo") == contents(sites_cli.folder / "cases")
    assert logins(core) == 1, "one session for all four"
    assert core.open_sessions == 0
