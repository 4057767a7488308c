"""`push --every` while a scanner writes: every slide arrives once, whole, though the push is killed.

`PMAREP_SCANNER_SLIDES=200 PMAREP_SCANNER_SECONDS=600 PMAREP_SCANNER_KILLS=5 pytest
tests/integration/test_rounds_scanner.py` is the long form.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from support.corpus import tree, write_mirax, write_ndpis, write_vsi
from support.push_cli import PushCli, arrived, contents, files_sent
from support.sandboxes import StartSandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open for writing")

SLIDES = int(os.environ.get("PMAREP_SCANNER_SLIDES", "10"))
SECONDS = float(os.environ.get("PMAREP_SCANNER_SECONDS", "3"))
KILLS = int(os.environ.get("PMAREP_SCANNER_KILLS", "1"))
PIECES = 8
PATIENCE = 120.0


def write_original(folder: Path, number: int) -> str:
    """Write a slide of one of five formats; return the name of its main file."""
    content = random.Random(number).randbytes(40_000)
    match number % 5:
        case 0:
            tree(folder, f"Präparat {number} & ラベル.svs", content=content)
            return f"Präparat {number} & ラベル.svs"
        case 1:
            return write_mirax(folder / f"{number}.mrxs", seed=number).name
        case 2:
            return write_vsi(folder / f"{number}.vsi").name
        case 3:
            return write_ndpis(folder / f"{number}.ndpis").name
        case _:
            tree(folder, f"{number} renamed.svs", content=content)
            return f"{number} renamed.svs"


class Scanner(threading.Thread):
    """Writes one slide after the other in small pieces with pauses, and has its files open until it is finished.

    Every fifth comes under another name, and is renamed. `finished`: the main files of those that are whole.
    """

    def __init__(self, originals: Path, target: Path) -> None:
        super().__init__(daemon=True)
        self._originals = originals
        self._target = target
        self.finished: list[str] = []

    def run(self) -> None:
        """Scan all slides."""
        for number in range(SLIDES):
            folder = self._originals / str(number)
            main = write_original(folder, number)
            renamed = "renamed" in main
            with ExitStack() as opened:
                files = []
                for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                    name = f"{path.relative_to(folder)}.part" if renamed else path.relative_to(folder)
                    (self._target / name).parent.mkdir(parents=True, exist_ok=True)
                    files.append((path.read_bytes(), opened.enter_context((self._target / name).open("wb"))))
                for piece in range(PIECES):
                    for content, file in files:
                        size = -(-len(content) // PIECES)
                        file.write(content[piece * size : (piece + 1) * size])
                        file.flush()
                    time.sleep(SECONDS / SLIDES / PIECES)
            if renamed:
                (self._target / f"{main}.part").rename(self._target / main)
            self.finished.append(main)


def test_slides_of_a_scanner_arrive_once_and_whole(tmp_path: Path, start_sandbox: StartSandbox) -> None:
    sites = {"a": start_sandbox("a"), "b": start_sandbox("b")}
    cli = PushCli(tmp_path / "cli")
    for name, sandbox in sites.items():
        cli.site(name, sandbox)
    originals = tmp_path / "originals"
    scanner = Scanner(originals, cli.source)
    scanner.start()
    words = ("--every", "5s" if KILLS > 1 else "1s", "--settle", "1s")
    pause = random.Random(KILLS)
    sent: set[tuple[str, str]] = set()  # sites and slides that a push has said to be there before it was killed
    for number in range(KILLS):
        with cli.start(*words) as running:
            running.wait_for(is_sent, pause.randint(1, max(SLIDES // (KILLS + 1), 1)))
            time.sleep(pause.random() / 10 * number)  # so that it is not always just after a slide
            running.kill()
        events = [json.loads(line) for line in running.lines if line.endswith("\n")]  # the last may be cut off
        sent |= {(event["site"], event["slide"]) for event in events if is_sent(event)}
    assert sent
    with cli.start(*words) as running:
        scanner.join(SECONDS * 10 + PATIENCE)
        assert len(scanner.finished) == SLIDES
        whole = {path.partition("/")[2]: content for path, content in contents(originals).items()}
        running.wait_for(has_all)
        running.process.send_signal(signal.SIGTERM)
        running.result()
    for name, sandbox in sites.items():
        assert arrived(sandbox) == contents(cli.source) == whole
        times = Counter(unquote(path) for path in files_sent(sandbox))
        assert times.keys() == whole.keys()
        assert max(times.values()) <= 1 + KILLS
        assert {path: times[path] for site, path in sent if site == name} == {
            path: 1 for site, path in sent if site == name
        }
        assert sandbox.open_sessions <= KILLS  # those of killed ones, which nobody could end


def has_all(event: dict[str, Any]) -> bool:
    """Return whether a round has ended with every slide at every site."""
    sites = event["sites"].values() if event["event"] == "summary" else ()
    return bool(sites) and all(site["sent"] + site["skipped"] == SLIDES for site in sites)


def is_sent(event: dict[str, Any]) -> bool:
    return (event["event"], event.get("status")) == ("slide_finished", "sent")
