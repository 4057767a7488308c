"""Slides of every kind arrive byte for byte, at every site."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import openslide
import pytest
from conftest import StartSandbox
from corpus import (
    tree,
    wild_names,
    write_afi,
    write_cws,
    write_mirax,
    write_ndpis,
    write_pyramidal_tiff,
    write_svs,
    write_vms,
    write_vmu,
    write_vsi,
)
from corpus_dicom import write_dicom
from desk import Desk, arrived, contents, files_sent
from sandbox_client import Client

from pmacore_sandbox import Sandbox


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def every_format(folder: Path) -> None:
    write_svs(folder / "aperio.svs", width=300, height=300)
    write_pyramidal_tiff(folder / "2026" / "pyramid.tif", width=300, height=300)
    write_mirax(folder / "2026" / "mirax.mrxs")
    write_vsi(folder / "2026" / "deep" / "olympus.vsi")
    write_ndpis(folder / "set.ndpis")
    write_afi(folder / "fused.afi")
    for extension in ["ndpi", "scn", "czi", "jpg", "png", "bif", "kfb", "isyntax"]:
        tree(folder / "single", f"one.{extension}", content=os.urandom(2000))
    write_dicom(folder / "dicom")
    write_vms(folder / "scanners" / "n.vms")
    write_vmu(folder / "scanners" / "n2.vmu")
    write_cws(folder / "scanners" / "cws")


@pytest.mark.parametrize("count", [2, 5, 8])
def test_every_format_is_byte_identical_at_every_site(desk: Desk, start_sandbox: StartSandbox, count: int) -> None:
    every_format(desk.source)
    sandboxes = [start_sandbox(f"site{number}") for number in range(count)]
    for number, sandbox in enumerate(sandboxes):
        desk.site(f"site{number}", sandbox)
    result = desk.push()
    assert result.code == 0, result.stdout
    local = contents(desk.source)
    for number, sandbox in enumerate(sandboxes):
        assert result.counts(f"site{number}") == (18, 0, 0)
        assert arrived(sandbox) == local
        assert sorted(files_sent(sandbox)) == sorted(set(files_sent(sandbox)))  # each file once
        assert sandbox.open_sessions == 0


def test_servers_list_the_slides_in_their_folders(desk: Desk, sandbox: Sandbox) -> None:
    every_format(desk.source)
    desk.site("a", sandbox)
    desk.push()
    with Client(sandbox) as client:
        assert sorted(client.get("GetFiles", path="Slides/in")) == [
            "Slides/in/aperio.svs",
            "Slides/in/fused.afi",
            "Slides/in/set.ndpis",
        ]
        assert sorted(client.get("GetFiles", path="Slides/in/2026")) == [
            "Slides/in/2026/mirax.mrxs",
            "Slides/in/2026/pyramid.tif",
        ]
        assert client.get("GetFiles", path="Slides/in/2026/deep") == ["Slides/in/2026/deep/olympus.vsi"]


def test_the_main_file_comes_last(desk: Desk, sandbox: Sandbox) -> None:
    write_mirax(desk.source / "m.mrxs", data_files=6)
    desk.site("a", sandbox)
    desk.push()
    sent = files_sent(sandbox)
    assert sent[-1] == "m.mrxs"
    assert len(sent) == 9


def test_openslide_opens_what_arrived(desk: Desk, start_sandbox: StartSandbox) -> None:
    write_svs(desk.source / "a.svs", width=1500, height=1100)
    write_pyramidal_tiff(desk.source / "b.tif", width=1500, height=1100)
    for name in ("tokyo", "saopaulo"):
        desk.site(name, start_sandbox(name))
    assert desk.push().code == 0
    for name in ("tokyo", "saopaulo"):
        for file, vendor in (("a.svs", "aperio"), ("b.tif", "generic-tiff")):
            here, there = desk.source / file, desk.source.parent.parent / name / "Slides" / "in" / file
            with openslide.OpenSlide(here) as ours, openslide.OpenSlide(there) as theirs:
                assert theirs.properties["openslide.vendor"] == vendor
                assert theirs.dimensions == (1500, 1100)
                region = ((700, 500), 0, (64, 64))
                assert theirs.read_region(*region).tobytes() == ours.read_region(*region).tobytes()


def test_servers_agree_on_the_fingerprint(desk: Desk, start_sandbox: StartSandbox) -> None:
    write_mirax(desk.source / "m.mrxs")
    sandboxes = [start_sandbox(name) for name in ("a", "b")]
    for name, sandbox in zip(("a", "b"), sandboxes, strict=True):
        desk.site(name, sandbox)
    desk.push()
    prints = set()
    for sandbox in sandboxes:
        with Client(sandbox) as client:
            prints.add(client.get("GetFingerprint", pathOrUid="Slides/in/m.mrxs"))
    assert len(prints) == 1
    assert all(isinstance(print_, str) for print_ in prints)


@pytest.mark.parametrize("size", [1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 5 * 1024 * 1024 + 7])
def test_sizes_around_the_chunk(desk: Desk, sandbox: Sandbox, size: int) -> None:
    tree(desk.source, "a.svs", content=os.urandom(size))
    desk.site("a", sandbox)
    result = desk.push()
    assert result.code == 0, result.stdout
    assert hashlib.sha256(arrived(sandbox)["a.svs"]).digest() == hashlib.sha256(contents(desk.source)["a.svs"]).digest()


def test_an_empty_slide_is_reported_and_stops_nothing(desk: Desk, sandbox: Sandbox) -> None:
    tree(desk.source, "empty.svs", content=b"")
    tree(desk.source, "full.svs")
    desk.site("a", sandbox)
    result = desk.push()
    assert result.code == 1
    problems = [event["path"] for event in result.events if event["event"] == "source_problem"]
    assert problems == ["empty.svs"]
    assert set(arrived(sandbox)) == {"full.svs"}


def test_companion_files_of_0_bytes(desk: Desk, sandbox: Sandbox) -> None:
    write_vsi(desk.source / "v.vsi")
    (desk.source / "_v_" / "stack1" / "frame_t.meicom").write_bytes(b"")
    desk.site("a", sandbox)
    assert desk.push().code == 0
    assert arrived(sandbox) == contents(desk.source)


def test_names_in_the_wild(desk: Desk, start_sandbox: StartSandbox) -> None:
    """As file names, as folder names, and as the name of a MIRAX slide and its companions."""
    for name in wild_names():
        tree(desk.source / "files", f"{name}.svs", content=name.encode())
        tree(desk.source / "folders" / name, "a.svs", content=name.encode())
        write_mirax(desk.source / "mirax" / f"{name}.mrxs", data_files=1, data_size=10)
        _companion_named(desk.source / "companions", name)
    plain, core = start_sandbox("plain"), start_sandbox("core", path="/core/", wrap_answers=True, refusal_status=500)
    desk.site("plain", plain)
    desk.site("core", core)
    result = desk.push()
    assert result.code == 0, [e for e in result.events if e.get("error") or e["event"] == "source_problem"]
    assert arrived(plain) == arrived(core) == contents(desk.source)
    # And all of them are found again, with the same names.
    again = desk.push()
    assert again.counts("plain") == again.counts("core") == (0, 4 * len(wild_names()), 0)


def _companion_named(folder: Path, name: str) -> None:
    name = name.strip()  # an INI file knows no spaces around a value
    number = len(list(folder.glob("*.mrxs"))) if folder.exists() else 0
    slide = write_mirax(folder / f"s{number}.mrxs", data_files=1, data_size=10)
    inside = slide.with_suffix("")
    (inside / "Data0000.dat").rename(inside / f"{name}.dat")
    index = inside / "Slidedat.ini"
    text = index.read_text("utf-8-sig").replace("Data0000.dat", f"{name}.dat")
    index.write_text(text, encoding="utf-8-sig", newline="")


@pytest.mark.parametrize("target", ["Slides", "Slides/in", "slides/IN/a b/ß&+"])
def test_targets_are_made_where_missing(desk: Desk, sandbox: Sandbox, target: str) -> None:
    write_svs(desk.source / "x" / "a.svs", width=256, height=256)
    desk.site("a", sandbox, target)
    assert desk.push().code == 0
    assert arrived(sandbox, "Slides" + target[len("Slides") :]) == contents(desk.source)


def test_old_servers(desk: Desk, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    """`{"d": ...}`, names as UploadType, and a login that knows only GET."""
    write_mirax(desk.source / "m.mrxs")
    old = start_sandbox("old", version="2.0.0.1500", wrap_answers=True, upload_type_name=True)
    desk.site("old", old)
    assert desk.push().code == 0
    assert arrived(old) == contents(desk.source)
