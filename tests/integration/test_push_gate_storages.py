"""`prepare` before storages of every kind: killed in the middle, gone on part by part, and nothing raw on the wire."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from support.cloud import MIB, SMALL_BLOCKS, CloudSandbox, StartCloud
from support.corpus import tiny_tiff, write_mirax
from support.gate import MASK, PATIENT, TWO_AT_ONCE, Gate, Wire
from support.push_cli import PushCli, arrived, contents
from support.sandboxes import SMALLEST_PART
from support.waiting import until

from pmacore_sandbox.faults import Hold

KINDS = pytest.mark.parametrize("root", ["Slides", "Cloud", "Blobs"], ids=["filesystem", "s3", "azure"])

PIECE = {"Slides": 300_000, "Cloud": SMALLEST_PART, "Blobs": MIB}
PIECES = {"Slides": r"transfer/Upload/.*path=", "Cloud": "partNumber=", "Blobs": "comp=block&"}
"""The requests that bring pieces: whole files, parts, blocks."""

RANDOM = (
    MASK
    + """
import hashlib, json, os
made = {}
for copy in out.rglob("*"):
    if copy.is_file() and copy.stat().st_size > 9999:
        with copy.open("r+b") as file:
            for at in range(5000, copy.stat().st_size - 100, 50_000):
                file.seek(at)
                file.write(os.urandom(100))
    if copy.is_file():
        made[copy.relative_to(out).as_posix()] = hashlib.sha256(copy.read_bytes()).hexdigest()
ran.with_name("made").write_text(json.dumps(made))
"""
)
"""Makes other bytes of the same size each time."""


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(PushCli(tmp_path / "cli", SMALL_BLOCKS), tmp_path)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return Wire(monkeypatch)


@pytest.fixture
def tokyo(cloud_sandbox: StartCloud, root: str) -> CloudSandbox:
    return cloud_sandbox("tokyo", azure=root == "Blobs", s3_options={"part_size": SMALLEST_PART})


def there(tokyo: CloudSandbox, root: str) -> dict[str, bytes]:
    """What lies below the target, by path."""
    if root == "Slides":
        return arrived(tokyo.sandbox)
    return {name.removeprefix("in/"): content for name, content in tokyo.side(root).objects().items()}


def write_slide(gate: Gate, root: str) -> dict[str, bytes]:
    """Write a slide of some pieces with the patient's name in each; return what may leave."""
    source = gate.cli.source
    if root == "Slides":
        write_mirax(source / "a.mrxs", data_files=5, data_size=PIECE[root])
    else:
        (source / "a.svs").write_bytes(tiny_tiff(4 * PIECE[root]))
    for file in source.rglob("*"):
        if file.is_file() and file.stat().st_size >= PIECE[root]:
            with file.open("r+b") as handle:
                for at in range(PIECE[root] // 2, file.stat().st_size, PIECE[root]):
                    handle.seek(at)
                    handle.write(PATIENT)
    raw = contents(source)
    assert sum(content.count(PATIENT) for content in raw.values()) >= 4
    return {name: content.replace(PATIENT, b"x" * len(PATIENT)) for name, content in raw.items()}


def kill_in_the_middle(gate: Gate, tokyo: CloudSandbox, root: str) -> None:
    """Start a push, and kill it when two large pieces are there, and the journal knows one of them."""
    hold, pieces = Hold(), 4 if root == "Slides" else 2  # two small files come first
    server = tokyo.sandbox if root == "Slides" else tokyo.side(root)
    rule = server.faults.add(hold, path=PIECES[root], after=pieces)
    with gate.cli.start("--connections", "1") as running:
        until(lambda: hold.reached.is_set() and gate.journaled() >= pieces - 1)
        running.kill()
    hold.release()
    server.faults.remove(rule)
    assert server.wait_idle()


@KINDS
def test_a_result_goes_on_after_a_kill_and_nothing_of_a_raw_upload_stays(
    gate: Gate, tokyo: CloudSandbox, root: str, wire: Wire
) -> None:
    """The same slide was half there, raw, before the site had `prepare`; what that makes has the same sizes."""
    clean = write_slide(gate, root)
    gate.cli.site("tokyo", tokyo.sandbox, target=f"{root}/in")
    kill_in_the_middle(gate, tokyo, root)
    assert wire.leaks
    wire.leaks.clear()

    gate.cli.book.write_text("")
    gate.cli.names.clear()
    gate.cli.site("tokyo", tokyo.sandbox, target=f"{root}/in", prepare=gate.prepare(MASK))
    kill_in_the_middle(gate, tokyo, root)
    result = gate.cli.push()
    assert result.code == 0, result.stdout
    (finished,) = result.finished("tokyo").values()
    assert finished["resumed_bytes"] >= PIECE[root]
    assert there(tokyo, root) == clean
    assert len(gate.runs()) == 1
    assert wire.leaks == set()


@pytest.mark.parametrize("root", ["Cloud"])
def test_parts_of_two_results_never_mix(gate: Gate, tokyo: CloudSandbox, root: str, wire: Wire) -> None:
    """A command that makes other bytes each time, and a cache that has lost the first ones."""
    write_slide(gate, root)
    gate.cli.site("tokyo", tokyo.sandbox, target=f"{root}/in", prepare=gate.prepare(RANDOM))
    kill_in_the_middle(gate, tokyo, root)
    first = json.loads((gate.folder / "made").read_text())
    shutil.rmtree(gate.cli.state / "prepared" / "results")
    result = gate.cli.push()
    assert result.code == 0, result.stdout
    made = json.loads((gate.folder / "made").read_text())
    assert made != first
    assert {name: hashlib.sha256(content).hexdigest() for name, content in there(tokyo, root).items()} == made
    assert len(gate.runs()) == 2
    assert wire.leaks == set()


def test_storages_of_all_kinds_share_results_and_get_nothing_raw(
    gate: Gate, cloud_sandbox: StartCloud, wire: Wire
) -> None:
    """Killed in the middle; then the rest is sent, and in the end nothing is run any more."""
    tokyo, roots = cloud_sandbox("tokyo"), ("Slides", "Cloud", "Blobs")
    for root in roots:
        gate.cli.site(root.lower(), tokyo.sandbox, target=f"{root}/in", prepare=gate.prepare())
    clean = {f"{number}.svs": gate.slide(f"{number}.svs", 3 * SMALLEST_PART) for number in range(6)}
    with gate.cli.start(patch=TWO_AT_ONCE) as running:
        running.wait_for(lambda event: event["event"] == "slide_finished", 4)
        running.kill()
    gate.wait_for_commands()
    assert gate.cli.push().code == 0
    assert [there(tokyo, root) for root in roots] == [clean] * 3
    ran = gate.runs()
    assert set(ran) == set(clean)
    assert len(ran) <= 6 + 2 * 2  # those that were being made, or had just been
    result = gate.cli.push()
    assert [result.counts(root.lower()) for root in roots] == [(0, 6, 0)] * 3
    assert gate.runs() == ran
    assert wire.leaks == set()
