"""A source without slides may be a drive that is not mounted: no green night, unless somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus import tree
from desk import Desk

from pmacore_sandbox import Sandbox

NOT_MOUNTED = "is its drive mounted? (--allow-empty: that is no failure)"


@pytest.fixture
def desk(tmp_path: Path, sandbox: Sandbox) -> Desk:
    desk = Desk(tmp_path / "desk")
    desk.site("a", sandbox)
    return desk


@pytest.mark.parametrize("files", [[], [".DS_Store"], ["read me.txt", "old/thumbs.jpg.txt"]])
def test_an_empty_source_is_a_failure_of_one_line(desk: Desk, files: list[str]) -> None:
    tree(desk.source, *files)
    result = desk.run("--quiet")
    assert (result.code, result.stderr) == (1, "")
    assert result.stdout.splitlines()[-1] == f"no slide is in {desk.source}; {NOT_MOUNTED}"
    summary = desk.push().summary
    assert summary["source"]["empty"] == [str(desk.source)]
    assert summary["source"]["slides"] == summary["source"]["bytes"] == 0
    assert sum(summary["source"]["reasons"].values()) == len(files)
    assert desk.verify().code == 1
    assert desk.run("--dry-run").stdout.splitlines()[-1].startswith(f"no slide is in {desk.source}; ")


def test_unless_it_may_be_empty(desk: Desk) -> None:
    result = desk.run("--allow-empty")
    assert result.code == 0
    assert "no slides were found, nothing was sent" in result.stdout
    assert desk.verify("--allow-empty").code == 0


def test_one_of_two_sources_is_empty(desk: Desk, tmp_path: Path) -> None:
    tree(desk.source, "a.svs")
    away = tmp_path / "nas ü"
    away.mkdir()
    result = desk.run(str(away))
    assert result.code == 1
    assert result.stdout.splitlines()[-1] == f"no slide is in {away}; {NOT_MOUNTED}"
    summary = desk.push(str(away), "--allow-empty").summary
    assert (summary["source"]["slides"], summary["source"]["empty"]) == (1, [str(away)])


def test_what_options_leave_out_is_no_failure_and_said(desk: Desk) -> None:
    tree(desk.source, "a.svs", "b.svs", "readme.txt")
    result = desk.run("--quiet", "--min-size", "1G")
    assert result.code == 0
    assert result.stdout.startswith("no slide is left with --min-size 1G, nothing was sent")
    source = desk.push("--min-size", "1G").summary["source"]
    assert (source["empty"], source["filtered"]) == ([], [str(desk.source)])
    assert source["reasons"] == {"excluded": 2, "not a slide": 1}


def test_what_ignore_files_leave_out_is_no_failure_and_said(desk: Desk) -> None:
    tree(desk.source, "a.svs")
    (desk.source / ".pmarepignore").write_text("*\n")
    result = desk.run("--quiet")
    assert result.code == 0
    assert result.stdout.startswith("a .pmarepignore leaves every slide out, nothing was sent")


def test_the_summary_has_the_counts_of_the_source(desk: Desk) -> None:
    tree(desk.source, "a.svs", "b.svs", "old/c.svs", "readme.txt", "lost.mrxs", content=b"x" * 1000)
    summary = desk.push("--exclude", "old/").summary
    assert summary["source"] == {
        "slides": 2,
        "bytes": 2000,
        "reasons": {"incomplete": 1, "excluded": 1, "not a slide": 1},
        "empty": [],
        "filtered": [],
        "may_be_empty": False,
    }
    assert summary["source_problems"] == 1
