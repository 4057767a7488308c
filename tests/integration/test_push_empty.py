"""A source without slides may be a drive that is not mounted: no green night, unless somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import tree
from support.push_cli import PushCli

NOT_MOUNTED = "is its drive mounted? (--allow-empty: that is no failure)"


@pytest.mark.parametrize("files", [[], [".DS_Store"], ["read me.txt", "old/thumbs.jpg.txt"]])
def test_an_empty_source_is_a_failure_of_one_line(cli: PushCli, files: list[str]) -> None:
    tree(cli.source, *files)
    result = cli.run("--quiet")
    assert (result.code, result.stderr) == (1, "")
    assert result.stdout.splitlines()[-1] == f"no slide is in {cli.source}; {NOT_MOUNTED}"
    summary = cli.push().summary
    assert summary["source"]["empty"] == [str(cli.source)]
    assert summary["source"]["slides"] == summary["source"]["bytes"] == 0
    assert sum(summary["source"]["reasons"].values()) == len(files)
    assert cli.verify().code == 1
    assert cli.run("--dry-run").stdout.splitlines()[-1].startswith(f"no slide is in {cli.source}; ")


def test_unless_it_may_be_empty(cli: PushCli) -> None:
    result = cli.run("--allow-empty")
    assert result.code == 0
    assert "no slides were found, nothing was sent" in result.stdout
    assert cli.verify("--allow-empty").code == 0


def test_an_empty_source_beside_another_fails_unless_it_is_allowed(cli: PushCli, tmp_path: Path) -> None:
    tree(cli.source, "a.svs")
    away = tmp_path / "nas ü"
    away.mkdir()
    result = cli.run(str(away))
    assert result.code == 1
    assert result.stdout.splitlines()[-1] == f"no slide is in {away}; {NOT_MOUNTED}"
    summary = cli.push(str(away), "--allow-empty").summary
    assert (summary["source"]["slides"], summary["source"]["empty"]) == (1, [str(away)])


def test_what_options_leave_out_is_no_failure_and_reported(cli: PushCli) -> None:
    tree(cli.source, "a.svs", "b.svs", "readme.txt")
    result = cli.run("--quiet", "--min-size", "1G")
    assert result.code == 0
    assert result.stdout.startswith("no slide is left with --min-size 1G, nothing was sent")
    source = cli.push("--min-size", "1G").summary["source"]
    assert (source["empty"], source["filtered"]) == ([], [str(cli.source)])
    assert source["reasons"] == {"excluded": 2, "not a slide": 1}


def test_what_ignore_files_leave_out_is_no_failure_and_reported(cli: PushCli) -> None:
    tree(cli.source, "a.svs")
    (cli.source / ".pmarepignore").write_text("*\n")
    result = cli.run("--quiet")
    assert result.code == 0
    assert result.stdout.startswith("a .pmarepignore leaves every slide out, nothing was sent")


def test_the_summary_has_the_counts_of_the_source(cli: PushCli) -> None:
    tree(cli.source, "a.svs", "b.svs", "old/c.svs", "readme.txt", "lost.mrxs", content=b"x" * 1000)
    summary = cli.push("--exclude", "old/").summary
    assert summary["source"] == {
        "slides": 2,
        "bytes": 2000,
        "reasons": {"incomplete": 1, "excluded": 1, "not a slide": 1},
        "empty": [],
        "filtered": [],
        "may_be_empty": False,
    }
    assert summary["source_problems"] == 1
