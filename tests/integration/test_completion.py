"""Names from the book at the Tab key: in a real bash, and by the protocol that its script speaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.fork_server import PATIENCE, run
from support.sites_cli import SitesCli

BASH = shutil.which("bash")
PMAREP = Path(sys.executable).with_name("pmarep")
needs_bash = pytest.mark.skipif(BASH is None or not PMAREP.exists(), reason="needs bash and the installed command")

BOOK = """\
[servers.campus]
url = "https://campus/"
[sites.box-anna]
server = "campus"
target = "a"
[sites.box-ben]
server = "campus"
target = "b"
[sites.tokyo]
url = "https://tokyo/"
[groups]
class = ["box-anna"]
"""

# What bash does at the Tab key: the words typed so far, the last one under the cursor.
PRESS_TAB = """\
source ./completion.bash
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_pmarep_completion "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def sites_cli(tmp_path: Path) -> SitesCli:
    sites_cli = SitesCli(tmp_path)
    sites_cli.book.write_text(BOOK)
    return sites_cli


def tab(sites_cli: SitesCli, *words: str) -> list[str]:
    """The proposals for a line whose last word is being typed, asked for as the script for bash asks."""
    typed = {"COMP_WORDS": "\n".join(["pmarep", *words]), "COMP_CWORD": str(len(words))}
    done = run([], {**sites_cli.environment, **typed, "_PMAREP_COMPLETE": "complete_bash"}, folder=sites_cli.folder)
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


def tab_in_bash(sites_cli: SitesCli, *words: str) -> list[str]:
    """The proposals that bash gets by the script which its start-up file sources."""
    environment = {**os.environ, "_PMAREP_COMPLETE": "source_bash"}
    made = subprocess.run([str(PMAREP)], env=environment, check=True, capture_output=True, text=True, timeout=PATIENCE)
    (sites_cli.folder / "completion.bash").write_text(made.stdout)
    done = subprocess.run(
        [str(BASH), "--norc", "-c", PRESS_TAB, "bash", str(PMAREP), str(PMAREP), *words],
        env=sites_cli.environment,
        cwd=sites_cli.folder,
        text=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "proposals"),
    [
        (("push", "x", "--sites", "bo"), ["box-anna", "box-ben"]),
        (("push", "x", "--sites", "tokyo,bo"), ["tokyo,box-anna", "tokyo,box-ben"]),
        (("push", "x", "--sites", "box-ben,bo"), ["box-ben,box-anna"]),
        (("push", "x", "--sites", ""), ["box-anna", "box-ben", "tokyo", "class"]),
        (("sites", "show", "c"), ["class"]),
        (("sites", "test", "tokyo", "b"), ["box-anna", "box-ben"]),
        (("sites", "login", "t"), ["tokyo"]),
        (("sites", "logout", "t"), ["tokyo"]),
        (("sites", "list", "t"), ["tokyo"]),
        (("sites", "edit", "c"), []),
        (("sites", "remove", "b"), ["box-anna", "box-ben"]),
        (("sites", "rename", "t"), ["tokyo"]),
        (("sites", "duplicate", "t"), ["tokyo"]),
        (("sites", "add", "x", "--server", ""), ["campus"]),
        (("groups", "add", "c"), ["class"]),
        (("groups", "set", "new", "b"), ["box-anna", "box-ben"]),
        (("pull", "t"), ["tokyo:"]),
        (("copy", "t"), ["tokyo:"]),
    ],
)
def test_names_from_the_book(sites_cli: SitesCli, words: tuple[str, ...], proposals: list[str]) -> None:
    assert tab(sites_cli, *words) == proposals


@needs_bash
def test_bash_proposes_names_for_the_last_of_several_words(sites_cli: SitesCli) -> None:
    assert tab_in_bash(sites_cli, "push", "x", "--sites", "tokyo,bo") == ["tokyo,box-anna", "tokyo,box-ben"]


def test_names_from_included_books_and_other_ones(sites_cli: SitesCli) -> None:
    (sites_cli.folder / "mine.toml").write_text('include = ["sites.toml"]\n[sites.box-me]\n')
    assert tab(sites_cli, "sites", "show", "--config", "mine.toml", "box-") == ["box-me", "box-anna", "box-ben"]


@pytest.mark.parametrize("text", ["[sites", "sites = 3\n", "[sites.box-anna]\nwrong = 1\n", None])
def test_silent_whatever_is_wrong(sites_cli: SitesCli, text: str | None) -> None:
    if text is None:
        sites_cli.book.unlink()
    else:
        sites_cli.book.write_text(text)
    assert tab(sites_cli, "push", "x", "--sites", "b") == (["box-anna"] if text and "wrong" in text else [])
