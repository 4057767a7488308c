"""`pmarep slides` as a process, the options that choose by age and size, and PMA.start, also in a push."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus import tree, write_mirax
from desk import Desk, arrived, contents
from pma_start import Helper, pma_start, reply

from pmacore_sandbox import Sandbox
from pmarep.slides import FORMATS

DAY = 86400


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


@pytest.fixture
def helper() -> Iterator[Helper]:
    with pma_start() as helper:
        yield helper


def command(helper: Helper | None = None) -> list[str]:
    """`pmarep`, where PMA.start is this one instead of whatever has its port."""
    url = helper.url if helper else "http://127.0.0.1:9/"
    start = f"import pmarep.slides.pma_start as p; p.URL = {url!r}; from pmarep.cli import main; main()"
    return [sys.executable, "-c", start]


def slides(
    desk: Desk, *arguments: str | Path, code: int = 0, helper: Helper | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*command(helper), "slides", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env={**desk.environment, "PMAREP_CONFIG": str(desk.book)},
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def listed(desk: Desk, *arguments: str, code: int = 0, helper: Helper | None = None) -> dict[str, dict[str, Any]]:
    """The lines of `--json` by path."""
    done = slides(desk, desk.source, "--json", *arguments, code=code, helper=helper)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line.get("slide") or line["left_out"]: line for line in lines}


def patch(helper: Helper) -> str:
    return f"import pmarep.slides.pma_start as p; p.URL = {helper.url!r}"


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


# What people see


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_on_a_terminal(desk: Desk) -> None:
    write_mirax(desk.source / "whole.mrxs")
    tree(desk.source, "half.mrxs", "notes.txt")
    master, slave = pty.openpty()
    environment = {**desk.environment, "PMAREP_CONFIG": str(desk.book), "COLUMNS": "80", "TERM": "dumb"}
    arguments = [*command(), "slides", str(desk.source)]
    with subprocess.Popen(arguments, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        shown = b""
        try:
            while chunk := os.read(master, 4096):
                shown += chunk
        except OSError:
            pass  # Linux's way to say that the other end is closed
        os.close(master)
        assert process.wait(60) == 1
    table, problems, left, totals = shown.decode().replace("\r\n", "\n").split("\n\n")
    assert [line.split()[-1] for line in table.splitlines()] == ["State", "incomplete", "complete"]
    assert problems.splitlines()[0].startswith("incomplete (1): wait if it is still being copied; else copy")
    assert problems.splitlines()[-2:] == ["  half.mrxs", "      its folder half/ is missing"]
    assert left.splitlines()[0] == "Left out:"
    assert totals.startswith("1 slide, 6 files, ")


def test_only_problems(desk: Desk) -> None:
    tree(desk.source, "good.svs", "notes.txt")
    assert slides(desk, desk.source, "--problems").stdout == ""
    tree(desk.source, "half.mrxs")
    plain = slides(desk, desk.source, "--problems", code=1).stdout
    assert [line.split("\t")[:3] for line in plain.splitlines()] == [
        ["half.mrxs", "incomplete", "its folder half/ is missing"]
    ]
    assert "copy the whole slide again" in plain.split("\t")[3]
    assert listed(desk, "--problems", code=1).keys() == {"half.mrxs"}
    assert listed(desk, "--problems", "--exclude", "half.mrxs") == {}


def test_formats_are_those_of_the_table(desk: Desk) -> None:
    lines = [line.split("\t") for line in slides(desk, "--formats").stdout.splitlines()]
    assert [name for name, _, _ in lines] == [entry.name for entry in FORMATS]
    for (_, main, belongs), entry in zip(lines, FORMATS, strict=True):
        said = {one.strip().lower() for one in main.split(",")}
        assert said == {*(f"n.{extension}" for extension in entry.extensions), *entry.names}
        assert (belongs != "-") == entry.has_parts


@pytest.mark.skipif(sys.platform != "linux", reason="there the kernel tells who is writing")
def test_what_is_being_written(desk: Desk) -> None:
    tree(desk.source, "done.svs", "now.svs")
    write_mirax(desk.source / "m.mrxs")
    with (desk.source / "now.svs").open("ab"), (desk.source / "m" / "Data0000.dat").open("ab"):
        found = listed(desk, code=1)
    assert {path: line["state"] for path, line in found.items()} == {
        "done.svs": "complete",
        "m.mrxs": "still being written",
        "now.svs": "still being written",
    }
    assert found["m.mrxs"]["detail"] == "Data0000.dat is open for writing in another program"
    assert "wait until" in found["m.mrxs"]["advice"]


# Age and size


def test_newer_than(desk: Desk) -> None:
    tree(desk.source, "old.svs", "new.svs")
    write_mirax(desk.source / "mixed.mrxs")
    age(desk.source / "old.svs", 10)
    age(desk.source / "new.svs", 5)
    for file in (desk.source / "mixed").iterdir():
        age(file, 20)
    age(desk.source / "mixed.mrxs", 3)
    month_ago = time.strftime("%Y-%m-%d", time.localtime(time.time() - 30 * DAY))
    for told, wanted in {
        "96h": {"mixed.mrxs"},
        month_ago: {"old.svs", "new.svs", "mixed.mrxs"},
    }.items():
        found = listed(desk, "--newer-than", told)
        assert {path for path, line in found.items() if line["state"] == "complete"} == wanted, told
        assert {line["state"] for path, line in found.items() if path not in wanted} <= {"excluded"}


def test_min_size(desk: Desk) -> None:
    tree(desk.source, "small.svs", content=b"x" * 2047)
    tree(desk.source, "large.svs", content=b"x" * 2048)
    write_mirax(desk.source / "parts.mrxs", data_size=1000)
    found = listed(desk, "--min-size", "2K")
    assert {path: line["state"] for path, line in found.items()} == {
        "small.svs": "excluded",
        "large.svs": "complete",
        "parts.mrxs": "complete",
    }


@pytest.mark.parametrize("arguments", [("--newer-than", "20261101"), ("--min-size", "-1")])
def test_ages_and_sizes_that_are_none(desk: Desk, sandbox: Sandbox, arguments: tuple[str, str]) -> None:
    tree(desk.source, "a.svs")
    desk.site("a", sandbox)
    result = desk.run(*arguments)
    assert result.code == 2
    for words in (result.stderr, slides(desk, desk.source, *arguments, code=2).stderr):
        assert len(words.splitlines()) == 1
        assert repr(arguments[1]) in words
    assert not sandbox.requests


def test_a_push_chooses_by_age_and_size(desk: Desk, sandbox: Sandbox) -> None:
    tree(desk.source, "old.svs", "new.svs", content=b"x" * 5000)
    tree(desk.source, "small.svs")
    age(desk.source / "old.svs", 10)
    age(desk.source / "new.svs", 1)
    desk.site("a", sandbox)
    result = desk.push("--newer-than", "7d", "--min-size", "4K", "--settle", "0")
    assert result.code == 0
    assert set(arrived(sandbox)) == {"new.svs"}


# PMA.start


def test_formats_that_only_pma_start_knows(desk: Desk, helper: Helper) -> None:
    tree(desk.source, "x/new.zzz", "x/new/1.dat", "x/new/2.dat", "x/a.svs", "x/what.yyy", "plain/b.svs")
    found = listed(desk, helper=helper)
    assert (found["x/new.zzz"]["state"], found["x/new.zzz"]["files"]) == ("complete", 3)
    assert found["x/what.yyy"]["state"] == "not a slide"
    assert helper.count("IsLite") == 1
    assert [path.rpartition("/")[2] for method, path in helper.asked if method == "GetFiles"] == ["x"]
    helper.asked.clear()
    alone = slides(desk, desk.source / "x" / "new.zzz", helper=helper).stdout
    assert alone.startswith("new.zzz\tknown to PMA.start\t3 files\t")
    assert listed(desk)["x/new.zzz"]["state"] == "not a slide"


def test_nothing_outside_a_slides_folder_is_taken(desk: Desk, sandbox: Sandbox, helper: Helper, tmp_path: Path) -> None:
    tree(tmp_path, "secret.dat")
    tree(desk.source, "x/a.zzz", "x/b.zzz", "y/beside.dat")
    helper.more["a.zzz"] = [str(tmp_path / "secret.dat")]
    helper.more["b.zzz"] = [f"{desk.source}/x/../y/beside.dat"]
    desk.site("a", sandbox)
    found = listed(desk, code=1, helper=helper)
    assert {found["x/a.zzz"]["state"], found["x/b.zzz"]["state"]} == {"incomplete"}
    assert "outside" in found["x/a.zzz"]["detail"]
    assert desk.push("--settle", "0", patch=patch(helper)).code == 1
    assert arrived(sandbox) == {}


@pytest.fixture
def _new_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox knows no formats that we do not know; a PMA.core of today knows what a PMA.start does."""
    from pmacore_sandbox import slide_lookup

    monkeypatch.setattr(slide_lookup, "EXTENSIONS", slide_lookup.EXTENSIONS | {"ZZZ"})


@pytest.mark.usefixtures("_new_server")
def test_a_push_sends_what_pma_start_knows(desk: Desk, sandbox: Sandbox, helper: Helper) -> None:
    tree(desk.source, "Größe & 100%/new.zzz", "Größe & 100%/new/1.dat", "a.svs", content=os.urandom(3000))
    desk.site("a", sandbox)
    result = desk.push("--settle", "0", patch=patch(helper))
    assert result.code == 0
    assert arrived(sandbox) == contents(desk.source)
    assert helper.count("IsLite") == 1


@pytest.mark.usefixtures("_new_server")
def test_a_push_looks_twice_at_what_pma_start_knows(desk: Desk, sandbox: Sandbox, helper: Helper) -> None:
    """Young files are found again before they are sent."""
    tree(desk.source, "new.zzz", "new/1.dat", content=os.urandom(3000))
    desk.site("a", sandbox)
    assert desk.push("--settle", "0.3", patch=patch(helper)).code == 0
    assert arrived(sandbox) == contents(desk.source)


def test_a_push_without_it_is_the_same_push(desk: Desk, sandbox: Sandbox, helper: Helper) -> None:
    tree(desk.source, "a.svs", "b/new.zzz", "c/other.zzz")
    desk.site("a", sandbox)
    helper.replies["GetFiles"] = reply(b"[1, 2")
    result = desk.push("--settle", "0", patch=patch(helper))
    assert result.code == 0
    assert set(arrived(sandbox)) == {"a.svs"}
    assert helper.count("GetFiles") == 1
    assert result.stderr.count("PMA.start stopped answering") == 1


def test_enumerate_never(desk: Desk, sandbox: Sandbox, helper: Helper) -> None:
    tree(desk.source, "new.zzz", "a.svs")
    desk.book.write_text('[slides]\nenumerate = "never"\n')
    desk.site("a", sandbox)
    assert listed(desk, helper=helper)["new.zzz"]["state"] == "not a slide"
    assert desk.push("--settle", "0", patch=patch(helper)).code == 0
    assert set(arrived(sandbox)) == {"a.svs"}
    assert helper.asked == []


def test_a_book_that_cannot_be_used(desk: Desk) -> None:
    tree(desk.source, "a.svs")
    desk.book.write_text('[slides]\nenumerate = "sometimes"\n')
    words = slides(desk, desk.source, code=2).stderr
    assert words.startswith(f'pmarep: {desk.book}, line 2: [slides] enumerate has to be "auto"')
    desk.book.write_text("[sites.half]\n")
    slides(desk, desk.source)  # sites are no matter here
    assert "is not there" in slides(desk, desk.source, "--config", desk.book.with_name("no"), code=2).stderr
