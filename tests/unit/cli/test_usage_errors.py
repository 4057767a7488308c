"""What was typed wrongly is one line that says where to look."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pmarep import cli


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("push", "Missing argument 'SRC...'; see pmarep push --help"),
        ("push x --nix", "No such option: --nix"),
        ("puhs x", "No such command 'puhs'. Did you mean 'push'? see pmarep --help"),
        ("sites add", "Missing argument 'NAME'; see pmarep sites add --help"),
        ("sandbox --data x --port abc", "write a whole number; see pmarep sandbox --help"),
        ("sandbox --data x --port 70000", "has to be at most 65535; see pmarep sandbox --help"),
        ("sandbox --data x --latency -1", "has to be at least 0; see pmarep sandbox --help"),
        (
            "push x --sites a --existing bogus",
            "'bogus' is not one of 'skip', 'overwrite', 'fail'; see pmarep push --help",
        ),
    ],
)
def test_a_usage_error_is_one_line_on_stderr_and_exit_code_2(
    line: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pmarep", *line.split()])
    assert cli._run() == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("pmarep: ")
    assert words in err


@pytest.mark.parametrize("command", ["push", "verify"])
def test_a_slide_named_as_the_list_is_left_alone(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--at-all-sites *.svs` names the first one. That is said before what else is wrong, and for programs too."""
    slide = tmp_path / "a.svs"
    slide.write_bytes(b"II*\0")
    monkeypatch.setattr(sys, "argv", ["pmarep", command, "--json", "--at-all-sites", str(slide), "x"])
    assert cli._run() == 2
    out, err = capsys.readouterr()
    assert "is no list of an earlier run" in err
    assert json.loads(out)["error"] == err.removeprefix("pmarep: ").rstrip()
    assert slide.read_bytes() == b"II*\0"


@pytest.mark.parametrize("line", ["", "sites"])
def test_a_group_alone_shows_its_help(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pmarep", *line.split()])
    assert cli._run() == 2
    out, err = capsys.readouterr()
    assert "Commands" in out
    assert err == ""
