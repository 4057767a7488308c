"""What is typed reaches the commands as the shell has passed it on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.core
from support.corpus import tree

from pmarep import cli


class WindowsOs(ModuleType):
    """`os` for one module that asks where it is; a global `os.name` would be for pathlib too."""

    name = "nt"

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def test_windows_expands_no_globs_variables_or_home_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tree(tmp_path, "a.svs", "b.svs", "c.tif")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(typer.core, "os", WindowsOs("os"))
    monkeypatch.setattr(sys, "argv", ["pmarep", "slides", ".", "-v", "--exclude", "*.svs", "--exclude", "$HOME/~"])
    cli._run()
    excluded = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines() if "matches an --exclude" in line]
    assert excluded == ["a.svs", "b.svs"]


def test_the_help_says_that_fresh_sends_unreadable_slides_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr(sys, "argv", ["pmarep", "push", "--help"])
    cli._run()
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "instead of resuming; send again what a server could not read" in words
