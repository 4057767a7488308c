"""`include`, `exclude`, `newer_than` and `min_size` of the site book: other slides for each site."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from support.corpus import tiny_tiff, tree
from support.fork_server import LatePatch
from support.push_cli import PushCli, arrived

from pmacore_sandbox import Sandbox

OLD = 40 * 86400


@pytest.fixture
def cli(tmp_path: Path, sandbox: Sandbox) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    tree(cli.source, "autumn/a.svs", "autumn/b.svs", "draft.svs", content=tiny_tiff(500))
    tree(cli.source, "Müller 1/big.ndpi", content=tiny_tiff(90_000))
    long_ago = time.time() - OLD
    os.utime(cli.source / "autumn" / "b.svs", (long_ago, long_ago))
    cli.site("all", sandbox, "Slides/all")
    cli.site("some", sandbox, "Slides/some", include=["autumn/", "*.ndpi"], exclude=["Müller*"])
    cli.site("new", sandbox, "Slides/new", newer_than="30d", min_size="1K")
    return cli


def test_each_site_gets_what_its_keys_choose_and_nothing_is_missing(cli: PushCli, sandbox: Sandbox) -> None:
    planned = [event for event in cli.push("--dry-run").events if event["event"] == "slide_planned"]
    kept = {(event["site"], event["slide"]): event["reason"] for event in planned if event["action"] == "exclude"}
    assert kept == {
        ("some", "draft.svs"): "matches no include of the site",
        ("some", "Müller 1/big.ndpi"): "matches an exclude of the site",
        ("new", "autumn/a.svs"): "smaller than min_size of the site",
        ("new", "autumn/b.svs"): "older than newer_than of the site",
        ("new", "draft.svs"): "smaller than min_size of the site",
    }
    assert all(event["bytes"] == 0 for event in planned if event["action"] == "exclude")
    audit, report, listed = (cli.state.parent / name for name in ("audit", "report.json", "everywhere"))
    pushed = cli.push("--audit", str(audit), "--report", str(report), "--at-all-sites", str(listed))
    assert pushed.code == 0
    assert {name: (of["sent"], of["failed"], of["excluded"]) for name, of in pushed.summary["sites"].items()} == {
        "all": (4, 0, 0), "some": (2, 0, 2), "new": (1, 0, 3),
    }  # fmt: skip
    assert sorted(arrived(sandbox, "Slides/some")) == ["autumn/a.svs", "autumn/b.svs"]
    assert sorted(arrived(sandbox, "Slides/new")) == ["Müller 1/big.ndpi"]
    progress = {e["site"]: e for e in pushed.events if e["event"] == "progress"}
    assert all(e["bytes_total"] <= pushed.summary["source"]["bytes"] for e in progress.values())
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert len(lines) == 7
    assert {line["status"] for line in lines} == {"sent"}
    cells = {slide["slide"]: slide["sites"] for slide in json.loads(report.read_text())["slides"]}
    assert cells["draft.svs"]["some"]["state"] == "excluded"
    assert cells["draft.svs"]["some"]["error"] == "matches no include of the site"
    assert json.loads(report.read_text())["missing"]["count"] == 0
    assert listed.read_bytes() == b""  # no slide is at every site
    verified = cli.verify("--sites", "some,new")
    assert verified.code == 0
    assert verified.summary["sites"]["some"]["excluded"] == 2
    words = cli.run("--sites", "some").lines
    assert words[-2].startswith("some  0 sent, 2 skipped, 0 failed; ")
    assert words[-2].endswith("; 2 excluded by the site book")
    assert words[-1] == "every slide is where the site book wants it"


def test_they_come_on_top_of_the_options(cli: PushCli, sandbox: Sandbox) -> None:
    result = cli.push("--sites", "some", "--exclude", "autumn/b.svs")
    assert result.code == 0
    assert sorted(arrived(sandbox, "Slides/some")) == ["autumn/a.svs"]


def test_what_a_site_that_is_down_does_not_take_is_not_missing_there(cli: PushCli) -> None:
    cli.site("down", "http://127.0.0.1:9/", exclude=["draft.svs"])
    cli.site("nobody", "http://127.0.0.1:9/2/", exclude=["autumn/"])
    del cli.environment["PMAREP_PASSWORD_NOBODY"]
    result = cli.push("--sites", "down,nobody")
    assert result.code == 1
    found = {name: (of["failed"], of["excluded"]) for name, of in result.summary["sites"].items()}
    assert found == {"down": (3, 1), "nobody": (2, 2)}


SAY_NOT_TAKEN = """
import sys
from pmarep.engine.mirror.source_names import SourceNames
has = SourceNames.has
def say(self, path, site=""):
    print(path, site, has(self, path, site).value, file=sys.stderr)
    return has(self, path, site)
SourceNames.has = say
"""


def test_a_mirror_leaves_what_the_site_does_not_take(cli: PushCli, sandbox: Sandbox) -> None:
    at = sandbox.data / "Slides" / "some"
    tree(at, "draft.svs", "autumn/gone.svs", "other.svs", "Müller 9/x.svs", content=tiny_tiff(700))
    result = cli.push("--sites", "some", "--mirror", "--yes", patch=LatePatch(SAY_NOT_TAKEN))
    assert [event["slide"] for event in result.events if event["event"] == "slide_deleted"] == ["autumn/gone.svs"]
    assert result.code == 0
    assert {"draft.svs some left out", "autumn/a.svs some sent"} <= set(result.stderr.splitlines())
    assert sorted(arrived(sandbox, "Slides/some")) == [
        "Müller 9/x.svs", "autumn/a.svs", "autumn/b.svs", "draft.svs", "other.svs",
    ]  # fmt: skip


SAY_DONE = """
import sys
from pmarep.source.place.files import PlaceFiles
PlaceFiles.done = lambda self, site, slide: print("done", site, slide.path, file=sys.stderr)
"""


def test_a_copy_asks_the_keys_of_the_sites_it_sends_to(cli: PushCli, sandbox: Sandbox) -> None:
    assert cli.push("--sites", "all").code == 0
    result = cli.run("--json", "--sites", "some,new", source=Path("all:"), patch=LatePatch(SAY_DONE))
    assert result.code == 0
    done = {line for line in result.stderr.splitlines() if line.startswith("done ")}
    assert len(done) == 2 * 4  # also what a site does not take: nothing of it is kept in the spool
    assert {name: of["excluded"] for name, of in result.summary["sites"].items()} == {"some": 2, "new": 3}
    assert sorted(arrived(sandbox, "Slides/some")) == ["autumn/a.svs", "autumn/b.svs"]


def test_slides_says_which_sites_take_each(cli: PushCli) -> None:
    words = ["slides", str(cli.source), "--config", str(cli.book), "--sites", "all,some"]
    lines = cli.any(*words, "--json").stdout.splitlines()
    found = {line["slide"]: line["sites"] for line in map(json.loads, lines)}
    assert found["draft.svs"] == {"all": None, "some": "matches no include of the site"}
    assert found["autumn/a.svs"] == {"all": None, "some": None}
    said = cli.any(*words).stdout
    assert "all: yes\tsome: matches an exclude of the site" in said
    assert said.splitlines()[-1].startswith("some takes 2 of 4 slides, ")


def test_compare_misses_nothing_that_a_site_does_not_take(cli: PushCli) -> None:
    assert cli.push("--sites", "all,some").code == 0
    result = cli.any("compare", str(cli.source), "all:", "some:", "--config", str(cli.book), "--json", "--all")
    assert result.code == 0
    assert '"excluded"' in result.stdout
    (cli.source / "autumn" / "new.svs").write_bytes(tiny_tiff(300))
    missing = cli.any("compare", str(cli.source), "some:", "--config", str(cli.book))
    assert missing.code == 1
    assert "1 missing somewhere" in missing.stdout
    assert "2 where the site book wants them" in missing.stdout
