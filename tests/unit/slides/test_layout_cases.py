"""Folders as people have them, of which some was sent wrongly, silently not at all, or with advice that harms."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_ndpis, write_svs, write_vsi
from support.corpus_dicom import write_concatenation
from support.corpus_ome import write_companion
from support.discovery import discover
from test_every_file_counts import check, counts_of, is_problem

from pmarep.cli.slides.advice import advice
from pmarep.slides import Cause, LeftOut, Why


@dataclass
class Case:
    """`slides` are their files; `problems` are words of the reason and of the advice; the rest is numbers of files."""

    make: Callable[[Path], object]
    slides: dict[str, list[str]] = field(default_factory=dict)
    problems: dict[str, tuple[str, str]] = field(default_factory=dict)
    unknown: int = 0
    other: int = 0
    system: int = 0


def emptied(name: str) -> Callable[[Path], object]:
    def make(top: Path) -> None:
        write_mirax(top / "n.mrxs")
        (top / name).write_bytes(b"")

    return make


def empty_ets(top: Path) -> None:
    write_vsi(top / "v.vsi")
    (top / "_v_" / "stack10001" / "frame_t.ets").write_bytes(b"")


def empty_channel(top: Path) -> None:
    write_ndpis(top / "s.ndpis")
    (top / "s-FITC.ndpi").write_bytes(b"")


def renamed(top: Path) -> None:
    write_mirax(top / "n.mrxs")
    (top / "n").rename(top / "n_data")


def inside(top: Path) -> None:
    write_mirax(top / "n.mrxs").rename(top / "n" / "n.mrxs")


def broken_off(top: Path) -> None:
    tree(top, "good.tif", content=b"II*\0 picture")
    tree(top, "zeros.tif", content=bytes(70_000))
    tree(top, "short.tiff", content=b"II*")
    with (top / "sparse.btf").open("wb") as file:
        file.truncate(1_000_000)


JUNK = [
    *("#recycle/d.svs", "$RECYCLE.BIN/S-1/d.svs", ".DS_Store", "._a.svs", ".recycle/d.svs", ".snapshot/d.svs"),
    *(".zfs/d.svs", "@Recently-Snapshot/GMT+01_2024/a.svs", "@Recycle/deleted.svs", "@Trash/d.svs"),
    *("@eaDir/a.svs/SYNOPHOTO_THUMB_M.jpg", "@tmp/d.svs", "RECYCLER/d.svs", "Recycle Bin/d.svs", "Thumbs.db"),
    *("__MACOSX/._a.svs", "~$a.svs"),
]
EMPTY = "scan or export it again"

CASES = {
    "an OIR in pieces": Case(
        lambda top: tree(top, "scan.oir", "scan_00001", "scan_00002"),
        {"scan.oir": ["scan_00001", "scan_00002", "scan.oir"]},
    ),
    "a CZI in pieces": Case(
        lambda top: tree(top, "brain.czi", "brain (1).czi", "brain(2).czi", content=b"ZISRAWFILE and more"),
        {"brain.czi": ["brain (1).czi", "brain(2).czi", "brain.czi"]},
    ),
    "an empty part": Case(emptied("n/Data0001.dat"), problems={"n.mrxs": ("empty: n/Data0001.dat", EMPTY)}),
    "an empty index": Case(emptied("n/Index.dat"), problems={"n.mrxs": ("empty: n/Index.dat", EMPTY)}),
    "an empty stack": Case(empty_ets, problems={"v.vsi": ("empty: _v_/stack10001/frame_t.ets", EMPTY)}),
    "an empty channel": Case(empty_channel, problems={"s.ndpis": ("empty: s-FITC.ndpi", EMPTY)}),
    "a folder that was renamed": Case(renamed, problems={"n.mrxs": ("rename n_data/ to n/", "as said")}),
    "a main file in its own folder": Case(
        inside, problems={"n/n.mrxs": ("move n.mrxs one folder up, beside n/", "as said")}
    ),
    "copies that broke off": Case(
        broken_off,
        {"good.tif": ["good.tif"]},
        {
            "zeros.tif": ("filled with zeros", "copy it again, whole"),
            "short.tiff": ("only 3 bytes long", "copy it again, whole"),
            "sparse.btf": ("filled with zeros", "copy it again, whole"),
        },
    ),
    "a companion that is missing": Case(
        lambda top: write_companion(top / "m.companion.ome")[-1].unlink(),
        problems={"m_C0.ome.tif": ("missing: m.companion.ome, which says what belongs together", "copy the whole")},
    ),
    "a concatenation that lacks a file": Case(
        lambda top: write_concatenation(top)[1].unlink(),
        problems={"part1.dcm": ("missing: file 2 of 3 of the concatenation that part1.dcm belongs to", "copy the")},
    ),
    "what systems leave": Case(lambda top: tree(top, *JUNK, "a.svs"), {"a.svs": ["a.svs"]}, system=len(JUNK)),
    "a placeholder of a cloud": Case(
        lambda top: tree(top, ".b.svs.icloud", "a.svs"),
        {"a.svs": ["a.svs"]},
        {"b.svs": ("not downloaded to this machine", "download it first")},
    ),
    "formats of one file": Case(
        lambda top: tree(top, "a.avs", "a.oib", "a.lof", "a.i2syntax", "a.kfbf"),
        {name: [name] for name in ("a.avs", "a.oib", "a.lof", "a.i2syntax", "a.kfbf")},
    ),
    "formats that nobody can send": Case(
        lambda top: tree(top, "a.oif", "a.oif.files/s.tif", "b.xlef", "c.omp2info", "d.Full", "notes.txt"),
        unknown=5,
        other=1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_layout(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    case.make(tmp_path)
    found = discover(tmp_path)
    assert found.slides == case.slides
    problems = {thing.path: thing for thing in found.things if isinstance(thing, LeftOut) and is_problem(thing)}
    assert problems.keys() == case.problems.keys()
    for path, (reason, help_) in case.problems.items():
        assert reason in problems[path].detail
        assert help_ in advice(problems[path])
    check(tmp_path, found)
    tally = counts_of(found)
    assert (tally.unknown, tally.other, tally.system) == (case.unknown, case.other, case.system)


@pytest.mark.parametrize("why", Why)
@pytest.mark.parametrize("cause", Cause)
def test_advice_goes_by_the_kind_and_never_says_to_delete(why: Why, cause: Cause) -> None:
    names = (
        "linke_niere link belongs belong already only in case the file is empty has files of its own outside its own"
    )
    text = advice(LeftOut("a.svs", why, "?", cause))
    assert advice(LeftOut(names, why, f"Permission denied: {names}", cause)) == text
    assert not {"delete", "remove", "rm"} & set(text.replace(",", " ").replace(";", " ").split())


def test_a_left_kidney_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name has a `link` in it; the rights are what is to be mended."""
    write_svs(tmp_path / "linke_niere.tif")
    real = Path.open

    def refuse(path: Path, *args: object, **options: object) -> object:
        if path.name == "linke_niere.tif":
            raise PermissionError(13, os.strerror(13), str(path))
        return real(path, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    (thing,) = discover(tmp_path).things
    assert isinstance(thing, LeftOut)
    assert advice(thing).startswith("let the user who runs pmarep read it")
