"""OME-TIFF: which files are one image, and what is missing."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import tree, wild_names
from support.corpus_ome import binary_only, ome_xml, uuid_of, write_companion, write_ome, write_plane

from pmarep.slides import Slide, find_slides, ome, tiff
from pmarep.slides.companions import Companions, SlideGroups
from pmarep.slides.folder import Folder
from pmarep.slides.model import Why
from pmarep.slides.ome_xml import NoIndexError, parse


def grouped(folder: Path) -> SlideGroups:
    """What the `.ome.tif` files of a folder are. Checks that none is in two places, whatever the order of the disk."""
    listing = Folder(str(folder))
    names = [name for name in listing.files if ".ome." in name.lower() and not name.endswith(".companion.ome")]
    groups = ome.group(listing, names)
    places = [*groups.slides, *groups.not_slides, *(part.local for one in groups.slides.values() for part in one.files)]
    assert len(places) == len(set(places))
    assert set(names) <= set(places)
    assert set(groups.slides) <= set(names)
    random.Random(len(names)).shuffle(names)
    assert summary(ome.group(listing, names)) == summary(groups)
    return groups


def summary(groups: SlideGroups) -> dict[str, tuple[list[str], list[str]]]:
    return {
        **{main: (sorted(part.path for part in parts.files), parts.problems) for main, parts in groups.slides.items()},
        **{name: ([], [reason]) for name, (_, reason) in groups.not_slides.items()},
    }


def companion(folder: Path, name: str = "a.companion.ome") -> Companions:
    return ome.companion_collect(Folder(str(folder)), name)


def paths(parts: Companions) -> list[str]:
    return [part.path for part in parts.files]


def test_one_set_is_one_slide_and_tifffile_opens_it(tmp_path: Path) -> None:
    files = write_ome(tmp_path / "a.ome.tif")
    assert summary(grouped(tmp_path)) == {"a_C0.ome.tif": (["a_C1.ome.tif", "a_C2.ome.tif"], [])}
    with tifffile.TiffFile(files[0]) as file:
        assert file.series[0].shape == (3, 48, 64)


def test_sets_beside_each_other(tmp_path: Path) -> None:
    write_ome(tmp_path / "a.ome.tif")
    write_ome(tmp_path / "b.ome.tif", big=True)
    write_plane(tmp_path / "alone.ome.tif", ome_xml(["alone.ome.tif"], "alone.ome.tif"))
    write_plane(tmp_path / "plain.ome.tif", "no XML at all")
    assert {main: len(files) for main, (files, problems) in summary(grouped(tmp_path)).items() if not problems} == {
        "a_C0.ome.tif": 2,
        "b_C0.ome.tif": 2,
        "alone.ome.tif": 0,
        "plain.ome.tif": 0,
    }


def test_the_main_file_holds_the_first_plane_whatever_its_name(tmp_path: Path) -> None:
    write_ome(tmp_path / "x.ome.tif", names=["z.ome.tif", "a.ome.tif", "m.ome.tif"])
    assert summary(grouped(tmp_path)) == {"z.ome.tif": (["a.ome.tif", "m.ome.tif"], [])}


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_file(tmp_path: Path, gone: int) -> None:
    files = write_ome(tmp_path / "a.ome.tif")
    files[gone].unlink()
    (slide,) = grouped(tmp_path).slides.values()
    assert slide.problems == [f"missing: {files[gone].name}"]
    assert len(slide.files) == 1


@pytest.mark.parametrize("name", ["0.ome.tif", "renamed.ome.tif"])
def test_a_single_file_may_be_renamed(tmp_path: Path, name: str) -> None:
    """Also where its old name is there as well: that is the file it was copied from."""
    write_plane(tmp_path / name, ome_xml(["old.ome.tif"], "old.ome.tif"))
    assert summary(grouped(tmp_path)) == {name: ([], [])}
    write_plane(tmp_path / "old.ome.tif", ome_xml(["old.ome.tif"], "old.ome.tif"))
    assert summary(grouped(tmp_path)) == {name: ([], []), "old.ome.tif": ([], [])}


@pytest.mark.parametrize("name", ["0.ome.tif", "zz.ome.tif"])
def test_a_renamed_file_of_a_set(tmp_path: Path, name: str) -> None:
    """The first can be found by its own UUID, as Bio-Formats does; any other would be missed."""
    first, second, _ = write_ome(tmp_path / "a.ome.tif")
    first.rename(tmp_path / name)
    assert summary(grouped(tmp_path)) == {name: (["a_C1.ome.tif", "a_C2.ome.tif"], [])}
    (tmp_path / name).rename(first)
    second.rename(tmp_path / name)
    assert summary(grouped(tmp_path)) == {
        "a_C0.ome.tif": (
            sorted([name, "a_C2.ome.tif"]),
            ["missing: a_C1.ome.tif", f"a part of it has been renamed: {name}"],
        )
    }


def test_a_copy_of_one_file_of_a_set(tmp_path: Path) -> None:
    first, *_ = write_ome(tmp_path / "a.ome.tif")
    (tmp_path / "copy.ome.tif").write_bytes(first.read_bytes())
    found = summary(grouped(tmp_path))
    assert found["a_C0.ome.tif"] == (["a_C1.ome.tif", "a_C2.ome.tif"], [])
    assert found["copy.ome.tif"][1] == [
        "its index is that of a set in which it is not itself: a_C0.ome.tif, a_C1.ome.tif, a_C2.ome.tif"
    ]


def test_two_sets_that_name_the_same_file(tmp_path: Path) -> None:
    write_ome(tmp_path / "x.ome.tif", names=["a.ome.tif", "both.ome.tif"])
    write_ome(tmp_path / "x.ome.tif", names=["b.ome.tif", "both.ome.tif"])
    assert summary(grouped(tmp_path)) == {
        "a.ome.tif": (["both.ome.tif"], []),
        "b.ome.tif": ([], ["belongs to another set already: both.ome.tif"]),
    }


def test_names_in_another_case_are_sent_as_the_index_has_them(tmp_path: Path) -> None:
    first, second, _ = write_ome(tmp_path / "a.ome.tif")
    second.rename(tmp_path / "A_C1.OME.TIF")
    parts = grouped(tmp_path).slides[first.name]
    assert parts.problems == []
    assert {(part.path, part.local) for part in parts.files} == {
        ("a_C1.ome.tif", "A_C1.OME.TIF"),
        ("a_C2.ome.tif", "a_C2.ome.tif"),
    }


def test_the_main_file_too(tmp_path: Path) -> None:
    """The others name it."""
    first, *_ = write_ome(tmp_path / "a.ome.tif")
    first.rename(tmp_path / "A_C0.OME.TIF")
    (slide,) = find_slides(tmp_path)
    assert isinstance(slide, Slide)
    assert (slide.path, slide.main.path, slide.main.local_name) == ("A_C0.OME.TIF", "a_C0.ome.tif", "A_C0.OME.TIF")


def test_names_in_the_wild(tmp_path: Path) -> None:
    for number, name in enumerate(wild_names()):
        # XML attributes have no spaces at their ends
        names = [f"{name.strip()}{channel}.ome.tif" for channel in "ab"]
        write_ome(tmp_path / str(number) / "x.ome.tif", names=names)
        assert summary(grouped(tmp_path / str(number))) == {names[0]: ([names[1]], [])}


def test_a_name_in_another_folder_is_refused(tmp_path: Path) -> None:
    tree(tmp_path, "sub/b.ome.tif", "up.ome.tif")
    names = ["a.ome.tif", "sub/../../sub/b.ome.tif", "..\\up.ome.tif", ".."]
    write_plane(tmp_path / "in" / "a.ome.tif", ome_xml(names, "a.ome.tif"))
    (parts,) = grouped(tmp_path / "in").slides.values()
    assert parts.files == []
    (problem,) = parts.problems
    assert problem.startswith("its index names files outside its own folder: 'sub/../../sub/b.ome.tif', ")


@pytest.mark.parametrize("prefix", ["/data/2012/", "C:\\scans\\", "\\\\server\\share\\"])
def test_absolute_paths_of_old_writers_mean_the_file_beside(tmp_path: Path, prefix: str) -> None:
    for name in ("a.ome.tif", "b.ome.tif"):
        text = ome_xml([f"{prefix}a.ome.tif", f"{prefix}b.ome.tif"], f"{prefix}{name}")
        write_plane(tmp_path / name, text)
    assert summary(grouped(tmp_path)) == {"a.ome.tif": (["b.ome.tif"], [])}


@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("keep", [0, 3, 4, 7, 9, 60])
def test_a_file_that_is_cut_off(tmp_path: Path, victim: int, keep: int) -> None:
    files = write_ome(tmp_path / "a.ome.tif")
    files[victim].write_bytes(files[victim].read_bytes()[:keep])
    (slide,) = grouped(tmp_path).slides.values()
    assert len(slide.files) == 2
    assert slide.problems
    assert "missing" not in slide.problems[0]


def test_members_that_are_no_tiff_files(tmp_path: Path) -> None:
    tree(tmp_path, "a.ome.tif", content=b"hello")
    tree(tmp_path, "b.ome.tif", content=b"")
    tree(tmp_path, "c.ome.tif", content=b"II*\0\0\0\0\0")
    groups = grouped(tmp_path)
    assert groups.not_slides == {"a.ome.tif": (Why.NOT_A_SLIDE, tiff.NO_TIFF)}
    assert {main: parts.problems for main, parts in groups.slides.items()} == {
        "b.ome.tif": ["the file is empty"],
        "c.ome.tif": ["no picture in it: not written to its end"],
    }


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("text", ["", "abc", "abcdefg", "Präparat " * 999])
def test_descriptions_as_tifffile_writes_them(tmp_path: Path, order: str, big: bool, text: str) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as writer:  # type: ignore[arg-type]
        writer.write(shape=(8, 8), dtype="uint8", description=text.encode() or None, metadata=None)
    assert tiff.description(str(path), 1 << 20).decode() == text
    tiff.check(str(path))


def test_a_directory_whose_text_is_not_all_there(tmp_path: Path) -> None:
    path = write_plane(tmp_path / "a.tif", "<OME/>" * 500)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"<OME/>") + 100])
    with pytest.raises(tiff.TiffError, match="cut off"):
        tiff.check(str(path))


def test_the_text_of_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ome, "LIMIT", 1000)
    write_plane(tmp_path / "a.ome.tif", "<OME>" + " " * 2000 + "</OME>")
    assert summary(grouped(tmp_path)) == {"a.ome.tif": ([], ["its description is larger than 0 MiB"])}


def test_a_companion_and_its_files(tmp_path: Path) -> None:
    files = write_companion(tmp_path / "a.companion.ome")
    parts = companion(tmp_path)
    assert parts.problems == []
    assert paths(parts) == [file.name for file in files[:-1]]


def test_a_walk_gives_a_companion_its_files(tmp_path: Path) -> None:
    files = write_companion(tmp_path / "a.companion.ome")
    write_ome(tmp_path / "b.ome.tif")
    found = {thing.path: thing for thing in find_slides(tmp_path)}
    assert list(found) == ["a.companion.ome", "b_C0.ome.tif"]
    slide = found["a.companion.ome"]
    assert isinstance(slide, Slide)
    assert [file.path for file in slide.files] == [file.name for file in files]


def test_a_companion_that_lacks_a_file(tmp_path: Path) -> None:
    files = write_companion(tmp_path / "a.companion.ome")
    files[1].unlink()
    assert companion(tmp_path).problems == ["missing: a_C1.ome.tif"]
    assert paths(companion(tmp_path)) == ["a_C0.ome.tif", "a_C2.ome.tif"]


def test_a_companion_whose_file_is_cut_off(tmp_path: Path) -> None:
    files = write_companion(tmp_path / "a.companion.ome")
    files[1].write_bytes(files[1].read_bytes()[:20])
    assert companion(tmp_path).problems == ["no whole TIFF file: a_C1.ome.tif"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no XML"),
        ("<OME", "cannot be read"),
        ("<html/>", "not OME-XML"),
        ("<OME/>", "names no files"),
        ('<!DOCTYPE OME [<!ENTITY a "b">]><OME>&a;</OME>', "document type"),
    ],
)
def test_a_companion_that_is_no_index(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.companion.ome").write_text(text)
    (problem,) = companion(tmp_path).problems
    assert words in problem


def test_files_whose_companion_is_missing_are_one_problem(tmp_path: Path) -> None:
    write_companion(tmp_path / "a.companion.ome")[-1].unlink()
    assert summary(grouped(tmp_path)) == {
        "a_C0.ome.tif": (
            ["a_C1.ome.tif", "a_C2.ome.tif"],
            ["missing: a.companion.ome, which says what belongs together"],
        )
    }


def test_a_file_that_its_companion_does_not_name(tmp_path: Path) -> None:
    write_companion(tmp_path / "a.companion.ome", names=["a.ome.tif"])
    (tmp_path / "a.ome.tif").rename(tmp_path / "b.ome.tif")
    assert summary(grouped(tmp_path)) == {"b.ome.tif": ([], ["it refers to a.companion.ome, which does not name it"])}
    assert companion(tmp_path).problems == ["missing: a.ome.tif"]


def test_a_set_whose_text_is_in_one_file_only(tmp_path: Path) -> None:
    names = ["m.ome.tif", "a.ome.tif"]
    write_plane(tmp_path / "m.ome.tif", ome_xml(names, "m.ome.tif"))
    write_plane(tmp_path / "a.ome.tif", binary_only("m.ome.tif", "a.ome.tif"))
    assert summary(grouped(tmp_path)) == {"m.ome.tif": (["a.ome.tif"], [])}


def test_texts_in_other_encodings() -> None:
    text = ome_xml(["µ.ome.tif"], "µ.ome.tif")
    for data in (text.encode(), text.encode("utf-8-sig"), text.encode("cp1252")):
        index = parse(data)
        assert [(named.uuid, named.file) for named in index.named] == [(uuid_of("µ.ome.tif"), "µ.ome.tif")]
        assert index.uuid == uuid_of("µ.ome.tif")


def test_large_sets_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file has the whole text in it: reading them all would take the square of their number."""
    names = [f"{number:03}.ome.tif" for number in range(100)]
    write_ome(tmp_path / "x.ome.tif", names=names)
    read: list[str] = []
    real = tiff.description

    def description(path: str, limit: int) -> bytes:
        read.append(path)
        return real(path, limit)

    monkeypatch.setattr(tiff, "description", description)
    groups = ome.group(Folder(str(tmp_path)), names)
    assert {main: len(parts.files) for main, parts in groups.slides.items()} == {names[0]: 99}
    assert len(read) == 1


_XML = [
    "<OME>",
    "</OME>",
    "<Image>",
    "<Pixels>",
    "<TiffData>",
    "<UUID FileName='a'>",
    "</UUID>",
    "</TiffData>",
    "é",
    "&",
]


@given(st.lists(st.sampled_from(_XML)).map("".join).map(str.encode) | st.binary(max_size=200))
def test_any_text_is_an_index_or_refused(data: bytes) -> None:
    with suppress(NoIndexError):
        parse(data)


@given(data=st.data())
def test_any_damage_to_a_tiff_file_is_survived(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = write_plane(
            Path(folder) / "a.ome.tif", ome_xml(["a.ome.tif"], "a.ome.tif"), big=data.draw(st.booleans())
        )
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 6))):
            content[data.draw(st.integers(4, 200))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        grouped(Path(folder))


@given(
    texts=st.dictionaries(
        st.sampled_from("abcde"),
        st.tuples(st.lists(st.sampled_from("abcdef"), max_size=4), st.sampled_from("abcdef"), st.booleans()),
        min_size=1,
    )
)
def test_no_file_is_in_two_places_whatever_the_texts_say(
    texts: dict[str, tuple[list[str], str, bool]],
) -> None:
    name: Callable[[str], str] = "{}.ome.tif".format
    with tempfile.TemporaryDirectory() as folder:
        for letter, (named, own, points) in texts.items():
            text = binary_only(name(own), name(letter)) if points else ome_xml(list(map(name, named)), name(own))
            write_plane(Path(folder) / name(letter), text)
        grouped(Path(folder))
