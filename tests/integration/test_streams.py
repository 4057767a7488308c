"""stdin, stdout and stderr may be closed, full, or read by nobody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.fork_server import PATIENCE

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full and a POSIX shell")

FULL = "pmarep: cannot write the output: No space left on device\n"


def shell(line: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs it with `$pmarep` as the command."""
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.run(
        ["/bin/bash", "-c", line.replace("$pmarep", f"{sys.executable} -m pmarep")],
        cwd=folder,
        env={**usual, "PMAREP_CONFIG": str(folder / "sites.toml"), **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For all tests: none of the commands writes into it."""
    folder = tmp_path_factory.mktemp("streams")
    tree(folder / "cases", "1.svs", "2.svs", "3.svs")
    tree(folder / "many", *(f"{number:0200}.svs" for number in range(400)))  # more than a pipe holds
    (folder / "sites.toml").write_text('[sites.a]\nurl = "https://a.example/"\nusername = "me"\ntarget = "Slides/in"\n')
    return folder


@pytest.mark.parametrize(
    ("command", "closed"),
    [
        ("slides cases", "<&-"),
        ("slides cases", ">&-"),
        ("slides cases", "2>&-"),
        ("slides cases", "<&- >&- 2>&-"),
        ("--version", "<&- >&- 2>&-"),  # typer's own output
    ],
)
def test_closed_streams_are_empty(folder: Path, closed: str, command: str) -> None:
    done = shell(f"$pmarep {command} {closed}", folder)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [("--version", ""), ("--help", "1"), ("sites list", ""), ("slides cases", "1"), ("slides --formats", "")],
)
def test_a_full_disk_is_one_line(folder: Path, command: str, unbuffered: str) -> None:
    done = shell(f"$pmarep {command} >/dev/full", folder, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (1, FULL)


def test_a_full_disk_is_no_excuse_for_another_error(folder: Path) -> None:
    done = shell("$pmarep slides nowhere >/dev/full", folder)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_that_nobody_reads_on_is_no_error(folder: Path, unbuffered: str) -> None:
    done = shell("set -o pipefail; $pmarep slides many | head -1", folder, PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_another_pipe_that_breaks_is_an_error(folder: Path, tmp_path: Path) -> None:
    patch = """
import errno, sys
import pmarep.slides
def broken(*args, **options):
    raise BrokenPipeError(errno.EPIPE, "some other pipe")
pmarep.slides.find_slides = broken
sys.argv[1:] = ["slides", "cases"]
from pmarep.cli import main
main()
"""
    (tmp_path / "patched.py").write_text(patch)
    done = shell(f"{sys.executable} {tmp_path / 'patched.py'}", folder)
    assert done.returncode == 1
