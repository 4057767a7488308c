"""Files of a slide in sub-folders at any depth, and what else lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.corpus import tree, write_mirax, write_ndpis, write_vsi
from support.corpus_dicom import write_dicom
from support.discovery import dicomdir, discover

from pmarep.slides import Why


def directory(folder: Path, *listed: str) -> None:
    (folder / "DICOMDIR").write_bytes(dicomdir(listed))


def test_strangers_in_its_folders_stay_what_they_are(tmp_path: Path) -> None:
    write_dicom(tmp_path / "DICOM" / "S1", stem="a", levels=1, others=[])
    write_dicom(tmp_path / "DICOM" / "S2", stem="b", levels=1, others=[], seed="other")
    tree(tmp_path, "DICOM/S1/x.svs", "DICOM/S1/notes.txt", "DICOM/y.svs", "DICOM/readme.txt", "DICOM/S3/z.svs")
    directory(tmp_path, "DICOM/S1/A0.DCM")
    found = discover(tmp_path)
    assert found.slides == {
        "DICOMDIR": ["DICOM/S1/A0.DCM", "DICOMDIR"],
        "DICOM/y.svs": ["y.svs"],
        "DICOM/S1/x.svs": ["x.svs"],
        "DICOM/S2/b0.dcm": ["b0.dcm"],
        "DICOM/S3/z.svs": ["z.svs"],
    }
    assert found.left == dict.fromkeys(["DICOM/S1/notes.txt", "DICOM/readme.txt"], Why.NOT_A_SLIDE)
    assert "in the folder of a slide" in found.detail("DICOM/readme.txt")


def test_the_folders_of_a_slide_come_right_after_it(tmp_path: Path) -> None:
    write_dicom(tmp_path / "Z" / "S1", stem="a", levels=1, others=[])
    tree(tmp_path, "a/1.svs", "d.svs", "e.svs", "Z/S1/x.svs")
    directory(tmp_path, "Z/S1/a0.dcm")
    assert [thing.path for thing in discover(tmp_path).things] == [
        "d.svs",
        "DICOMDIR",
        "Z/S1/x.svs",
        "e.svs",
        "a/1.svs",
    ]


def test_an_index_further_down_cannot_have_its_files(tmp_path: Path) -> None:
    write_dicom(tmp_path / "S1", stem="a", levels=1, others=[])
    directory(tmp_path, "S1/a0.dcm")
    write_ndpis(tmp_path / "S1" / "n.ndpis", names=["x.ndpi"])
    index = tmp_path / "S1" / "n.ndpis"
    index.write_text(index.read_text().replace("x.ndpi", "a0.dcm"))
    found = discover(tmp_path)
    assert set(found.slides) == {"DICOMDIR", "S1/x.ndpi"}
    assert "a0.dcm belongs to DICOMDIR" in found.detail("S1/n.ndpis")


def test_a_slide_that_is_left_out_keeps_them(tmp_path: Path) -> None:
    write_dicom(tmp_path / "S1" / "deep", stem="a", levels=2, others=[])
    directory(tmp_path, "S1/deep/a0.dcm", "S1/deep/a1.dcm", "S1/deep/gone.dcm")
    found = discover(tmp_path)
    assert found.slides == {}
    assert found.left == {"DICOMDIR": Why.INCOMPLETE}
    assert "missing: S1/deep/gone.dcm" in found.detail("DICOMDIR")


@pytest.mark.parametrize("outside", ["../x.dcm", "S1/../../x.dcm", "/x.dcm"])
def test_a_dicomdir_never_leads_out_of_its_folder(tmp_path: Path, outside: str) -> None:
    write_dicom(tmp_path / "s" / "S1", stem="a", levels=1, others=[])
    write_dicom(tmp_path, stem="x", levels=1, others=[], seed="x")
    directory(tmp_path / "s", "S1/a0.dcm", outside)
    found = discover(tmp_path)
    assert set(found.slides) == {"x0.dcm"}
    assert "outside its own folder" in found.detail("s/DICOMDIR")


def test_no_sub_folder_has_two_slides(tmp_path: Path) -> None:
    write_mirax(tmp_path / "n.mrxs")
    write_dicom(tmp_path / "n", stem="a", levels=1, others=[])
    directory(tmp_path, "n/a0.dcm")
    found = discover(tmp_path)
    assert set(found.slides) == {"DICOMDIR"}
    assert found.detail("n.mrxs") == "its folder n/ belongs to DICOMDIR"


class TestOnWindows:
    def test_a_slide_in_its_folder_that_differs_only_in_case(self, tmp_path: Path) -> None:
        write_dicom(tmp_path / "S1", stem="a", levels=1, others=[])
        write_dicom(tmp_path / "S1", stem="A", levels=1, others=[], seed="other")
        directory(tmp_path, "S1/a0.dcm")
        found = discover(tmp_path)
        assert set(found.slides) == {"DICOMDIR"}
        assert found.left == {"S1/A0.dcm": Why.BAD_NAME}
        assert "differs only in case from S1/a0.dcm" in found.detail("S1/A0.dcm")
        assert set(discover(tmp_path, exclude=["DICOMDIR"]).slides) == {"S1/A0.dcm"}, "what is not sent does no harm"

    def test_slides_in_folders_that_differ_only_in_case(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        tree(tmp_path, "n/extra.svs", "N/EXTRA.svs", "N/deep/x.svs", "n/DEEP/x.svs")
        found = discover(tmp_path)
        assert set(found.slides) == {"n.mrxs", "n/extra.svs", "n/DEEP/x.svs"}
        assert found.left == {"N/EXTRA.svs": Why.BAD_NAME, "N/deep/x.svs": Why.BAD_NAME}

    def test_a_part_in_one_and_a_slide_in_the_other(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi")
        tree(tmp_path, "_n_/x.svs", "_N_/X.svs")
        found = discover(tmp_path)
        assert set(found.slides) == {"n.vsi"}
        assert found.left == {"_N_/X.svs": Why.BAD_NAME}


def test_a_companion_folder_is_listed_once(tmp_path: Path) -> None:
    listed: list[str] = []

    def scandir(path: str):  # type: ignore[no-untyped-def]
        listed.append(Path(path).relative_to(tmp_path).as_posix())
        return os.scandir(path)

    write_mirax(tmp_path / "m.mrxs")
    write_vsi(tmp_path / "v.vsi", stacks=1)
    write_dicom(tmp_path / "D" / "S1", stem="a", levels=1, others=[])
    directory(tmp_path, "D/S1/a0.dcm")
    discover(tmp_path, scandir=scandir)
    assert sorted(listed) == [".", "D", "D/S1", "_v_", "_v_/stack1", "m"]
