"""Each format complete, and incomplete in every way it can be."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from support.corpus import tree, write_afi, write_mirax, write_ndpis, write_svs, write_vsi
from support.discovery import Discovered, discover, refusing

from pmarep.slides import FORMATS, Why

# PMA.UI 2.39.2, imageUpload.js, without those that have more than one file or are looked into.
SINGLE = [
    *("jpeg", "jpg", "jp2", "png", "ndpi", "svs", "scn", "svslide", "lif", "zvi", "czi", "lsm"),
    *("nd2", "mds", "zif", "sws", "qptiff", "tmap", "jxr", "kfb", "isyntax", "rts", "bif", "oir", "szi", "mdsx"),
    "cws",  # the Python SDK has it, too
]
TIFF = ["tif", "tiff", "tf2", "tf8", "btf"]


def incomplete(found: Discovered, path: str, *words: str, why: Why = Why.INCOMPLETE) -> None:
    """The slide is left out, its reason has these words, and no file of it was taken for a slide of its own."""
    assert found.left.get(path) is why
    for word in words:
        assert word in found.detail(path)
    assert found.slides == {}


@pytest.mark.parametrize("extension", SINGLE)
def test_each_single_file_extension_is_a_slide(tmp_path: Path, extension: str) -> None:
    tree(tmp_path, f"a.{extension}", f"B.{extension.upper()}")
    assert discover(tmp_path).slides == {
        f"a.{extension}": [f"a.{extension}"],
        f"B.{extension.upper()}": [f"B.{extension.upper()}"],
    }


@pytest.mark.parametrize("extension", TIFF)
@pytest.mark.parametrize("magic", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_any_tiff_is_a_slide(tmp_path: Path, extension: str, magic: bytes) -> None:
    tree(tmp_path, f"a.{extension}", f"B.{extension.upper()}", content=magic + b"rest")
    assert set(discover(tmp_path).slides) == {f"a.{extension}", f"B.{extension.upper()}"}


@pytest.mark.parametrize("extension", TIFF)
def test_files_that_are_only_named_like_slides_are_none(tmp_path: Path, extension: str) -> None:
    tree(tmp_path, f"a.{extension}", content=b"%PDF-1.7")
    tree(tmp_path, f"short.{extension}", content=b"II*")
    tree(tmp_path, f"empty.{extension}", content=b"")
    tree(tmp_path, f"zeros.{extension}", content=bytes(5000))
    tree(tmp_path, f"page.{extension}", content=b"<!DOCTYPE html><title>Sign in</title>")
    found = discover(tmp_path)
    assert found.left == {
        f"zeros.{extension}": Why.INCOMPLETE,
        f"page.{extension}": Why.INCOMPLETE,
        f"a.{extension}": Why.NOT_A_SLIDE,
        f"short.{extension}": Why.INCOMPLETE,  # a copy that broke off
        f"empty.{extension}": Why.INCOMPLETE,  # a person would have expected a slide
    }
    assert found.detail(f"a.{extension}") == "not a TIFF"


def test_what_is_excluded_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a.tif", "b.tif", content=b"II*\0")
    opened: list[str] = []

    def note(path: Path, *_: object, **__: object) -> io.BytesIO:
        opened.append(path.name)
        return io.BytesIO(b"II*\0")

    monkeypatch.setattr(Path, "open", note)
    assert set(discover(tmp_path, exclude=["b.*"]).slides) == {"a.tif"}
    assert opened == ["a.tif"]


def test_other_files_are_reported_as_such(tmp_path: Path) -> None:
    found = discover(tree(tmp_path, "a.txt", "svs", "b.svs.part", "c.svs.", "none"))
    assert found.slides == {}
    assert set(found.left.values()) == {Why.NOT_A_SLIDE}
    assert set(found.left) == {"a.txt", "svs", "b.svs.part", "c.svs.", "none"}


@pytest.mark.parametrize("name", ["a.svs", "a.mrxs", "a.vsi", "a.ndpis", "a.afi"])
def test_an_empty_main_file_is_no_slide(tmp_path: Path, name: str) -> None:
    if name == "a.mrxs":
        write_mirax(tmp_path / name)
    if name == "a.vsi":
        write_vsi(tmp_path / name)
    (tmp_path / name).write_bytes(b"")
    incomplete(discover(tmp_path), name, "empty")


class TestMirax:
    def test_complete(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "x" / "n.mrxs", data_files=2)
        found = discover(tmp_path)
        assert found.slides == {
            "x/n.mrxs": ["n/Slidedat.ini", "n/Index.dat", "n/Data0000.dat", "n/Data0001.dat", "n.mrxs"]
        }
        assert found.left == {}
        assert found.slide("x/n.mrxs").folder == tmp_path / "x"

    @pytest.mark.parametrize("name", ["Data0001.dat", "Index.dat"])
    def test_an_empty_file_inside(self, tmp_path: Path, name: str) -> None:
        write_mirax(tmp_path / "n.mrxs")
        (tmp_path / "n" / name).write_bytes(b"")
        incomplete(discover(tmp_path), "n.mrxs", f"empty: n/{name}")

    @pytest.mark.parametrize("gone", ["Slidedat.ini", "Index.dat", "Data0000.dat", "Data0002.dat"])
    def test_a_missing_file(self, tmp_path: Path, gone: str) -> None:
        write_mirax(tmp_path / "n.mrxs")
        (tmp_path / "n" / gone).unlink()
        incomplete(discover(tmp_path), "n.mrxs", "missing", f"n/{gone}")

    def test_many_missing_files_are_one_short_line(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs", data_files=50, data_size=1)
        for file in (tmp_path / "n").glob("Data*"):
            file.unlink()
        incomplete(discover(tmp_path), "n.mrxs", "Data0000.dat", "and 46 more")

    def test_no_folder(self, tmp_path: Path) -> None:
        tree(tmp_path, "n.mrxs")
        incomplete(discover(tmp_path), "n.mrxs", "folder n/ is missing")

    def test_folder_that_cannot_be_read(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        found = discover(tmp_path, scandir=refusing("n"))
        incomplete(found, "n.mrxs", "n/", "Permission denied", why=Why.UNREADABLE)
        assert set(found.left) == {"n.mrxs"}

    @pytest.mark.parametrize("count", ["4", "-1", "3.0", "0x3", "", "three", "9" * 5000, "٣", "999999999"])
    def test_file_count_that_is_not_right(self, tmp_path: Path, count: str) -> None:
        write_mirax(tmp_path / "n.mrxs")
        ini = tmp_path / "n" / "Slidedat.ini"
        ini.write_text(ini.read_text("utf-8").replace("FILE_COUNT = 3", f"FILE_COUNT = {count}"), "utf-8")
        found = discover(tmp_path)
        incomplete(found, "n.mrxs", "FILE_COUNT")
        assert set(found.left) == {"n.mrxs"}, "its files are strangers all of a sudden"
        assert len(found.detail("n.mrxs")) < 300

    @pytest.mark.parametrize("line", ["FILE_COUNT = 3", "INDEXFILE = Index.dat", "FILE_1 = Data0001.dat"])
    def test_index_without_an_entry(self, tmp_path: Path, line: str) -> None:
        write_mirax(tmp_path / "n.mrxs")
        ini = tmp_path / "n" / "Slidedat.ini"
        ini.write_text(ini.read_text("utf-8").replace(line, ""), "utf-8")
        incomplete(discover(tmp_path), "n.mrxs", line.split()[0])

    def test_file_count_0(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs", data_files=0)
        incomplete(discover(tmp_path), "n.mrxs", "no picture")

    @pytest.mark.parametrize(
        "name", ["../secret.dat", "..\\secret.dat", "/etc/passwd", "C:\\secret.dat", "sub/a.dat", "..", ".", ""]
    )
    def test_names_that_lead_elsewhere_are_refused(self, tmp_path: Path, name: str) -> None:
        tree(tmp_path, "secret.dat", "n/sub/a.dat")
        write_mirax(tmp_path / "n.mrxs")
        ini = tmp_path / "n" / "Slidedat.ini"
        ini.write_text(ini.read_text("utf-8").replace("= Data0001.dat", f"= {name}"), "utf-8")
        incomplete(discover(tmp_path), "n.mrxs", "outside its own folder")

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n"])
    def test_encodings_and_line_ends(self, tmp_path: Path, encoding: str, newline: str) -> None:
        write_mirax(tmp_path / "n.mrxs")
        (tmp_path / "n" / "Data0001.dat").rename(tmp_path / "n" / "Größe 1.dat")
        ini = tmp_path / "n" / "Slidedat.ini"
        text = ini.read_text("utf-8-sig").replace("Data0001.dat", "Größe 1.dat")
        ini.write_text(text, encoding, newline=newline)
        assert "n/Größe 1.dat" in discover(tmp_path).slides["n.mrxs"]

    def test_keys_and_sections_in_any_case(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        ini = tmp_path / "n" / "Slidedat.ini"
        text = ini.read_text("utf-8-sig").replace("[DATAFILE]", "[DataFile]").replace("FILE_", "File_")
        ini.write_text(text.replace("INDEXFILE", "indexFile"), "utf-8")
        assert len(discover(tmp_path).slides["n.mrxs"]) == 6

    def test_names_on_disk_in_another_case_go_under_the_names_of_the_index(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "N.MRXS", data_files=2)
        folder = (tmp_path / "N").rename(tmp_path / "n")
        for file in list(folder.iterdir()):
            file.rename(folder / file.name.upper())
        found = discover(tmp_path)
        assert found.slides == {
            "N.MRXS": ["N/Slidedat.ini", "N/Index.dat", "N/Data0000.dat", "N/Data0001.dat", "N.MRXS"]
        }
        slide = found.slide("N.MRXS")
        assert slide.local(slide.files[2]) == tmp_path / "n" / "DATA0000.DAT"
        assert slide.main.local_name is None
        assert found.left == {}

    def test_the_exact_name_goes_before_one_in_another_case(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        (tmp_path / "n" / "DATA0001.DAT").write_bytes(b"another")
        found = discover(tmp_path)
        assert found.slide("n.mrxs").files[3].local_name is None
        assert found.left == {"n/DATA0001.DAT": Why.NOT_A_SLIDE}

    def test_two_names_alike_are_not_guessed_between(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        (tmp_path / "n" / "Data0001.dat").rename(tmp_path / "n" / "DATA0001.dat")
        (tmp_path / "n" / "Data0001.DAT").write_bytes(b"another")
        incomplete(discover(tmp_path), "n.mrxs", "missing", "n/Data0001.dat")

    def test_strangers_in_the_folder(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        tree(tmp_path / "n", "notes.txt", "extra.svs", "sub/more.svs", "sub/more.txt", "Data0099.dat")
        found = discover(tmp_path)
        assert set(found.slides) == {"n.mrxs", "n/extra.svs", "n/sub/more.svs"}
        assert set(found.left) == {"n/notes.txt", "n/sub/more.txt", "n/Data0099.dat"}
        assert "n.mrxs" in found.detail("n/notes.txt")

    def test_folder_without_main_file_is_one_line(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "a" / "n.mrxs", data_files=30)
        (tmp_path / "a" / "n.mrxs").unlink()
        tree(tmp_path / "a" / "n", "extra.svs")
        found = discover(tmp_path)
        assert found.left == {"a/n": Why.INCOMPLETE}
        assert "n.mrxs is missing" in found.detail("a/n")
        assert set(found.slides) == {"a/n/extra.svs"}, "a slide that merely lies there is lost"

    def test_the_folder_itself_as_source(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        found = discover(tmp_path / "n")
        assert [path for path, why in found.left.items() if why.is_problem] == ["."]
        assert "n.mrxs" in found.detail(".")

    def test_an_index_too_large_to_be_one(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        with (tmp_path / "n" / "Slidedat.ini").open("r+b") as ini:
            ini.truncate(17 * 1024 * 1024)
        incomplete(discover(tmp_path), "n.mrxs", "16 MiB")

    def test_binary_rubbish_as_index(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        (tmp_path / "n" / "Slidedat.ini").write_bytes(bytes(range(256)) * 40)
        incomplete(discover(tmp_path), "n.mrxs", "FILE_COUNT")

    def test_a_broken_link_inside(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        (tmp_path / "n" / "Data0001.dat").unlink()
        (tmp_path / "n" / "Data0001.dat").symlink_to("gone")
        incomplete(discover(tmp_path), "n.mrxs", "n/Data0001.dat")

    def test_an_index_that_is_a_data_file_claims_nothing(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "n.mrxs")
        write_ndpis(tmp_path / "n" / "i.ndpis", names=["x.ndpi"])
        ini = tmp_path / "n" / "Slidedat.ini"
        ini.write_text(ini.read_text("utf-8-sig").replace("Data0001.dat", "i.ndpis"), "utf-8")
        assert set(discover(tmp_path).slides) == {"n.mrxs", "n/x.ndpi"}

    def test_two_main_files_for_one_folder(self, tmp_path: Path) -> None:
        write_mirax(tmp_path / "_n_.mrxs")
        tree(tmp_path, "n.vsi", "_n_/stack1/frame_t.ets")
        found = discover(tmp_path)
        assert set(found.slides) == {"_n_.mrxs"}
        assert found.left["n.vsi"] is Why.INCOMPLETE
        assert "belongs to _n_.mrxs" in found.detail("n.vsi")


class TestVsi:
    def test_complete_with_all_in_its_folder(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n, A&E.vsi")
        tree(tmp_path / "_n, A&E_", "annotations.xml", "stack1/deep/er/frame_t_0.ETS", "overview.svs")
        found = discover(tmp_path)
        # The order is ours; the set is that of pma_python's own test (tests/test_slide_package.py).
        assert found.slides == {
            "n, A&E.vsi": [
                "_n, A&E_/annotations.xml",
                "_n, A&E_/overview.svs",
                "_n, A&E_/stack1/frame_t.ets",
                "_n, A&E_/stack1/frame_t.meicom",
                "_n, A&E_/stack1/deep/er/frame_t_0.ETS",
                "_n, A&E_/stack10001/frame_t.ets",
                "n, A&E.vsi",
            ]
        }
        assert found.left == {}

    def test_alone_it_is_a_preview(self, tmp_path: Path) -> None:
        tree(tmp_path, "n.vsi")
        incomplete(discover(tmp_path), "n.vsi", "_n_/", "preview")

    def test_folder_without_ets(self, tmp_path: Path) -> None:
        tree(tmp_path, "n.vsi", "_n_/stack1/frame_t.meicom", "_n_/other.svs")
        found = discover(tmp_path)
        assert found.left["n.vsi"] is Why.INCOMPLETE
        assert found.left["_n_/stack1/frame_t.meicom"] is Why.NOT_A_SLIDE
        assert set(found.slides) == {"_n_/other.svs"}, "a folder that is no companion is a folder like any other"

    @pytest.mark.parametrize("closed", ["_n_", "stack1"])
    def test_something_that_cannot_be_read(self, tmp_path: Path, closed: str) -> None:
        write_vsi(tmp_path / "n.vsi", stacks=1)
        found = discover(tmp_path, scandir=refusing(closed))
        incomplete(found, "n.vsi", closed, "Permission denied", why=Why.UNREADABLE)
        assert set(found.left) == {"n.vsi"}

    def test_a_broken_link_inside(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi")
        (tmp_path / "_n_" / "stack1" / "frame_t_1.ets").symlink_to("gone")
        incomplete(discover(tmp_path), "n.vsi", "_n_/stack1/frame_t_1.ets", why=Why.UNREADABLE)

    def test_system_files_inside_stay_here(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi", stacks=1)
        tree(tmp_path / "_n_", "Thumbs.db", "stack1/@eaDir/frame_t.ets@SynoEAStream")
        found = discover(tmp_path)
        assert len(found.slides["n.vsi"]) == 3
        assert found.left == {"_n_/Thumbs.db": Why.NOT_A_SLIDE, "_n_/stack1/@eaDir": Why.NOT_A_SLIDE}

    def test_a_loop_inside(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi", stacks=1)
        (tmp_path / "_n_" / "stack1" / "again").symlink_to(tmp_path / "_n_")
        found = discover(tmp_path)
        assert len(found.slides["n.vsi"]) == 3
        assert found.left == {"_n_/stack1/again": Why.NOT_A_SLIDE}

    def test_folder_without_main_file_is_one_line(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi", stacks=9)
        (tmp_path / "n.vsi").unlink()
        found = discover(tmp_path)
        assert found.left == {"_n_": Why.INCOMPLETE}
        assert "n.vsi is missing" in found.detail("_n_")

    def test_folder_in_another_case(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi", stacks=1)
        (tmp_path / "_n_").rename(tmp_path / "_N_")
        slide = discover(tmp_path).slide("n.vsi")
        assert slide.files[0].path == "_n_/stack1/frame_t.ets"

    def test_a_bad_name_inside_is_the_slides(self, tmp_path: Path) -> None:
        write_vsi(tmp_path / "n.vsi", stacks=1)
        tree(tmp_path / "_n_", "a\nb.dat")
        found = discover(tmp_path)
        assert found.left == {"n.vsi": Why.BAD_NAME}
        assert "\\x0a" in found.detail("n.vsi")


class TestNdpis:
    def test_complete(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis")
        tree(tmp_path, "other.ndpi")
        found = discover(tmp_path)
        assert found.slides == {
            "n.ndpis": ["n-DAPI.ndpi", "n-FITC.ndpi", "n-TRITC.ndpi", "n.ndpis"],
            "other.ndpi": ["other.ndpi"],
        }

    def test_a_missing_file_leaves_no_slides_of_the_others(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis")
        (tmp_path / "n-FITC.ndpi").unlink()
        found = discover(tmp_path)
        incomplete(found, "n.ndpis", "missing: n-FITC.ndpi")
        assert set(found.left) == {"n.ndpis"}

    @pytest.mark.parametrize(
        ("old", "new", "word"),
        [
            ("[NanoZoomer", "[Nano", "section"),
            ("NoImages=3", "", "NoImages"),
            ("NoImages=3", "NoImages=many", "NoImages"),
            ("NoImages=3", "NoImages=4", "Image3"),
            ("NoImages=3", "NoImages=0", "NoImages"),
            ("Image1=", "Image7=", "Image1"),
            ("Image1=n-FITC", "Image1=..\\n-FITC", "outside"),
            ("Image1=n-FITC", "Image1=sub/n-FITC", "outside"),
        ],
    )
    def test_index_that_is_not_right(self, tmp_path: Path, old: str, new: str, word: str) -> None:
        index = write_ndpis(tmp_path / "n.ndpis")
        index.write_text(index.read_text().replace(old, new))
        found = discover(tmp_path)
        assert found.left["n.ndpis"] is Why.INCOMPLETE
        assert word in found.detail("n.ndpis")

    def test_names_in_another_case(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis", names=["a.ndpi", "b.ndpi"])
        (tmp_path / "a.ndpi").rename(tmp_path / "A.NDPI")
        slide = discover(tmp_path).slide("n.ndpis")
        assert (slide.files[0].path, slide.files[0].local_name) == ("a.ndpi", "A.NDPI")

    def test_umlauts_composed_in_the_index_decomposed_on_disk(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis", names=["a\u0308.ndpi"])
        (tmp_path / "n.ndpis").write_text(
            (tmp_path / "n.ndpis").read_text("utf-8").replace("a\u0308", "\u00e4"), "utf-8"
        )
        assert discover(tmp_path).slides == {"n.ndpis": ["\u00e4.ndpi", "n.ndpis"]}

    def test_the_first_of_two_that_name_a_file_has_it(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "a.ndpis", names=["x.ndpi", "y.ndpi"])
        write_ndpis(tmp_path / "b.ndpis", names=["x.ndpi", "z.ndpi"])
        found = discover(tmp_path)
        assert found.slides == {"a.ndpis": ["x.ndpi", "y.ndpi", "a.ndpis"]}
        assert found.left == {"b.ndpis": Why.INCOMPLETE}
        assert "x.ndpi belongs to a.ndpis" in found.detail("b.ndpis")

    def test_but_a_complete_one_goes_before_a_broken_one(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "a.ndpis", names=["x.ndpi", "gone.ndpi"])
        (tmp_path / "gone.ndpi").unlink()
        write_ndpis(tmp_path / "b.ndpis", names=["x.ndpi"])
        assert set(discover(tmp_path).slides) == {"b.ndpis"}

    def test_and_a_wanted_one_before_an_excluded_one(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "a.ndpis", names=["x.ndpi"])
        write_ndpis(tmp_path / "b.ndpis", names=["x.ndpi"])
        assert set(discover(tmp_path, exclude=["a.*"]).slides) == {"b.ndpis"}

    def test_it_cannot_name_a_slide_with_files_of_its_own(self, tmp_path: Path) -> None:
        write_ndpis(tmp_path / "n.ndpis", names=["a.ndpi"])
        write_ndpis(tmp_path / "o.ndpis", names=["b.ndpi"])
        (tmp_path / "o.ndpis").write_text((tmp_path / "o.ndpis").read_text().replace("b.ndpi", "n.ndpis"))
        found = discover(tmp_path)
        assert "n.ndpis" in found.slides
        assert found.left == {"o.ndpis": Why.INCOMPLETE}


class TestAfi:
    def test_complete(self, tmp_path: Path) -> None:
        write_afi(tmp_path / "n.afi", names=["n_R&D.svs", "n_b.svs"])
        write_svs(tmp_path / "other.svs", width=256, height=256)
        assert discover(tmp_path).slides == {
            "n.afi": ["n_R&D.svs", "n_b.svs", "n.afi"],
            "other.svs": ["other.svs"],
        }

    def test_a_missing_file_leaves_no_slides_of_the_others(self, tmp_path: Path) -> None:
        write_afi(tmp_path / "n.afi")
        (tmp_path / "n_FITC.svs").unlink()
        found = discover(tmp_path)
        incomplete(found, "n.afi", "missing: n_FITC.svs")
        assert set(found.left) == {"n.afi"}

    @pytest.mark.parametrize("prefix", ["D:\\Scans\\", "\\\\server\\share\\", "../elsewhere/", "/data/"])
    def test_of_a_path_the_last_part_counts_and_only_here(self, tmp_path: Path, prefix: str) -> None:
        tree(tmp_path / "elsewhere", "n_DAPI.svs")
        folder = tmp_path / "here"
        folder.mkdir()
        index = write_afi(folder / "n.afi")
        index.write_text(index.read_text().replace("<Path>", f"<Path>{prefix}"))
        assert discover(folder).slides == {"n.afi": ["n_DAPI.svs", "n_FITC.svs", "n.afi"]}
        (folder / "n_DAPI.svs").unlink()
        incomplete(discover(folder), "n.afi", "n_DAPI.svs")

    def test_two_files_of_one_name_in_different_folders(self, tmp_path: Path) -> None:
        index = write_afi(tmp_path / "n.afi", names=["x.svs"])
        image = "<Image><Path>D:\\a\\x.svs</Path></Image><Image><Path>D:\\b\\x.svs</Path></Image>"
        index.write_text(f"<ImageList>{image}</ImageList>")
        incomplete(discover(tmp_path), "n.afi", "names 2 files", "x.svs")

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "not xml",
            "<ImageList>",
            "<ImageList></ImageList>",
            "<ImageList><Image></Image></ImageList>",
            '<!DOCTYPE a [<!ENTITY x "y">]><ImageList><Image><Path>n_DAPI.svs</Path></Image></ImageList>',
            '<!DOCTYPE a SYSTEM "file:///etc/passwd"><ImageList><Image><Path>n_DAPI.svs</Path></Image></ImageList>',
            "<ImageList><Image><Path>&x;</Path></Image></ImageList>",
        ],
    )
    def test_index_that_is_none(self, tmp_path: Path, text: str) -> None:
        write_afi(tmp_path / "n.afi").write_text(text)
        assert discover(tmp_path).left["n.afi"] is Why.INCOMPLETE

    def test_a_document_type_in_utf_16_is_seen_too(self, tmp_path: Path) -> None:
        text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "n_DAPI.svs">]>'
        text += "<ImageList><Image><Path>&x;</Path></Image></ImageList>"
        write_afi(tmp_path / "n.afi").write_text(text, "utf-16")
        found = discover(tmp_path)
        assert "document type" in found.detail("n.afi")

    def test_utf_16_is_fine(self, tmp_path: Path) -> None:
        index = write_afi(tmp_path / "n.afi")
        index.write_text(index.read_text().replace("utf-8", "utf-16"), "utf-16")
        assert len(discover(tmp_path).slides["n.afi"]) == 3

    def test_an_index_too_large_to_be_one(self, tmp_path: Path) -> None:
        with write_afi(tmp_path / "n.afi").open("ab") as index:
            index.truncate(2 * 1024 * 1024)
        assert discover(tmp_path).left["n.afi"] is Why.INCOMPLETE


def test_companion_folder_reached_through_a_link(tmp_path: Path) -> None:
    write_mirax(tmp_path / "store" / "n.mrxs")
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "n.mrxs").write_bytes(b"x")
    (tmp_path / "cases" / "n").symlink_to(tmp_path / "store" / "n", target_is_directory=True)
    assert len(discover(tmp_path).slides["cases/n.mrxs"]) == 6


def test_the_manual_counts_the_formats_of_single_files() -> None:
    page = (Path(__file__).parents[3] / "docs" / "slides.md").read_text(encoding="utf-8")
    assert f": {sum(not entry.has_companions for entry in FORMATS)} of single files (SVS, " in page
