"""Slides of every kind arrive byte for byte, at every site."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import openslide
import pytest
from support.corpus import (
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
from support.corpus_dicom import write_dicom
from support.push_cli import PushCli, arrived, contents, files_sent
from support.sandbox_client import Client
from support.sandboxes import StartSandbox

from pmacore_sandbox import Sandbox


@pytest.fixture
def cli(tmp_path: Path) -> PushCli:
    return PushCli(tmp_path / "cli")


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


def test_every_format_is_byte_identical_at_every_site(cli: PushCli, start_sandbox: StartSandbox) -> None:
    """And listed in its folder, its main file alone."""
    every_format(cli.source)
    sandboxes = [start_sandbox(f"site{number}") for number in range(4)]
    for number, sandbox in enumerate(sandboxes):
        cli.site(f"site{number}", sandbox)
    result = cli.push()
    assert result.code == 0, result.stdout
    local = contents(cli.source)
    for number, sandbox in enumerate(sandboxes):
        assert result.counts(f"site{number}") == (18, 0, 0)
        assert arrived(sandbox) == local
        assert sorted(files_sent(sandbox)) == sorted(set(files_sent(sandbox)))  # each file once
        assert sandbox.open_sessions == 0
    with Client(sandboxes[0]) as client:
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


def test_the_main_file_comes_last(cli: PushCli, sandbox: Sandbox) -> None:
    write_mirax(cli.source / "m.mrxs", data_files=6)
    cli.site("a", sandbox)
    cli.push()
    sent = files_sent(sandbox)
    assert sent[-1] == "m.mrxs"
    assert len(sent) == 9


def test_openslide_opens_what_arrived(cli: PushCli, start_sandbox: StartSandbox) -> None:
    write_svs(cli.source / "a.svs", width=1500, height=1100)
    write_pyramidal_tiff(cli.source / "b.tif", width=1500, height=1100)
    for name in ("tokyo", "saopaulo"):
        cli.site(name, start_sandbox(name))
    assert cli.push().code == 0
    for name in ("tokyo", "saopaulo"):
        for file, vendor in (("a.svs", "aperio"), ("b.tif", "generic-tiff")):
            here, there = cli.source / file, cli.source.parent.parent / name / "Slides" / "in" / file
            with openslide.OpenSlide(here) as ours, openslide.OpenSlide(there) as theirs:
                assert theirs.properties["openslide.vendor"] == vendor
                assert theirs.dimensions == (1500, 1100)
                region = ((700, 500), 0, (64, 64))
                assert theirs.read_region(*region).tobytes() == ours.read_region(*region).tobytes()


def test_servers_agree_on_the_fingerprint(cli: PushCli, start_sandbox: StartSandbox) -> None:
    write_mirax(cli.source / "m.mrxs")
    sandboxes = [start_sandbox(name) for name in ("a", "b")]
    for name, sandbox in zip(("a", "b"), sandboxes, strict=True):
        cli.site(name, sandbox)
    cli.push()
    prints = set()
    for sandbox in sandboxes:
        with Client(sandbox) as client:
            prints.add(client.get("GetFingerprint", pathOrUid="Slides/in/m.mrxs"))
    assert len(prints) == 1
    assert all(isinstance(print_, str) for print_ in prints)


def test_sizes_around_the_chunk(cli: PushCli, sandbox: Sandbox) -> None:
    for size in (1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 5 * 1024 * 1024 + 7):
        tree(cli.source, f"{size}.svs", content=os.urandom(size))
    cli.site("a", sandbox)
    result = cli.push()
    assert result.code == 0, result.stdout
    there, here = arrived(sandbox), contents(cli.source)
    assert there.keys() == here.keys()
    assert [name for name in here if hashlib.sha256(there[name]).digest() != hashlib.sha256(here[name]).digest()] == []


def test_an_empty_slide_is_reported_and_stops_nothing(cli: PushCli, sandbox: Sandbox) -> None:
    tree(cli.source, "empty.svs", content=b"")
    tree(cli.source, "full.svs")
    cli.site("a", sandbox)
    result = cli.push()
    assert result.code == 1
    problems = [event["path"] for event in result.events if event["event"] == "source_problem"]
    assert problems == ["empty.svs"]
    assert set(arrived(sandbox)) == {"full.svs"}


def test_companion_files_of_0_bytes(cli: PushCli, sandbox: Sandbox) -> None:
    write_vsi(cli.source / "v.vsi")
    (cli.source / "_v_" / "stack1" / "frame_t.meicom").write_bytes(b"")
    cli.site("a", sandbox)
    assert cli.push().code == 0
    assert arrived(sandbox) == contents(cli.source)


def test_names_in_the_wild(cli: PushCli, start_sandbox: StartSandbox) -> None:
    """As file names, as folder names, and as the name of a MIRAX slide and its companions."""
    for name in wild_names():
        tree(cli.source / "files", f"{name}.svs", content=name.encode())
        tree(cli.source / "folders" / name, "a.svs", content=name.encode())
        _write_mirax_named(cli.source / "mirax", name)
    plain, core = start_sandbox("plain"), start_sandbox("core", path="/core/", wrap_answers=True, refusal_status=500)
    cli.site("plain", plain)
    cli.site("core", core, exclude=["mirax/"])
    result = cli.push()
    assert result.code == 0, [e for e in result.events if e.get("error") or e["event"] == "source_problem"]
    assert arrived(plain) == contents(cli.source)
    assert arrived(core) == {path: content for path, content in arrived(plain).items() if not path.startswith("mirax/")}
    # And all of them are found again, with the same names.
    again = cli.push()
    assert again.counts("plain") == (0, 3 * len(wild_names()), 0)
    assert again.counts("core") == (0, 2 * len(wild_names()), 0)


def _write_mirax_named(folder: Path, name: str) -> None:
    slide = write_mirax(folder / f"{name}.mrxs", data_files=1, data_size=10)
    inside = folder / name
    assert slide.is_file()
    assert inside.is_dir()
    name = name.strip()  # an INI file knows no spaces around a value
    (inside / "Data0000.dat").rename(inside / f"{name}.dat")
    index = inside / "Slidedat.ini"
    text = index.read_text("utf-8-sig").replace("Data0000.dat", f"{name}.dat")
    index.write_text(text, encoding="utf-8-sig", newline="")


@pytest.mark.parametrize("target", ["Slides", "Slides/in", "slides/IN/a b/ß&+"])
def test_targets_are_made_where_missing(cli: PushCli, sandbox: Sandbox, target: str) -> None:
    write_svs(cli.source / "x" / "a.svs", width=256, height=256)
    cli.site("a", sandbox, target)
    assert cli.push().code == 0
    assert arrived(sandbox, "Slides" + target[len("Slides") :]) == contents(cli.source)


def test_old_servers(cli: PushCli, sandbox: Sandbox, start_sandbox: StartSandbox) -> None:
    """`{"d": ...}`, names as UploadType, and a login that knows only GET."""
    write_mirax(cli.source / "m.mrxs")
    old = start_sandbox("old", version="2.0.0.1500", wrap_answers=True, upload_type_name=True)
    cli.site("old", old)
    assert cli.push().code == 0
    assert arrived(old) == contents(cli.source)
