"""Pulls that are killed again and again, and what the last one leaves.

`PMAREP_PULL_KILLS=20 PMAREP_PULL_SLIDES=1000 pytest tests/integration/test_pull_killed.py` is the long form.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
from support.corpus import tree, write_afi, write_mirax, write_ndpis, write_vms, write_vsi
from support.corpus_dicom import write_dicom
from support.fork_server import start
from support.push_cli import PushCli, Running, arrived, contents
from support.sandboxes import StartSandbox

KILLS = int(os.environ.get("PMAREP_PULL_KILLS", "3"))
SLIDES = int(os.environ.get("PMAREP_PULL_SLIDES", "16"))
CONNECTIONS = 4


def write_slides(folder: Path, count: int) -> None:
    """Slides of all formats with several files, and large ones of one file: DICOM once, since it takes long to make."""
    write_dicom(folder / "dicom")
    for number in range(count - 1):
        where = folder / f"case {number // 7}"
        match number % 7:
            case 0:
                tree(where, f"one{number}.svs", content=random.Random(number).randbytes(300_000))
            case 1:
                write_mirax(where / f"mirax{number}.mrxs", seed=number)
            case 2:
                write_vsi(where / f"olympus{number}.vsi")
            case 3:
                write_ndpis(where / f"set{number}.ndpis", names=[f"red{number}.ndpi", f"blue{number}.ndpi"])
            case 4:
                write_afi(where / f"fused{number}.afi", names=[f"red{number}.svs", f"blue{number}.svs"])
            case 5:
                write_vms(where / f"vms{number}" / "n.vms")
            case 6:
                tree(where, f"two{number}.ndpi", content=random.Random(number).randbytes(100_000))


def test_a_pull_that_is_killed_again_and_again(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox("tokyo")
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    write_slides(cli.source, SLIDES)
    assert cli.push().code == 0
    asked = len(sandbox.requests)
    here = tmp_path / "here"
    words = ["pull", "tokyo:", str(here), "--config", str(cli.book), "--json", "--connections", str(CONNECTIONS)]
    for _ in range(KILLS):
        with Running(start(words, cli.environment)) as running:
            running.wait_for(lambda event: event["event"] == "slide_finished" and event["status"] == "pulled", 2)
            running.kill()
    with Running(start(words, cli.environment)) as running:
        last = running.result()
    assert last.code == 0
    assert contents(here) == arrived(sandbox)
    downloads = Counter(one.path for one in sandbox.requests[asked:] if "Download" in one.path)
    again = sum(downloads.values()) - len(contents(here)) + sum(not content for content in contents(here).values())
    assert again <= KILLS * CONNECTIONS, "more than what was under way has come again"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is a signal there that tests cannot send")
def test_ctrl_c(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox("tokyo", rate=2_000_000)
    cli = PushCli(tmp_path / "cli")
    cli.site("tokyo", sandbox)
    folder = sandbox.data / "Slides" / "in"
    folder.mkdir()
    tree(folder, *(f"{number}.svs" for number in range(40)), content=bytes(200_000))
    words = ["pull", "tokyo:", str(tmp_path / "here"), "--config", str(cli.book), "--json", "--connections", "2"]
    with Running(start(words, cli.environment)) as running:
        running.wait_for(lambda event: event["event"] == "slide_finished")
        running.interrupt()
        result = running.result()
    assert (result.code, result.stderr) == (130, "")
    assert result.summary["error"].startswith("interrupted; ")
    assert not (tmp_path / "here" / ".pmarep-pull.lock").exists()
    assert sandbox.open_sessions == 0
