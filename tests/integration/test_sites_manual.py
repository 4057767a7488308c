"""The two scenarios of the vendor's manual: several PMA.cores by geography, and one with several slideboxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import PASSWORD, USER, StartSandbox
from corpus import tree
from desk import arrived, contents, logins
from shell import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    tree(tmp_path / "cases", "liver.svs", "case 1/kidney.svs", content=b"not a real slide, but it travels like one")
    return Shell(tmp_path, {"PMAREP_STATE_DIR": str(tmp_path / "state")})


def sent(shell: Shell, *sites: str) -> dict[str, int]:
    """Push, and how many slides came to each site."""
    done = shell.pmarep("push", "cases", *sites, "--verify", "none", "--settle", "0", "--json")
    summary = json.loads(done.stdout.splitlines()[-1])
    return {name: site["sent"] for name, site in summary["sites"].items()}


def test_three_pma_cores_by_geography(shell: Shell, start_sandbox: StartSandbox) -> None:
    cores = {name: start_sandbox(name) for name in ("ghent", "tokyo", "saopaulo")}
    for name, core in cores.items():
        shell("add", name, "--url", core.url, "--username", USER, "--target", "Slides/incoming")
        shell("login", name, stdin=f"{PASSWORD}\n")
    assert len(shell.kept) == 3
    shell.pmarep("groups", "set", "overseas", "tokyo", "saopaulo")
    shell.pmarep("groups", "set", "everywhere", "ghent", "overseas")
    shell("test", "everywhere")
    assert sent(shell, "--sites", "overseas") == {"tokyo": 2, "saopaulo": 2}
    assert sent(shell, "--sites", "everywhere") == {"ghent": 2, "tokyo": 0, "saopaulo": 0}
    for core in cores.values():
        assert arrived(core, "Slides/incoming") == contents(shell.folder / "cases")
        assert core.open_sessions == 0


def test_one_pma_core_with_four_slideboxes(shell: Shell, start_sandbox: StartSandbox) -> None:
    names = ("anna", "ben", "chloe", "dev")
    core = start_sandbox("campus", roots=tuple(f"slidebox-{name}" for name in names))
    shell("add", "box-anna", "--url", core.url, "--username", USER, "--target", "slidebox-anna/demo")
    shell("login", "box-anna", stdin=f"{PASSWORD}\n")
    for name in names[1:]:
        shell("duplicate", "box-anna", f"box-{name}", "--target", f"slidebox-{name}/demo", "--yes")
    assert shell.book.read_text().count(core.url) == 1, "written once, for all four"
    assert len(shell.kept) == 1, "one password for all four"
    core.clear_requests()
    assert sent(shell, "--sites", "box-*") == {f"box-{name}": 2 for name in names}
    for name in names:
        assert arrived(core, f"slidebox-{name}/demo") == contents(shell.folder / "cases")
    assert logins(core) == 1, "one session for all four"
    assert core.open_sessions == 0
