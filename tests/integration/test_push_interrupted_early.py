"""Ctrl-C before a run has begun, wherever that is: one word or the summary, exit 130, and never a traceback."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from support.corpus import tree
from support.fork_server import LatePatch
from support.push_cli import PushCli

from pmarep.cli.signal_handlers import INTERRUPTED_BEFORE_START
from pmarep.events import Summary

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself Ctrl-C there")

AT_ONCE = "import os, signal\nimport pmarep.cli\nrun = pmarep.cli._run\n{handler}pmarep.cli._run = interrupted\n"
IN_AN_IMPORT = "in the middle of an import"
MOMENTS = {
    "when it starts": "def interrupted(): os.kill(os.getpid(), {number}); return run()\n",
    IN_AN_IMPORT: (
        "import sys\n"
        "for name in [name for name in sys.modules if name.startswith('pmarep.engine')]: del sys.modules[name]\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pmarep.engine.run': os.kill(os.getpid(), {number})\n"
        "sys.meta_path.insert(0, Finder())\n"
        "interrupted = run\n"
    ),
    "in a destructor": (
        "class Dropped:\n"
        "    def __del__(self): os.kill(os.getpid(), {number}); pow(1, 1)\n"
        "def interrupted(): Dropped(); return run()\n"
    ),
    "while the site book is read": (
        "from pmarep.sites import SiteBook\n"
        "def load(*_): os.kill(os.getpid(), {number})\n"
        "SiteBook.load = load\n"
        "interrupted = run\n"
    ),
    "when the event loop begins": (
        "import asyncio\ndef begin(main): os.kill(os.getpid(), {number})\nasyncio.run = begin\ninterrupted = run\n"
    ),
}


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    cli = PushCli(tmp_path / "cli")
    cli.site("a", "http://127.0.0.1:9/")
    tree(cli.source, "a.svs")
    return cli


def patch(moment: str, number: int = signal.SIGINT, before: str = "") -> LatePatch:
    return LatePatch(before + AT_ONCE.format(handler=MOMENTS[moment].format(number=int(number))))


@pytest.mark.parametrize("moment", MOMENTS)
def test_with_events(cli: PushCli, moment: str) -> None:
    result = cli.push(patch=patch(moment))
    assert (result.code, result.stderr) == (130, "")
    (summary,) = result.events
    assert summary["error"] == INTERRUPTED_BEFORE_START
    expected = Summary(exit_code=130, seconds=0.0, sites={}, error=INTERRUPTED_BEFORE_START).to_dict()
    assert json.dumps(list(summary)) == json.dumps(list(expected))  # in the same order
    assert summary | {"time": ""} == expected | {"time": ""}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_for_people(cli: PushCli, number: int) -> None:
    result = cli.run(patch=patch(IN_AN_IMPORT, number))
    assert (result.code, result.stdout, result.stderr) == (130, "", f"pmarep: {INTERRUPTED_BEFORE_START}\n")


def test_a_process_that_is_deaf_to_it_goes_on(cli: PushCli) -> None:
    """`nohup pmarep push`"""
    deaf = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    result = cli.push("--sites", "b", patch=patch("when it starts", before=deaf))
    assert result.code == 2
    assert os.linesep.join(result.stderr.splitlines()).startswith("pmarep: ")
