"""`pmarep slides`: its output and exit codes, as a process, since that is what scripts see."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from support import fork_server
from support.corpus import tree, wild_names, write_mirax
from support.fork_server import PATIENCE, LatePatch

from pmarep.cli.app import app


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return fork_server.run(["slides", *map(str, arguments)], {**os.environ, **fork_server.USUAL_ENVIRONMENT})


def size_of(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.split("n.mrxs")[1].splitlines()[0].split("\t")[3]


def test_plain(tmp_path: Path) -> None:
    write_mirax(tmp_path / "n.mrxs", data_size=1000)
    tree(tmp_path, "a.svs", "[b] :smile:.svs", "x.txt", "y.txt", "n/stranger.txt", content=b"12345")
    done = run(tmp_path)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "[b] :smile:.svs\tAperio SVS\t1 file\t5 B\tcomplete",
        "a.svs\tAperio SVS\t1 file\t5 B\tcomplete",
        f"n.mrxs\t3DHISTECH MIRAX\t6 files\t{size_of(done)}\tcomplete",
        "",
        "Left out:",
        "1 entry\tnot a slide (in the folder of a slide, but not part of it): n.mrxs 1",
        "2 entries\tnot a slide (no slide's main file): .txt 2",
        "",
        done.stdout.splitlines()[-1],
    ]
    assert done.stdout.splitlines()[-1].startswith("3 slides, 8 files, ")
    assert done.stdout.splitlines()[-1].endswith("; 0 problems")
    assert done.stderr == ""


def test_problems_come_first_and_end_with_1(tmp_path: Path) -> None:
    tree(tmp_path, "n.mrxs", "a.txt", "b.svs")
    done = run(tmp_path, "-v", "--exclude", "b.*")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "",
        "Cannot be sent:",
        "n.mrxs\tincomplete\tits folder n/ is missing\t"
        "wait if it is still being copied; else copy the whole slide again, or export it again",
        "",
        "Left out:",
        "a.txt\tnot a slide\tno slide's main file: .txt",
        "b.svs\texcluded\tmatches an --exclude",
        "",
        "0 slides, 0 files, 0 B; 1 problem",
    ]


def test_json(tmp_path: Path) -> None:
    tree(tmp_path, "ä.svs", "n.mrxs", "x.txt")
    done = run(tmp_path, "--json")
    assert done.returncode == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {
            "left_out": "n.mrxs",
            "why": "incomplete",
            "detail": "its folder n/ is missing",
            "state": "incomplete",
            "advice": "wait if it is still being copied; else copy the whole slide again, or export it again",
        },
        {
            "left_out": "x.txt",
            "why": "not a slide",
            "detail": "no slide's main file: .txt",
            "state": "not a slide",
            "kind": "other",
        },
        {"slide": "ä.svs", "format": "Aperio SVS", "files": 1, "bytes": 1, "state": "complete"},
    ]


def test_json_says_which_source_where_there_are_several(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.svs", "b/x.svs")
    done = run(tmp_path / "a", tmp_path / "b" / "x.svs", "--json")
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == [
        str(tmp_path / "a"),
        str(tmp_path / "b" / "x.svs"),
    ]


def test_names_of_every_kind_in_every_encoding(tmp_path: Path) -> None:
    for name in wild_names():
        tree(tmp_path, f"{name}.svs")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b.svs")).write_bytes(b"x")
    for encoding in ("utf-8", "ascii", "cp1252"):
        plain, lines = encoded(encoding, str(tmp_path)), encoded(encoding, str(tmp_path), "--json")
        assert "\x1b" not in plain + lines
        assert "\\xff\\x1b.svs\tbad name\t" in plain
        slides = {json.loads(line).get("slide") for line in lines.splitlines()}
        assert slides - {None} == {f"{name}.svs" for name in wild_names()}
    assert "\r" not in plain


def encoded(encoding: str, *arguments: str) -> str:
    """What is printed where the standard streams have an encoding."""
    streams = f"import sys\nfor one in (sys.stdout, sys.stderr): one.reconfigure(encoding={encoding!r}, newline='')"
    environment = {**os.environ, **fork_server.USUAL_ENVIRONMENT}
    process = fork_server.start(["slides", *arguments], environment, patch=LatePatch(streams))
    assert isinstance(process.stdout, io.TextIOWrapper)
    process.stdout.reconfigure(encoding=encoding, newline="")
    code, output, errors = fork_server.finish(process)
    assert code == 1, errors
    return output


def test_usage_errors(tmp_path: Path) -> None:
    tree(tmp_path, "a.svs", "a.txt")
    cases: list[tuple[list[str | Path], str]] = [
        ([tmp_path / "gone"], "No such file"),
        ([tmp_path, tmp_path / "a.txt"], "no slide's main file"),
        ([tmp_path, "--include", "a\\b"], "write / between folders"),
        ([], "Missing argument"),
    ]
    for arguments, words in cases:
        done = run(*arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert done.stdout == ""


def test_a_reader_who_leaves_ends_it_quietly(tmp_path: Path) -> None:
    tree(tmp_path, *(f"{number}.svs" for number in range(2000)))
    process = fork_server.start(["slides", str(tmp_path)], {**os.environ, **fork_server.USUAL_ENVIRONMENT})
    assert process.stdout
    assert process.stderr
    with process.stderr:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE) in (0, 1)  # click says 1
        assert process.stderr.read() == ""


def test_a_table_on_a_terminal_with_whole_names(tmp_path: Path) -> None:
    tree(tmp_path, f"{'long ' * 30}.svs", "[bold]x[/].svs")
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-m", "pmarep", "slides", tmp_path], stdout=slave, env=environment)
    os.close(slave)
    output = b""
    try:
        while chunk := os.read(master, 4096):
            output += chunk
    except OSError:
        pass  # Linux's way to say that the other end is closed
    os.close(master)
    assert process.wait(PATIENCE) == 0
    assert output.count(b"long") == 30
    assert b"[bold]x[/].svs" in output
    assert b"Slide" in output
    assert b"2 slides, 2 files, 2 B; 0 problems" in output


def test_what_may_not_be_read_is_not_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As mode 000 is for everybody but root, who runs these tests."""
    tree(tmp_path, "closed.svs", "open.svs")
    write_mirax(tmp_path / "n.mrxs")
    closed = {str(tmp_path / "closed.svs"), str(tmp_path / "n" / "Data0001.dat")}
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode & os.R_OK and os.path.normpath(path) in closed))
    with pytest.raises(SystemExit) as end:
        app(("slides", "--problems", str(tmp_path)))
    assert end.value.code == 1
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[:3] for line in lines] == [
        ["closed.svs", "unreadable", "Permission denied: closed.svs"],
        ["n.mrxs", "unreadable", "Permission denied: n/Data0001.dat"],
    ]
    assert lines[0][3].startswith("let the user who runs pmarep read it")


def test_patterns_that_match_no_slide_are_reported(tmp_path: Path) -> None:
    tree(tmp_path, "a/x.svs", "b/old/y.svs")
    done = run(tmp_path / "a", tmp_path / "b", "--exclude", "old", "--exclude", "odl", "--include", "x.*", "--json")
    assert done.returncode == 0
    assert done.stderr.splitlines() == ["--exclude 'odl' matches no slide"]
