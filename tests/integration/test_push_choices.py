"""What the options of `push` choose: where to, which slides, what about those that are there already."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.corpus import tree, write_mirax
from support.fork_server import LatePatch
from support.push_cli import PushCli, arrived, contents, files_sent, transfers
from support.sandbox_client import Client

from pmacore_sandbox import Sandbox
from pmarep.cli.app import app
from pmarep.errors import UsageError


def changed(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def test_to_is_a_folder_below_the_target(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "x/a.svs")
    assert cli.push("--to", "course 1/week 2").code == 0
    assert set(arrived(sandbox)) == {"course 1/week 2/x/a.svs"}


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("..", '--to ".." holds the part ".."; write it as folder/sub-folder'),
        ("a/../..", '--to "a/../.." holds the part ".."; write it as folder/sub-folder'),
        ("a//b", '--to "a//b" holds the part ""; write it as "a/b"'),
        ("/a/b/", '--to "/a/b/" begins or ends with "/"; write it as "a/b"'),
        ("a\\b", '--to "a\\b" holds a "\\"; write it with /'),
        ("C:x/..", '--to "C:x/.." holds the part ".."; write it as folder/sub-folder'),
    ],
)
def test_to_leads_nowhere_else(cli: PushCli, sandbox: Sandbox, to: str, words: str) -> None:
    tree(cli.source, "a.svs")
    result = cli.run("--to", to)
    assert result.code == 2
    assert result.stderr == f"pmarep: {words}\n"
    assert not sandbox.requests


def test_a_choice_that_leaves_no_slide_is_named(cli: PushCli) -> None:
    tree(cli.source, "a.svs")
    choice = "--include 'no thing*' --exclude old/ --newer-than 7d --min-size 10M"
    last = cli.run(*shlex.split(choice)).stdout.splitlines()[-1]
    assert last == f"no slide is left with {choice}, nothing was sent (pmarep slides SRC {choice} says why)"


def test_include_and_exclude(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", "b.tif", "old/c.svs", "new/d.svs", "new/e.SVS")
    result = cli.push("--include", "*.svs", "--exclude", "old/")
    assert result.counts("a") == (3, 0, 0)
    assert set(arrived(sandbox)) == {"a.svs", "new/d.svs", "new/e.SVS"}


def test_a_main_file_as_source(cli: PushCli, sandbox: Sandbox) -> None:
    write_mirax(cli.source / "x" / "m.mrxs")
    write_mirax(cli.source / "x" / "other.mrxs")
    assert cli.push(source=cli.source / "x" / "m.mrxs").code == 0
    assert {path.split("/")[0] for path in arrived(sandbox)} == {"m", "m.mrxs"}


def test_two_sources(cli: PushCli, sandbox: Sandbox, tmp_path: Path) -> None:
    tree(cli.source, "a.svs", "both.svs")
    tree(tmp_path / "more", "b.svs", "both.svs", content=b"other")
    result = cli.push(str(tmp_path / "more"))
    assert result.code == 1
    assert [e["path"] for e in result.events if e["event"] == "source_problem"] == ["both.svs"]
    assert set(arrived(sandbox)) == {"a.svs", "b.svs", "both.svs"}
    assert arrived(sandbox)["both.svs"] == b"x"


@pytest.mark.parametrize(
    "arguments", [("--connections", "0"), ("--bwlimit", "x"), ("--max-duration", "soon"), ("--existing", "?")]
)
def test_wrong_options_send_nothing(cli: PushCli, sandbox: Sandbox, arguments: tuple[str, ...]) -> None:
    tree(cli.source, "a.svs")
    result = cli.run(*arguments)
    assert result.code == 2
    assert arguments[0].strip("-").split("=")[0] in result.stderr or arguments[1] in result.stderr
    assert not sandbox.requests


@pytest.mark.parametrize(
    "option", ["--max-duration", "--settle", "--patience", "--min-size", "--newer-than", "--bwlimit"]
)
@pytest.mark.parametrize("text", ["soon", "9" * 400 + "d"])
def test_a_text_that_cannot_be_read_names_its_option(cli: PushCli, sandbox: Sandbox, option: str, text: str) -> None:
    tree(cli.source, "a.svs")
    with pytest.raises(UsageError, match=f"^{option}: [^\n]*$"):
        app(cli.arguments(option, text))
    assert not sandbox.requests


SAY_WHAT_IS_WANTED = """
import sys
from pmarep.engine import site_workers
real = site_workers.SiteWorker
def worker(site, core, scheduler, wanted, shared):
    print(site.name, wanted, file=sys.stderr)
    return real(site, core, scheduler, wanted, shared)
site_workers.SiteWorker = worker
"""


@pytest.mark.parametrize(
    ("options", "wanted"),
    [((), ["a None", "b 8"]), (("auto",), ["a None", "b None"]), (("3",), ["a 3", "b 3"])],
    ids=["as the sites say", "auto", "3"],
)
def test_connections_of_the_command_go_before_those_of_a_site(
    cli: PushCli, sandbox: Sandbox, options: tuple[str, ...], wanted: list[str]
) -> None:
    tree(cli.source, "a.svs")
    cli.site("b", sandbox, "Slides/b", connections=8)
    result = cli.push(*(("--connections", *options) if options else ()), patch=LatePatch(SAY_WHAT_IS_WANTED))
    assert (result.code, result.stderr.splitlines()) == (0, wanted)


def test_a_source_that_is_not_there(cli: PushCli, sandbox: Sandbox) -> None:
    result = cli.run(source=cli.source / "nowhere")
    assert result.code == 2
    assert result.stderr.endswith("nowhere: No such file or directory; is its drive mounted?\n")
    assert len(result.stderr.splitlines()) == 1
    assert not sandbox.requests


# --existing


def put_there(sandbox: Sandbox, path: str, content: bytes) -> None:
    """A slide that somebody else has put there."""
    with Client(sandbox) as client:
        client.post("CreateDirectory", path="Slides/in")
        client.push("Slides/in", {path: content})
    sandbox.end_all_sessions()
    sandbox.clear_requests()


def test_the_same_slide_is_skipped_without_a_journal(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", content=b"12345")
    put_there(sandbox, "a.svs", b"12345")
    result = cli.push()
    assert result.counts("a") == (0, 1, 0)
    assert not transfers(sandbox)


@pytest.mark.parametrize(
    ("existing", "code", "counts", "content"),
    [
        ((), 1, (0, 0, 1), b"theirs"),
        (("--existing", "fail"), 1, (0, 0, 1), b"theirs"),
        (("--existing", "skip"), 0, (0, 1, 0), b"theirs"),
        (("--existing", "overwrite"), 0, (1, 0, 0), b"ours is longer"),
    ],
)
def test_a_slide_that_differs(
    cli: PushCli, sandbox: Sandbox, existing: tuple[str, ...], code: int, counts: Any, content: bytes
) -> None:
    tree(cli.source, "a.svs", content=b"ours is longer")
    tree(cli.source, "b.svs")
    put_there(sandbox, "a.svs", b"theirs")
    put_there(sandbox, "b.svs", b"x")
    result = cli.push(*existing)
    assert (result.code, result.counts("a")) == (code, (counts[0], counts[1] + 1, counts[2]))
    assert arrived(sandbox)["a.svs"] == content
    if code:
        error = result.finished("a")["a.svs"]["error"]
        assert "6 bytes there" in error
        assert "14 here" in error
        assert "--existing" in error
        assert not transfers(sandbox)


def test_overwriting_a_mirax_with_other_parts(cli: PushCli, sandbox: Sandbox) -> None:
    write_mirax(cli.source / "m.mrxs", data_files=2, seed=1)
    cli.push()
    write_mirax(cli.source / "m.mrxs", data_files=3, data_size=777, seed=2)
    assert cli.push().counts("a") == (0, 0, 1)
    assert cli.push("--existing", "overwrite").counts("a") == (1, 0, 0)
    assert arrived(sandbox) == contents(cli.source)


def test_a_slide_that_changed_after_it_was_sent_is_a_conflict(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", content=b"one")
    assert cli.push().code == 0
    changed(cli.source / "a.svs", b"three")
    assert cli.push().code == 1
    assert arrived(sandbox)["a.svs"] == b"one"
    assert cli.push("--existing", "overwrite").code == 0
    assert arrived(sandbox)["a.svs"] == b"three"


def test_a_slide_deleted_at_the_site_comes_again(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", "b.svs")
    cli.push()
    with Client(sandbox) as client:
        client.post("DeleteSlide", path="Slides/in/a.svs")
    assert cli.push().counts("a") == (1, 1, 0)
    assert arrived(sandbox) == contents(cli.source)


def test_names_that_differ_in_case_are_the_same_slide_on_windows(cli: PushCli, sandbox: Sandbox) -> None:
    put_there(sandbox, "SLIDE Ä.SVS", b"x")
    tree(cli.source, "slide ä.svs")
    assert cli.push().counts("a") == (0, 1, 0)


def test_names_that_only_unicode_folds_are_different_slides(cli: PushCli, sandbox: Sandbox) -> None:
    """Windows does not take ß for ss, so neither do we: the second slide would never be sent."""
    put_there(sandbox, "straße.svs", b"x")
    tree(cli.source, "strasse.svs")
    assert cli.push().counts("a") == (1, 0, 0)
    assert set(arrived(sandbox)) == {"straße.svs", "strasse.svs"}


# --dry-run


def test_dry_run_sends_nothing_and_says_what_would_be(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "new/a.svs", "there.svs", "other.svs")
    put_there(sandbox, "there.svs", b"x")
    put_there(sandbox, "other.svs", b"differs")
    before = arrived(sandbox)
    result = cli.push("--dry-run")
    assert result.code == 1
    planned = {e["slide"]: (e["action"], e["to"], e["bytes"]) for e in result.events if e["event"] == "slide_planned"}
    assert planned == {
        "new/a.svs": ("send", "Slides/in/new/a.svs", 1),
        "there.svs": ("skip", "Slides/in/there.svs", 0),
        "other.svs": ("conflict", "Slides/in/other.svs", 0),
    }
    assert result.summary["dry_run"] is True
    assert arrived(sandbox) == before
    assert {r.method for r in sandbox.requests if "authenticate" not in r.path} == {"GET"}
    assert sandbox.open_sessions == 0
    assert not [*cli.state.rglob("*")], "not even an empty journal"


def test_dry_run_in_plain_lines(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs")
    result = cli.run("--dry-run")
    assert result.code == 0
    assert "a: would send a.svs to Slides/in/a.svs (not there)" in result.stdout.splitlines()
    assert result.stdout.splitlines()[-1] == "dry run: nothing was sent"
    assert not transfers(sandbox)


# --fresh, --max-duration


def test_max_duration_begins_no_slide_after_it(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", "b.svs")
    result = cli.push("--max-duration", "0")
    assert result.code == 1
    assert (result.counts("a"), result.not_begun("a")) == ((0, 0, 0), 2)
    assert "--max-duration" in result.summary["sites"]["a"]["error"]
    assert not transfers(sandbox)
    assert cli.push("--max-duration", "6h").counts("a") == (2, 0, 0)


def test_a_second_run_asks_once_for_each_folder(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, *(f"case{number // 8}/{number}.svs" for number in range(24)))
    assert cli.push().counts("a") == (24, 0, 0)
    tree(cli.source, "case1/new.svs")
    sandbox.clear_requests()
    result = cli.push()
    assert result.counts("a") == (1, 24, 0)
    assert len(result.finished("a")) == 25
    listed = Counter(r.path.partition("path=")[2] for r in sandbox.requests if "GetFiles?" in r.path)
    assert set(listed) <= {"Slides/in", "Slides/in/case0", "Slides/in/case1", "Slides/in/case2"}
    assert listed.pop("Slides/in/case1") <= 2  # once more before the new slide is announced, if that takes a while
    assert set(listed.values()) == {1}
    assert not any("GetFilenames" in r.path for r in sandbox.requests if "new.svs" not in r.path)


def test_max_duration_ends_with_many_slides_left(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, *(f"{number}.svs" for number in range(300)))
    result = cli.push("--max-duration", "0")
    assert (result.counts("a"), result.not_begun("a")) == ((0, 0, 0), 300)
    assert not transfers(sandbox)


def test_bytes_are_counted(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "a.svs", content=os.urandom(70_000))
    result = cli.push()
    assert result.summary["sites"]["a"]["bytes_sent"] == 70_000
    assert result.events[0]["bytes"] == 70_000
    assert result.finished("a")["a.svs"]["bytes"] == 70_000
    assert files_sent(sandbox) == ["a.svs"]
