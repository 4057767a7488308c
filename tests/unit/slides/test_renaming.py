"""Other names for slides: which formats allow them, and that all files of a slide go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import (
    tree,
    write_afi,
    write_cws,
    write_menarini,
    write_mirax,
    write_ndpis,
    write_svs,
    write_vms,
    write_vmu,
    write_vsi,
)
from support.corpus_zarr import write_zarr
from support.discovery import discover
from support.slides import make_slide

from pmarep.slides import Slide, SlideFile
from pmarep.slides.formats import FORMATS
from pmarep.slides.renaming import RULES, RenameError, check_path, rename


def renamed(slide: Slide, to: str) -> list[str]:
    """The target path of the slide, and of each of its files."""
    found = rename(slide, to)
    assert (found.path, found.number, found.format, found.original) == (slide.path, slide.number, slide.format, slide)
    assert [file.source_name for file in found.files] == [file.source_name for file in slide.files]
    assert [(f.size, f.mtime_ns) for f in found.files] == [(f.size, f.mtime_ns) for f in slide.files]
    assert rename(found, to) == found
    assert found.target_path == to
    return [file.path for file in found.files]


def test_every_rule_is_about_a_format() -> None:
    assert RULES.keys() <= {entry.name for entry in FORMATS}
    several = {entry.name for entry in FORMATS if entry.has_companions}
    assert several - RULES.keys() == {"Olympus OIF (not sent)"}


def test_slides_are_renamed_as_a_whole(tmp_path: Path) -> None:
    write_mirax(tmp_path / "n.mrxs")
    write_vsi(tmp_path / "v.vsi")
    write_svs(tmp_path / "s.SVS")
    found = discover(tmp_path)
    assert renamed(found.slide("s.SVS"), "x/1.svs") == ["1.svs"]
    mirax = found.slide("n.mrxs")
    assert renamed(mirax, "x/m.mrxs") == [f.path.replace("n/", "m/").replace("n.mrxs", "m.mrxs") for f in mirax.files]
    assert set(renamed(found.slide("v.vsi"), "w.vsi")) == {
        "_w_/stack1/frame_t.ets", "_w_/stack10001/frame_t.ets", "_w_/stack1/frame_t.meicom", "w.vsi",
    }  # fmt: skip


def test_a_companion_that_is_called_as_the_slide_would_tell_its_name(tmp_path: Path) -> None:
    write_vsi(tmp_path / "Smith.vsi")
    tree(tmp_path / "_Smith_", "notes/SMITH.meicom")
    slide = discover(tmp_path).slide("Smith.vsi")
    with pytest.raises(RenameError, match=r"_Smith_/notes/SMITH.meicom would keep its name"):
        rename(slide, "case-1.vsi")
    assert "_Smith_/notes/SMITH.meicom" in renamed(slide, "x/Smith.vsi")


def test_continuation_files_go_with_their_slide() -> None:
    def slide(format_: str, *names: str) -> Slide:
        return Slide(f"a/{names[-1]}", format_, Path("/x"), tuple(SlideFile(name, 1, 1) for name in names))

    assert renamed(slide("Zeiss CZI", "b (1).czi", "b(2).czi", "b.czi"), "c.czi") == ["c (1).czi", "c(2).czi", "c.czi"]
    assert renamed(slide("Olympus OIR", "s_00001", "s.oir"), "t.oir") == ["t_00001", "t.oir"]
    with pytest.raises(RenameError, match=r"continues n.czi"):
        rename(slide("Zeiss CZI", "b.czi"), "c (2).czi")
    with pytest.raises(RenameError, match="not known how readers find them"):
        rename(slide("known to PMA.start", "b.dat", "b.xyz"), "c.xyz")


def test_formats_that_name_their_files_keep_their_names_and_go_to_other_folders(tmp_path: Path) -> None:
    write_ndpis(tmp_path / "a" / "n.ndpis")
    write_vms(tmp_path / "b" / "n.vms")
    write_vmu(tmp_path / "c" / "n.vmu")
    tree(tmp_path, "d/x", "f/x")
    write_afi(tmp_path / "d" / "n.afi")
    write_cws(tmp_path / "e")
    write_menarini(tmp_path / "f" / "n.ini")
    write_zarr(tmp_path / "n.zarr")
    slides = [one for one in discover(tmp_path).things if isinstance(one, Slide)]
    assert {slide.format for slide in slides} == {
        "Hamamatsu NDPIS", "Hamamatsu VMS", "Hamamatsu VMU", "Aperio AFI", "Aperio CWS", "Menarini D-Sight", "Zarr",
    }  # fmt: skip
    for slide in slides:
        ending = slide.main.path.rpartition(".")[2]
        with pytest.raises(RenameError, match=rf"a slide of {slide.format} keeps its name, since .*; .*ends with"):
            rename(slide, f"x.{ending}")
        assert renamed(slide, f"case.zarr/{slide.main.path}") == [file.path for file in slide.files]
    with pytest.raises(RenameError, match=r"Zarr has to end with \.zarr"):
        rename(next(one for one in slides if one.format == "Zarr"), "case/.zattrs")


@pytest.mark.parametrize(
    ("name", "new", "right"),
    [
        ("a.svs", "b.SVS", True), ("a.svs", "b.ndpi", False), ("a.svs", "b", False), ("a.svs", ".svs", False),
        ("a.tif", "b.ome.tif", False), ("a.ome.tif", "b.tif", False), ("a.ome.tif", "b.OME.TIF", True),
        ("a.jpg", "b.jpeg", False), ("a.b.svs", "c.svs", True), ("1.2.840.113", "7", True),
        ("1.2.840.113", "7.svs", False),
        ("IM0001", "case 7", True), ("a.dcm", "b.dcm", True), ("a.ini", "slidescan.ini", False),
        ("a.xyz", "b.xyz", True),
    ],
)  # fmt: skip
def test_the_extension_says_what_a_file_is_and_stays(name: str, new: str, right: bool) -> None:
    if right:
        assert renamed(make_slide(name), f"x/{new}") == [new]
    else:
        with pytest.raises(RenameError):
            rename(make_slide(name), f"x/{new}")


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("/x.svs", "begins outside"), ("C:/x.svs", "begins outside"), ("a\\x.svs", "write it with /"),
        ("../x.svs", '".."'),
        ("a//x.svs", '""'), ("a/./x.svs", '"."'), ("a /x.svs", "Windows drops"), ("a./x.svs", "Windows drops"),
        ("a?.svs", "no name on Windows"), ("nul.svs", "device"), ("a/con/x.svs", "device"), ("a\x01.svs", "control"),
        ("a" * 256 + ".svs", "260 characters"), (".hidden.svs", "hidden"), ("@eaDir/x.svs", "hidden"), ("/", "begins"),
    ],
)  # fmt: skip
def test_paths_that_no_windows_has(to: str, words: str) -> None:
    with pytest.raises(RenameError, match=words):
        check_path(to)


def test_paths_that_may_be() -> None:
    for to in ("x.svs", "a/b/", "胃 1/ü & (2) #%+.svs", "n.zarr/.zattrs", "a.b/c..d.svs"):
        check_path(to)


_PARTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12)


@given(st.lists(_PARTS, min_size=1, max_size=3), st.sampled_from(["svs", "mrxs", "vsi", "ome.tif"]))
def test_what_passes_has_nothing_of_the_old_name(parts: list[str], ending: str) -> None:
    to = "/".join(parts) + f".{ending}"
    secret = "Smith-Jones 1950"
    companions = {"mrxs": [f"{secret}/Data0.dat"], "vsi": [f"_{secret}_/s/f.ets"]}.get(ending, [])
    format_ = {"mrxs": "3DHISTECH MIRAX", "vsi": "cellSens VSI"}.get(ending, "Aperio SVS")
    files = tuple(SlideFile(name, 1, 1) for name in (*companions, f"{secret}.{ending}"))
    slide = Slide(f"{secret}/{secret}.{ending}", format_, Path("/x"), files)
    try:
        check_path(to)
        found = rename(slide, to)
    except RenameError:
        return
    assert found.target_path == to
    assert found.main.path == to.rpartition("/")[2]
    assert found.main.path.endswith(f".{ending}")
    assert not any(secret in path for path in (to, *(file.path for file in found.files)))
