"""DICOM whatever the files are called, and series that belong together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from support.corpus import tree, write_mirax
from support.corpus_dicom import Slide, ct_image, image, save, write_concatenation, write_dicom, write_dicomdir
from support.discovery import discover, shuffled

from pmarep.slides import Slide as FoundSlide
from pmarep.slides import Why, dicom, dicom_content, find_again
from pmarep.slides.dicom_header import Header, read_header

KIND = "DICOM, but no whole-slide image"


def renamed(folder: Path, names: Callable[[int], str], **options: object) -> list[str]:
    """A slide of two levels, a label and an overview, its files named by their number; the names."""
    paths = write_dicom(folder, **options)  # type: ignore[arg-type]
    return [path.rename(path.with_name(names(number))).name for number, path in enumerate(paths)]


@pytest.mark.parametrize(
    "names",
    [
        lambda number: f"1.2.826.0.1.3680043.8.498.10{number}",
        lambda number: f"IM{number:06}",
        lambda number: f"l{number}.dicom",
        lambda number: f"level {number}",
        lambda number: f"IM{number:06};1",
        lambda number: f"x.DCM;{number}",
        lambda number: f"{number}.ima",
        lambda number: ("l0.dcm", "l1", "2.DCM", "overview.xyz")[number],
    ],
    ids=["uid", "medium", "dicom", "words", "version", "dcm-version", "ima", "mixed"],
)
def test_a_series_is_one_slide_whatever_its_files_are_called(tmp_path: Path, names: Callable[[int], str]) -> None:
    main, *others = renamed(tmp_path, names)
    tree(tmp_path, "notes.txt", "LICENSE", content=b"text that is no DICOM")
    for seed in range(3):
        found = discover(tmp_path, scandir=shuffled(seed))
        assert {slide: sorted(files) for slide, files in found.slides.items()} == {main: sorted([main, *others])}
        assert found.left == {"notes.txt": Why.NOT_A_SLIDE, "LICENSE": Why.NOT_A_SLIDE}
    again = find_again(tmp_path, main)
    assert isinstance(again, FoundSlide)
    assert len(again.files) == 4


def test_a_level_with_another_name_is_missed_as_such(tmp_path: Path) -> None:
    """What is wrong with a file is told, and not that it has no ending."""
    first, second, third = write_concatenation(tmp_path)
    third.unlink()
    second.rename(tmp_path / "part")
    detail = discover(tmp_path).detail(first.name)
    assert detail == "missing: file 3 of 3 of the concatenation that part belongs to"


def test_a_medium_without_its_directory(tmp_path: Path) -> None:
    listed = write_dicomdir(tmp_path)
    (tmp_path / "DICOMDIR").unlink()
    (slide,) = discover(tmp_path).slides.values()
    assert sorted(slide) == sorted(Path(path).name for path in listed)


def test_a_directory_and_its_files_with_versions(tmp_path: Path) -> None:
    """ISO 9660 has a version at the end of names; it is not part of them: readers look for what the directory says."""
    listed = write_dicomdir(tmp_path)
    for path in [*listed, "DICOMDIR"]:
        (tmp_path / path).rename(tmp_path / f"{path};1")
    found = discover(tmp_path)
    assert list(found.slides) == ["DICOMDIR;1"]
    assert sorted(found.slides["DICOMDIR;1"]) == sorted([*listed, "DICOMDIR"])
    assert found.left == {}
    again = find_again(tmp_path, "DICOMDIR;1")
    assert isinstance(again, FoundSlide)


def test_files_beside_a_directory_that_does_not_list_them(tmp_path: Path) -> None:
    write_dicomdir(tmp_path)
    added = renamed(tmp_path, lambda number: f"ADDED{number}", seed="another")
    found = discover(tmp_path)
    assert set(found.slides) == {"DICOMDIR", added[0]}
    assert sorted(found.slides[added[0]]) == sorted(added)


def test_what_is_no_slide_is_reported_as_what_it_is(tmp_path: Path) -> None:
    save(ct_image(), tmp_path / "IM000001")
    save(ct_image("2"), tmp_path / "1.2.840.1")
    tree(tmp_path, "README", content=b"hello")
    found = discover(tmp_path)
    assert found.left == dict.fromkeys(["IM000001", "1.2.840.1", "README"], Why.NOT_A_SLIDE)
    assert found.detail("IM000001") == found.detail("1.2.840.1") == f"{KIND}: CT Image Storage"


@pytest.mark.parametrize(
    ("name", "content", "why", "detail"),
    [
        ("l1", bytes(5000), Why.INCOMPLETE, "it begins with zeros, as files do that are still being copied"),
        ("l1", b"", Why.NOT_A_SLIDE, "no slide's main file"),
        ("level7", b"", Why.INCOMPLETE, "the file is empty"),
        ("l1", b"text", Why.NOT_A_SLIDE, "no slide's main file"),
        ("l1.zip", bytes(5000), Why.NOT_A_SLIDE, "no slide's main file: .zip"),
    ],
)
def test_a_broken_copy_beside_a_series(tmp_path: Path, name: str, content: bytes, why: Why, detail: str) -> None:
    write_dicom(tmp_path)[1].rename(tmp_path / "level1")
    tree(tmp_path, name, content=content)
    found = discover(tmp_path)
    assert list(found.slides) == ["0.dcm"]
    assert found.left == {name: why}
    assert found.detail(name) == detail


def test_an_unreadable_file_beside_a_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dicom(tmp_path)
    tree(tmp_path, "l1")
    head = dicom_content._head

    def refuse(path: str) -> Header:
        if path.endswith("l1"):
            raise PermissionError(13, "Permission denied")
        return read_header(path)

    monkeypatch.setattr(dicom_content, "_head", lambda folder, name: None if name == "l1" else head(folder, name))
    monkeypatch.setattr(dicom, "read_header", refuse)
    assert discover(tmp_path).left == {"l1": Why.UNREADABLE}


def test_zeros_alone_are_no_dicom(tmp_path: Path) -> None:
    tree(tmp_path, "sparse", "swap.bin", content=bytes(5000))
    assert discover(tmp_path).left == {"sparse": Why.NOT_A_SLIDE, "swap.bin": Why.NOT_A_SLIDE}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often which file's beginning was looked at."""
    counted: Counter[str] = Counter()
    head = dicom_content._head

    def counting(folder: object, name: str) -> bytes | None:
        counted[name] += 1
        return head(folder, name)  # type: ignore[arg-type]

    monkeypatch.setattr(dicom_content, "_head", counting)
    return counted


def test_few_of_many_files_are_looked_into(tmp_path: Path, opened: Counter[str]) -> None:
    tree(tmp_path, *(f"object{number:04}" for number in range(1000)))
    assert len(discover(tmp_path).left) == 1000
    assert opened.total() <= 16


def test_all_are_looked_into_where_one_is_dicom(tmp_path: Path, opened: Counter[str]) -> None:
    names = renamed(tmp_path, lambda number: f"object{number * 250:04}a")
    tree(tmp_path, *(f"object{number:04}" for number in range(1000)))
    found = discover(tmp_path)
    assert sorted(found.slides["object0000a"]) == sorted(names)
    assert len(opened) == 1004
    assert opened.total() == 1004


def test_nothing_is_looked_into_that_something_else_explains(tmp_path: Path, opened: Counter[str]) -> None:
    write_mirax(tmp_path / "n.mrxs")
    tree(tmp_path, "a.svs", "b.txt", "c.xml", "d.zip", "thumbs.db", "e.tif")
    discover(tmp_path)
    assert not opened


# -- label, overview and thumbnail in a series of their own --


def of_its_own(dataset: Dataset, seed: str, **changed: str) -> Dataset:
    dataset.SeriesInstanceUID = Slide.new(seed).series
    for keyword, value in changed.items():
        setattr(dataset, keyword, value)
    return dataset


def with_others(folder: Path, **changed: str) -> None:
    """A slide `b0.dcm`, `b1.dcm`, and its label and overview in two series."""
    write_dicom(folder, stem="b", others=())
    for number, flavor in enumerate(("LABEL", "OVERVIEW")):
        dataset = image(Slide.new("slide"), flavor, 64, number + 5)
        save(of_its_own(dataset, flavor, **changed), folder / f"a{number}.dcm")


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"FrameOfReferenceUID": "1.2.3"},
        {"FrameOfReferenceUID": "1.2.3", "ContainerIdentifier": ""},
        {"StudyInstanceUID": "1.2.3", "ContainerIdentifier": "other"},
    ],
    ids=["all-the-same", "by-glass", "by-study", "by-frame"],
)
def test_label_and_overview_in_series_of_their_own(tmp_path: Path, changed: dict[str, str]) -> None:
    with_others(tmp_path, **changed)
    found = discover(tmp_path)
    assert found.slides == {"b0.dcm": ["a0.dcm", "a1.dcm", "b1.dcm", "b0.dcm"]}
    assert found.left == {}


def test_a_label_goes_to_the_slide_of_its_glass(tmp_path: Path) -> None:
    """Two slides of one study in one folder, as one case has them."""
    for stem, glass in (("a", "S26-1"), ("b", "S26-2")):
        slide = Slide.new(stem)
        for number, flavor in enumerate(("VOLUME", "LABEL")):
            dataset = of_its_own(image(slide, flavor, 64, number), f"{stem}{flavor}", StudyInstanceUID="1.2.3")
            dataset.ContainerIdentifier = glass
            if flavor == "LABEL":
                del dataset.FrameOfReferenceUID
            save(dataset, tmp_path / f"{stem}{flavor}.dcm")
    assert discover(tmp_path).slides == {
        "aVOLUME.dcm": ["aLABEL.dcm", "aVOLUME.dcm"],
        "bVOLUME.dcm": ["bLABEL.dcm", "bVOLUME.dcm"],
    }


@pytest.mark.parametrize(
    "changed",
    [
        {"FrameOfReferenceUID": "1.2.3", "StudyInstanceUID": "1.2.4"},
        {"FrameOfReferenceUID": "1.2.3", "ContainerIdentifier": "another glass"},
    ],
)
def test_a_label_of_another_slide_is_reported(tmp_path: Path, changed: dict[str, str]) -> None:
    with_others(tmp_path, **changed)
    found = discover(tmp_path)
    assert list(found.slides) == ["b0.dcm"]
    assert found.left == {"a0.dcm": Why.INCOMPLETE, "a1.dcm": Why.INCOMPLETE}
    assert found.detail("a0.dcm") == "its series has no VOLUME image, only LABEL"
