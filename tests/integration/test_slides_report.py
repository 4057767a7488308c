"""`pmarep slides` as a process, the options that choose by age and size, and PMA.start, also in a push."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import LatePatch, run, run_at_terminal
from support.pma_start import Helper, pma_start, reply
from support.push_cli import PushCli, arrived, contents

from pmacore_sandbox import Sandbox
from pmarep.slides import FORMATS

DAY = 86400


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


@pytest.fixture
def helper() -> Iterator[Helper]:
    with pma_start() as helper:
        yield helper


def at_url(helper: Helper | None = None) -> LatePatch:
    """A patch by which PMA.start is this one instead of whatever has its port."""
    url = helper.url if helper else "http://127.0.0.1:9/"
    return LatePatch(f"import pmarep.slides.pma_start as p; p.URL = {url!r}")


def slides(
    cli: PushCli, *arguments: str | Path, code: int = 0, helper: Helper | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**cli.environment, "PMAREP_CONFIG": str(cli.book)}
    done = run(["slides", *map(str, arguments)], environment, patch=at_url(helper))
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def listed(cli: PushCli, *arguments: str, code: int = 0, helper: Helper | None = None) -> dict[str, dict[str, Any]]:
    """The lines of `--json` by path."""
    done = slides(cli, cli.source, "--json", *arguments, code=code, helper=helper)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.get("slide") or line["left_out"]: line for line in lines}


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


# What people see


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_on_a_terminal(cli: PushCli) -> None:
    write_mirax(cli.source / "whole.mrxs")
    tree(cli.source, "half.mrxs", "notes.txt")
    environment = {**cli.environment, "PMAREP_CONFIG": str(cli.book), "COLUMNS": "80", "TERM": "dumb"}
    code, shown = run_at_terminal(["slides", str(cli.source)], environment, patch=at_url())
    assert code == 1
    table, problems, left, totals = shown.split("\n\n")
    assert [line.split()[-1] for line in table.splitlines()] == ["State", "incomplete", "complete"]
    assert problems.splitlines()[0].startswith("incomplete (1): wait if it is still being copied; else copy")
    assert problems.splitlines()[-2:] == ["  half.mrxs", "      its folder half/ is missing"]
    assert left.splitlines()[0] == "Left out:"
    assert totals.startswith("1 slide, 6 files, ")


def test_only_problems(cli: PushCli) -> None:
    tree(cli.source, "good.svs", "notes.txt")
    assert slides(cli, cli.source, "--problems").stdout == ""
    tree(cli.source, "half.mrxs")
    plain = slides(cli, cli.source, "--problems", code=1).stdout
    assert [line.split("\t")[:3] for line in plain.splitlines()] == [
        ["half.mrxs", "incomplete", "its folder half/ is missing"]
    ]
    assert "copy the whole slide again" in plain.split("\t")[3]
    assert listed(cli, "--problems", code=1).keys() == {"half.mrxs"}
    assert listed(cli, "--problems", "--exclude", "half.mrxs") == {}


def test_formats_are_those_of_the_table(cli: PushCli) -> None:
    lines = [line.split("\t") for line in slides(cli, "--formats").stdout.splitlines()]
    assert [name for name, _, _ in lines] == [entry.name for entry in FORMATS]
    for (_, main, belongs), entry in zip(lines, FORMATS, strict=True):
        listed = {one.strip().lower() for one in main.split(",")}
        assert listed == {*(f"n.{extension}" for extension in entry.extensions), *entry.names}
        assert (belongs != "-") == entry.has_companions


@pytest.mark.skipif(sys.platform != "linux", reason="there the kernel tells who is writing")
def test_slides_that_another_program_writes_are_reported_as_such(cli: PushCli) -> None:
    tree(cli.source, "done.svs", "now.svs")
    write_mirax(cli.source / "m.mrxs")
    with (cli.source / "now.svs").open("ab"), (cli.source / "m" / "Data0000.dat").open("ab"):
        found = listed(cli, code=1)
    assert {path: line["state"] for path, line in found.items()} == {
        "done.svs": "complete",
        "m.mrxs": "still being written",
        "now.svs": "still being written",
    }
    assert found["m.mrxs"]["detail"] == "Data0000.dat is open for writing in another program"
    assert "wait until" in found["m.mrxs"]["advice"]


# Age and size


def test_newer_than(cli: PushCli) -> None:
    tree(cli.source, "old.svs", "new.svs")
    write_mirax(cli.source / "mixed.mrxs")
    age(cli.source / "old.svs", 10)
    age(cli.source / "new.svs", 5)
    for file in (cli.source / "mixed").iterdir():
        age(file, 20)
    age(cli.source / "mixed.mrxs", 3)
    month_ago = time.strftime("%Y-%m-%d", time.localtime(time.time() - 30 * DAY))
    for option, wanted in {
        "96h": {"mixed.mrxs"},
        month_ago: {"old.svs", "new.svs", "mixed.mrxs"},
    }.items():
        found = listed(cli, "--newer-than", option)
        assert {path for path, line in found.items() if line["state"] == "complete"} == wanted, option
        assert {line["state"] for path, line in found.items() if path not in wanted} <= {"excluded"}


def test_min_size(cli: PushCli) -> None:
    tree(cli.source, "small.svs", content=b"x" * 2047)
    tree(cli.source, "large.svs", content=b"x" * 2048)
    write_mirax(cli.source / "parts.mrxs", data_size=1000)
    found = listed(cli, "--min-size", "2K")
    assert {path: line["state"] for path, line in found.items()} == {
        "small.svs": "excluded",
        "large.svs": "complete",
        "parts.mrxs": "complete",
    }


@pytest.mark.parametrize("arguments", [("--newer-than", "20261101"), ("--min-size", "-1")])
def test_ages_and_sizes_that_are_none(cli: PushCli, sandbox: Sandbox, arguments: tuple[str, str]) -> None:
    tree(cli.source, "a.svs")
    cli.site("a", sandbox)
    result = cli.run(*arguments)
    assert result.code == 2
    for words in (result.stderr, slides(cli, cli.source, *arguments, code=2).stderr):
        assert len(words.splitlines()) == 1
        assert repr(arguments[1]) in words
    assert not sandbox.requests


def test_a_push_chooses_by_age_and_size(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "old.svs", "new.svs", content=b"x" * 5000)
    tree(cli.source, "small.svs")
    age(cli.source / "old.svs", 10)
    age(cli.source / "new.svs", 1)
    cli.site("a", sandbox)
    result = cli.push("--newer-than", "7d", "--min-size", "4K", "--settle", "0")
    assert result.code == 0
    assert set(arrived(sandbox)) == {"new.svs"}


# PMA.start


def test_formats_that_only_pma_start_knows(cli: PushCli, helper: Helper) -> None:
    tree(cli.source, "x/new.zzz", "x/new/1.dat", "x/new/2.dat", "x/a.svs", "x/what.yyy", "plain/b.svs")
    found = listed(cli, helper=helper)
    assert (found["x/new.zzz"]["state"], found["x/new.zzz"]["files"]) == ("complete", 3)
    assert found["x/what.yyy"]["state"] == "not a slide"
    assert helper.count("IsLite") == 1
    assert [path.rpartition("/")[2] for method, path in helper.asked if method == "GetFiles"] == ["x"]
    helper.asked.clear()
    alone = slides(cli, cli.source / "x" / "new.zzz", helper=helper).stdout
    assert alone.startswith("new.zzz\tknown to PMA.start\t3 files\t")
    assert listed(cli)["x/new.zzz"]["state"] == "not a slide"


def test_nothing_outside_a_slides_folder_is_taken(
    cli: PushCli, sandbox: Sandbox, helper: Helper, tmp_path: Path
) -> None:
    tree(tmp_path, "secret.dat")
    tree(cli.source, "x/a.zzz", "x/b.zzz", "y/beside.dat")
    helper.more["a.zzz"] = [str(tmp_path / "secret.dat")]
    helper.more["b.zzz"] = [f"{cli.source}/x/../y/beside.dat"]
    cli.site("a", sandbox)
    found = listed(cli, code=1, helper=helper)
    assert {found["x/a.zzz"]["state"], found["x/b.zzz"]["state"]} == {"incomplete"}
    assert "outside" in found["x/a.zzz"]["detail"]
    assert cli.push("--settle", "0", patch=at_url(helper)).code == 1
    assert arrived(sandbox) == {}


@pytest.fixture
def _new_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox knows no formats that we do not know; a PMA.core of today knows what a PMA.start does."""
    from pmacore_sandbox import slide_lookup

    monkeypatch.setattr(slide_lookup, "EXTENSIONS", slide_lookup.EXTENSIONS | {"ZZZ"})


@pytest.mark.usefixtures("_new_server")
def test_a_push_sends_what_pma_start_knows(cli: PushCli, sandbox: Sandbox, helper: Helper) -> None:
    tree(cli.source, "Größe & 100%/new.zzz", "Größe & 100%/new/1.dat", "a.svs", content=os.urandom(3000))
    cli.site("a", sandbox)
    result = cli.push("--settle", "0", patch=at_url(helper))
    assert result.code == 0
    assert arrived(sandbox) == contents(cli.source)
    assert helper.count("IsLite") == 1


@pytest.mark.usefixtures("_new_server")
def test_a_push_looks_twice_at_what_pma_start_knows(cli: PushCli, sandbox: Sandbox, helper: Helper) -> None:
    """Young files are found again before they are sent."""
    tree(cli.source, "new.zzz", "new/1.dat", content=os.urandom(3000))
    cli.site("a", sandbox)
    assert cli.push("--settle", "0.3s", patch=at_url(helper)).code == 0
    assert arrived(sandbox) == contents(cli.source)


def test_a_push_without_it_is_the_same_push(cli: PushCli, sandbox: Sandbox, helper: Helper) -> None:
    tree(cli.source, "a.svs", "b/new.zzz", "c/other.zzz")
    cli.site("a", sandbox)
    helper.replies["GetFiles"] = reply(b"[1, 2")
    result = cli.push("--settle", "0", patch=at_url(helper))
    assert result.code == 0
    assert set(arrived(sandbox)) == {"a.svs"}
    assert helper.count("GetFiles") == 1
    assert result.stderr.count("PMA.start stopped answering") == 1


def test_enumerate_never(cli: PushCli, sandbox: Sandbox, helper: Helper) -> None:
    tree(cli.source, "new.zzz", "a.svs")
    cli.book.write_text('[slides]\nenumerate = "never"\n')
    cli.site("a", sandbox)
    assert listed(cli, helper=helper)["new.zzz"]["state"] == "not a slide"
    assert cli.push("--settle", "0", patch=at_url(helper)).code == 0
    assert set(arrived(sandbox)) == {"a.svs"}
    assert helper.asked == []


def test_a_book_that_cannot_be_used(cli: PushCli) -> None:
    tree(cli.source, "a.svs")
    cli.book.write_text('[slides]\nenumerate = "sometimes"\n')
    words = slides(cli, cli.source, code=2).stderr
    assert words.startswith(f'pmarep: {cli.book}, line 2: [slides] enumerate has to be "auto"')
    cli.book.write_text("[sites.half]\n")
    slides(cli, cli.source)  # sites are no matter here
    assert "is not there" in slides(cli, cli.source, "--config", cli.book.with_name("no"), code=2).stderr
