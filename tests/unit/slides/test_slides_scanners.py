"""Formats that a scanner's program leaves in many files: Hamamatsu VMS and VMU, composite web slides, Menarini."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import openslide
import pytest
from support.corpus import tree, write_cws, write_menarini, write_mirax, write_svs, write_vms, write_vmu, write_vsi
from support.discovery import discover, refusing

from pmarep.slides import Why


def edit(index: Path, old: str, new: str) -> None:
    text = index.read_text()
    assert old in text
    index.write_text(text.replace(old, new))


class TestVms:
    def test_complete(self, tmp_path: Path) -> None:
        write_vms(tmp_path / "n.vms", columns=2, rows=2)
        write_svs(tmp_path / "other.svs", width=256, height=256)
        found = discover(tmp_path)
        files = ["n.jpg", "n(1,0).jpg", "n(0,1).jpg", "n(1,1).jpg", "n_map2.jpg", "n_macro.jpg", "n.opt", "n.vms"]
        assert found.slides == {"n.vms": files, "other.svs": ["other.svs"]}
        assert found.slide("n.vms").format == "Hamamatsu VMS"
        assert found.left == {}

    def test_openslide_opens_it_and_needs_all_we_take(self, tmp_path: Path) -> None:
        main = write_vms(tmp_path / "n.vms", columns=2, rows=1)
        with openslide.OpenSlide(main) as slide:
            assert slide.properties["openslide.vendor"] == "hamamatsu"
            assert slide.dimensions == (512, 128)
            assert slide.associated_images["macro"].size == (64, 32)
        for file in discover(tmp_path).slide("n.vms").files[:-1]:
            if file.path.endswith(".opt"):
                continue
            part = (tmp_path / file.path).rename(tmp_path / "elsewhere")
            with pytest.raises(openslide.OpenSlideError):
                openslide.OpenSlide(main)
            part.rename(tmp_path / file.path)

    def test_focal_planes_belong_to_it(self, tmp_path: Path) -> None:
        write_vms(tmp_path / "n.vms", columns=2, layers=3)
        assert "n(2,1,0).jpg" in discover(tmp_path).slides["n.vms"]
        (tmp_path / "n(2,1,0).jpg").unlink()
        assert "missing: n(2,1,0).jpg" in discover(tmp_path).detail("n.vms")

    @pytest.mark.parametrize("gone", ["n.jpg", "n(1,0).jpg", "n_map2.jpg", "n_macro.jpg", "n.opt"])
    def test_a_missing_file_leaves_no_slides_of_the_others(self, tmp_path: Path, gone: str) -> None:
        write_vms(tmp_path / "n.vms")
        (tmp_path / gone).unlink()
        found = discover(tmp_path)
        assert found.slides == {}
        assert found.left == {"n.vms": Why.INCOMPLETE}
        assert f"missing: {gone}" in found.detail("n.vms")

    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            ("[Virtual", "[Actual", "section"),
            ("NoJpegColumns=2", "NoJpegColumns=0", "no NoJpegColumns"),
            ("NoJpegRows=1", "NoJpegRows=many", "no NoJpegRows"),
            ("NoJpegRows=1", "", "no NoJpegRows"),
            ("NoJpegRows=1", "NoJpegRows=3", "no ImageFile(0,1)"),
            ("NoJpegRows=1", "NoJpegRows=999999999", "no grid"),
            ("ImageFile(1,0)=", "Other=", "no ImageFile(1,0)"),
            ("ImageFile=", "Other=", "no ImageFile(0,0)"),
            ("MapFile=", "Other=", "no MapFile"),
            ("ImageFile(1,0)=n", "ImageFile(1,0)=../n", "outside its own folder"),
            ("ImageFile(1,0)=n", "ImageFile(1,0)=C:\\n", "outside its own folder"),
        ],
    )
    def test_index_that_is_not_right(self, tmp_path: Path, old: str, new: str, words: str) -> None:
        edit(write_vms(tmp_path / "n.vms"), old, new)
        found = discover(tmp_path)
        assert found.left["n.vms"] is Why.INCOMPLETE
        assert words in found.detail("n.vms")

    def test_without_the_optional_ones(self, tmp_path: Path) -> None:
        index = write_vms(tmp_path / "n.vms")
        edit(index, "MacroImage=", "Other=")
        edit(index, "OptimisationFile=", "Another=")
        assert discover(tmp_path).slides["n.vms"] == ["n.jpg", "n(1,0).jpg", "n_map2.jpg", "n.vms"]

    def test_names_on_disk_in_another_case(self, tmp_path: Path) -> None:
        write_vms(tmp_path / "n.vms")
        (tmp_path / "n(1,0).jpg").rename(tmp_path / "N(1,0).JPG")
        slide = discover(tmp_path).slide("n.vms")
        assert (slide.files[1].path, slide.files[1].local_name) == ("n(1,0).jpg", "N(1,0).JPG")

    def test_unicode(self, tmp_path: Path) -> None:
        name = unicodedata.normalize("NFC", "Gewebe Größe & スライド")
        write_vms(tmp_path / f"{name}.vms")
        edit(tmp_path / f"{name}.vms", name, unicodedata.normalize("NFD", name))
        found = discover(tmp_path)
        assert len(found.slides[f"{name}.vms"]) == 6
        assert found.left == {}

    def test_uncompressed(self, tmp_path: Path) -> None:
        main = write_vmu(tmp_path / "n.vmu")
        with openslide.OpenSlide(main) as slide:
            assert slide.level_dimensions == ((64, 64), (16, 16))
            slide.read_region((0, 0), 0, (8, 8))
        assert discover(tmp_path).slides == {"n.vmu": ["n_0.ngr", "n_map.ngr", "n_macro.jpg", "n.vmu"]}
        (tmp_path / "n_map.ngr").unlink()
        assert "missing: n_map.ngr" in discover(tmp_path).detail("n.vmu")

    def test_an_index_that_cannot_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_vms(tmp_path / "n.vms")

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        assert discover(tmp_path).left["n.vms"] is Why.UNREADABLE


class TestCws:
    def test_the_whole_folder(self, tmp_path: Path) -> None:
        write_cws(tmp_path / "s")
        tree(tmp_path / "s", "notes.txt", "AnnotationData/a.xml", "deep/er/x.bin")
        found = discover(tmp_path)
        assert found.slides == {
            "s/SlideScan.ini": [
                *("Da0.jpg", "Da1.jpg", "Da2.jpg", "FinalScan.ini", "notes.txt", "SlideThumb.jpg", "Ss0.jpg"),
                *("AnnotationData/a.xml", "deep/er/x.bin", "SlideScan.ini"),
            ]
        }
        assert found.left == {}

    def test_case_does_not_matter(self, tmp_path: Path) -> None:
        main = write_cws(tmp_path / "s")
        for file in [*main.parent.iterdir()]:
            file.rename(file.with_name(file.name.upper()))
        assert discover(tmp_path).slides["s/SLIDESCAN.INI"][-1] == "SLIDESCAN.INI"

    def test_slides_that_merely_lie_there_stay_slides(self, tmp_path: Path) -> None:
        folder = write_cws(tmp_path / "s").parent
        tree(folder, "other.svs", "sub/b.svs", "sub/notes.txt", "sub/deep/x.txt")
        write_mirax(folder / "m.mrxs")
        write_vsi(folder / "v.vsi")
        write_vms(folder / "h.vms")
        write_cws(folder / "second")
        write_mirax(folder / "gone.mrxs").unlink()
        found = discover(tmp_path)
        assert set(found.slides) == {
            *("s/SlideScan.ini", "s/other.svs", "s/sub/b.svs", "s/m.mrxs", "s/v.vsi", "s/h.vms"),
            "s/second/SlideScan.ini",
        }
        assert len(found.slides["s/SlideScan.ini"]) == 7
        assert found.left == {
            "s/gone": Why.INCOMPLETE,
            "s/sub/notes.txt": Why.NOT_A_SLIDE,
            "s/sub/deep/x.txt": Why.NOT_A_SLIDE,
        }

    def test_a_menarini_index_in_a_cws_folder_keeps_its_files(self, tmp_path: Path) -> None:
        folder = write_cws(tmp_path / "s").parent
        write_menarini(folder / "n.ini")
        found = discover(tmp_path)
        assert {main: len(files) for main, files in found.slides.items()} == {"s/n.ini": 3, "s/SlideScan.ini": 7}

    def test_an_index_that_names_another_slides_main_file_loses_no_file(self, tmp_path: Path) -> None:
        folder = write_cws(tmp_path / "s").parent
        edit(write_menarini(folder / "n.ini"), "[Images]", "[Images]\nIndex=SlideScan.ini")
        found = discover(tmp_path)
        lost = {file.relative_to(tmp_path).as_posix() for file in folder.iterdir()}
        for main, files in found.slides.items():
            lost -= {f"s/{file}" for file in files} | {main}
        assert lost <= {"s/n.ini", "s/n_0.jpg", "s/n_1.jpg"}  # of a slide that is reported
        assert found.left == {"s/n.ini": Why.INCOMPLETE}

    @pytest.mark.parametrize("gone", ["Da1.jpg", "Ss0.jpg"])
    def test_a_missing_tile(self, tmp_path: Path, gone: str) -> None:
        (write_cws(tmp_path / "s").parent / gone).unlink()
        found = discover(tmp_path)
        assert found.left == {"s/SlideScan.ini": Why.INCOMPLETE}
        assert gone.lower() in found.detail("s/SlideScan.ini")

    def test_indexes_that_are_none(self, tmp_path: Path) -> None:
        main = write_cws(tmp_path / "s")
        edit(main, "[Header]", "[Footer]")
        assert "[Header]" in discover(tmp_path).detail("s/SlideScan.ini")
        main.write_text("[Header]\n")
        (main.parent / "FinalScan.ini").write_text("[Header]\n")
        assert "no tiles" in discover(tmp_path).detail("s/SlideScan.ini")

    def test_without_its_main_file_tiles_are_pictures(self, tmp_path: Path) -> None:
        write_cws(tmp_path / "s").unlink()
        assert len(discover(tmp_path).slides) == 5

    def test_a_folder_inside_that_cannot_be_read(self, tmp_path: Path) -> None:
        write_cws(tmp_path / "s")
        tree(tmp_path / "s", "locked/x")
        found = discover(tmp_path, scandir=refusing("locked"))
        assert found.left == {"s/SlideScan.ini": Why.UNREADABLE}

    def test_a_second_index_is_no_slide_without_the_tiles_of_the_first(self, tmp_path: Path) -> None:
        """Where the first is not sent, since a tile of it is empty, the second would go as an index alone."""
        main = write_cws(tmp_path / "s")
        main.with_name("slidescan.INI").write_bytes(main.read_bytes())
        (tmp_path / "s/Da1.jpg").write_bytes(b"")
        found = discover(tmp_path)
        assert found.slides == {}
        assert "belong to SlideScan.ini already" in found.detail("s/slidescan.INI")

    def test_hidden_files_stay_here(self, tmp_path: Path) -> None:
        write_cws(tmp_path / "s")
        tree(tmp_path / "s", "Thumbs.db", "sub/.DS_Store")
        assert set(discover(tmp_path).left) == {"s/Thumbs.db", "s/sub/.DS_Store"}


class TestMenarini:
    def test_complete(self, tmp_path: Path) -> None:
        write_menarini(tmp_path / "n.ini")
        tree(tmp_path, "n/more.dat", "n/deep/x.dat")
        assert discover(tmp_path).slides == {"n.ini": ["n/more.dat", "n/deep/x.dat", "n_0.jpg", "n_1.jpg", "n.ini"]}

    @pytest.mark.parametrize("words", ["A. Menarini Diagnostics", "DSight", "d-sight fluo", "VISIA Imaging"])
    def test_an_ini_file_is_a_menarini_slide_by_its_maker(self, tmp_path: Path, words: str) -> None:
        edit(write_menarini(tmp_path / "n.ini"), "D-Sight 2.0", words)
        assert set(discover(tmp_path).slides) == {"n.ini"}

    def test_other_programs_ini_files_are_no_slides(self, tmp_path: Path) -> None:
        tree(tmp_path, "settings.ini", "other.ini", content=b"[a]\nImage0=x.jpg\n")
        tree(tmp_path, "large.ini", content=b"D-Sight" + bytes(2_000_000))
        tree(tmp_path, "x.jpg")
        found = discover(tmp_path)
        assert set(found.slides) == {"x.jpg"}
        assert set(found.left.values()) == {Why.NOT_A_SLIDE}
        assert found.detail("settings.ini") == "no slide's main file: .ini"

    def test_a_missing_picture(self, tmp_path: Path) -> None:
        write_menarini(tmp_path / "n.ini")
        (tmp_path / "n_1.jpg").unlink()
        found = discover(tmp_path)
        assert found.left == {"n.ini": Why.INCOMPLETE}
        assert "missing: n_1.jpg" in found.detail("n.ini")

    def test_no_pictures_at_all(self, tmp_path: Path) -> None:
        write_menarini(tmp_path / "n.ini", tiles=0)
        assert "no pictures" in discover(tmp_path).detail("n.ini")

    def test_paths_of_the_scanners_own_pc(self, tmp_path: Path) -> None:
        edit(write_menarini(tmp_path / "n.ini"), "=n_", "=D:\\Scans\\7\\n_")
        assert len(discover(tmp_path).slides["n.ini"]) == 3

    def test_names_in_another_case(self, tmp_path: Path) -> None:
        write_menarini(tmp_path / "n.ini")
        (tmp_path / "n_1.jpg").rename(tmp_path / "N_1.JPG")
        slide = discover(tmp_path).slide("n.ini")
        assert (slide.files[1].path, slide.files[1].local_name) == ("n_1.jpg", "N_1.JPG")
