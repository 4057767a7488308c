"""DICOM series: which files are one slide, and what is missing."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import openslide
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from support.corpus import tree, wild_names
from support.corpus_dicom import (
    Slide,
    annotation,
    ct_image,
    extended_offsets,
    image,
    save,
    undefined_lengths,
    write_concatenation,
    write_dicom,
)

from pmarep.slides import dicom
from pmarep.slides.companions import SlideGroups
from pmarep.slides.dicom_file import HeaderError, NoSlideError
from pmarep.slides.dicom_header import Header, quiet, read_header
from pmarep.slides.folder import Folder
from pmarep.slides.model import Why


def grouped(folder: Path) -> SlideGroups:
    """What the `.dcm` files of a folder are. Checks that none is in two places, whatever the order of the disk."""
    listing = Folder(str(folder))
    names = [name for name in listing.files if name.lower().endswith(".dcm")]
    groups = dicom.group(listing, names)
    places = [*groups.slides, *groups.not_slides, *(part.local for one in groups.slides.values() for part in one.files)]
    assert sorted(places) == sorted(names)
    random.Random(len(names)).shuffle(names)
    assert summary(dicom.group(listing, names)) == summary(groups)
    return groups


def summary(groups: SlideGroups) -> dict[str, tuple[list[str], list[str]]]:
    return {main: ([part.path for part in parts.files], parts.problems) for main, parts in groups.slides.items()}


def header(path: Path) -> Header:
    with quiet():
        return read_header(str(path))


@pytest.mark.parametrize("native", [False, True])
def test_one_series_is_one_slide_and_readers_open_it(tmp_path: Path, native: bool) -> None:
    import wsidicom

    paths = write_dicom(tmp_path, levels=3, native=native)
    assert summary(grouped(tmp_path)) == {"0.dcm": (["1.dcm", "2.dcm", "3.dcm", "4.dcm"], [])}
    with openslide.OpenSlide(paths[0]) as slide:
        assert slide.level_dimensions == ((200, 200), (100, 100), (50, 50))
        assert set(slide.associated_images) == {"label", "macro"}
    with wsidicom.WsiDicom.open(tmp_path) as wsi:
        assert len(wsi.levels) == 3


def test_series_beside_each_other_and_strangers(tmp_path: Path) -> None:
    write_dicom(tmp_path, stem="a", seed="a")
    write_dicom(tmp_path, stem="b", seed="b", others=())
    save(ct_image(), tmp_path / "ct.dcm")
    save(annotation(Slide.new("a")), tmp_path / "drawn.dcm")
    tree(tmp_path, "text.dcm", content=b"hello")
    groups = grouped(tmp_path)
    assert summary(groups) == {"a0.dcm": (["a1.dcm", "a2.dcm", "a3.dcm"], []), "b0.dcm": (["b1.dcm"], [])}
    kind = "DICOM, but no whole-slide image"
    assert groups.not_slides == {
        "ct.dcm": (Why.NOT_A_SLIDE, f"{kind}: CT Image Storage"),
        "drawn.dcm": (Why.NOT_A_SLIDE, f"{kind}: Microscopy Bulk Simple Annotations Storage"),
        "text.dcm": (Why.NOT_A_SLIDE, "no DICOM file, whatever its name says"),
    }


def test_the_main_file_is_the_largest_level_whatever_the_names(tmp_path: Path) -> None:
    paths = write_dicom(tmp_path, levels=3)
    for path, name in zip(paths, ("m", "z", "a", "b", "c"), strict=True):
        path.rename(tmp_path / f"{name}.dcm")
    assert summary(grouped(tmp_path)) == {"m.dcm": (["a.dcm", "b.dcm", "c.dcm", "z.dcm"], [])}


def test_the_main_file_is_the_largest_level_whatever_the_numbers(tmp_path: Path) -> None:
    """Also where the label has more pixels than the scan, and other numbers come first."""
    slide = Slide.new("numbers")
    for number, (name, flavor, pixels) in enumerate(
        [("small", "VOLUME", 64), ("label", "LABEL", 200), ("large", "VOLUME", 128)], start=1
    ):
        save(image(slide, flavor, pixels, number), tmp_path / f"{name}.dcm")
    assert summary(grouped(tmp_path)) == {"large.dcm": (["label.dcm", "small.dcm"], [])}


def test_names_in_the_wild(tmp_path: Path) -> None:
    for number, name in enumerate(wild_names()):
        write_dicom(tmp_path, stem=name, seed=str(number), size=64, levels=1, others=["LABEL"])
    assert summary(grouped(tmp_path)) == {f"{name}0.dcm": ([f"{name}1.dcm"], []) for name in wild_names()}


def test_a_series_of_labels_only(tmp_path: Path) -> None:
    write_dicom(tmp_path, levels=0, others=["LABEL", "OVERVIEW", "THUMBNAIL"])
    assert summary(grouped(tmp_path)) == {
        "0.dcm": (["1.dcm", "2.dcm"], ["its series has no VOLUME image, only LABEL, OVERVIEW, THUMBNAIL"])
    }


@pytest.mark.parametrize("total", [False, True])
def test_a_concatenation(tmp_path: Path, total: bool) -> None:
    paths = write_concatenation(tmp_path, total=total)
    assert summary(grouped(tmp_path)) == {"part1.dcm": (["part2.dcm", "part3.dcm"], [])}
    with openslide.OpenSlide(paths[1]) as slide:
        assert slide.dimensions == (192, 192)


@pytest.mark.parametrize(
    ("total", "gone", "problem"),
    [
        (True, [1], "missing: file 1 of 3 of the concatenation that part2.dcm belongs to"),
        (True, [3], "missing: file 3 of 3 of the concatenation that part1.dcm belongs to"),
        (True, [1, 2], "missing: file 1, 2 of 3 of the concatenation that part3.dcm belongs to"),
        (False, [2], "missing: file 2 of 3 of the concatenation that part1.dcm belongs to"),
        (False, [2, 3], "missing: all but the first file of a concatenation: part1.dcm"),
    ],
)
def test_a_concatenation_that_lacks_files(tmp_path: Path, total: bool, gone: list[int], problem: str) -> None:
    paths = write_concatenation(tmp_path, total=total)
    for number in gone:
        paths[number - 1].unlink()
    ((_, problems),) = summary(grouped(tmp_path)).values()
    assert problems == [problem]


def test_a_file_twice_is_one_member(tmp_path: Path) -> None:
    """OpenSlide takes no offence either."""
    paths = write_concatenation(tmp_path)
    (tmp_path / "part1 (copy).dcm").write_bytes(paths[0].read_bytes())
    assert summary(grouped(tmp_path)) == {"part1 (copy).dcm": (["part1.dcm", "part2.dcm", "part3.dcm"], [])}


VARIANTS = ["jpeg", "native", "extended", "undefined", "undefined native", "implicit", "no end"]


def variant(path: Path, kind: str) -> Path:
    """A level as different programs write it."""
    dataset = image(Slide.new("v"), "VOLUME", 128, 1, native="native" in kind or kind == "implicit")
    if kind == "extended":
        extended_offsets(dataset)
    if "undefined" in kind:
        undefined_lengths(dataset)
    if kind == "implicit":
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    save(dataset, path)
    if kind == "no end":
        path.write_bytes(path.read_bytes()[:-8])
    return path


@pytest.mark.parametrize("kind", VARIANTS)
def test_whole_files_of_every_writer(tmp_path: Path, kind: str) -> None:
    found = header(variant(tmp_path / "a.dcm", kind))
    assert (found.damage, found.flavor, found.pixels, found.number) == ("", "VOLUME", 128 * 128, 1)


@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
def test_a_file_that_is_cut_off(tmp_path: Path, kind: str, part: float) -> None:
    path = variant(tmp_path / "a.dcm", kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    ((_, problems),) = summary(grouped(tmp_path)).values()
    if kind == "undefined native":
        assert problems in ([], ["cut off: a.dcm"])  # only reading all of it would tell
    else:
        assert problems == ["cut off: a.dcm"]


def test_frames_are_counted_where_nothing_else_tells(tmp_path: Path) -> None:
    """No offset table, and cut off between two frames."""
    dataset = image(Slide.new("v"), "VOLUME", 128, 1)
    frames = [bytes([number]) * 100 for number in range(4)]
    dataset.PixelData = encapsulate(frames, has_bot=False)
    path = save(dataset, tmp_path / "a.dcm")
    assert header(path).damage == ""
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    assert header(path).damage == ""  # only the end is missing: readers do not mind
    path.write_bytes(whole[: -8 - 108])
    assert header(path).damage == "cut off"


@pytest.mark.parametrize("kind", ["jpeg", "extended", "undefined"])
def test_padding_after_the_pixels(tmp_path: Path, kind: str) -> None:
    """DataSetTrailingPadding: files that are TIFF at the same time keep their directories there."""
    path = variant(tmp_path / "a.dcm", kind)
    with path.open("ab") as file:
        file.write(b"\xfc\xff\xfc\xffOB\0\0" + (50_000).to_bytes(4, "little") + bytes(50_000))
    assert header(path).damage == ""


@pytest.mark.parametrize("kind", ["jpeg", "extended"])
def test_fewer_frames_than_it_says(tmp_path: Path, kind: str) -> None:
    dataset = image(Slide.new("v"), "VOLUME", 128, 1)
    if kind == "extended":
        extended_offsets(dataset)
    dataset.NumberOfFrames = 9
    save(dataset, tmp_path / "a.dcm")
    assert summary(grouped(tmp_path)) == {"a.dcm": ([], ["4 of 9 frames: a.dcm"])}


def test_a_damaged_level_spoils_its_slide_and_no_other(tmp_path: Path) -> None:
    write_dicom(tmp_path, stem="a", seed="a")
    good = write_dicom(tmp_path, stem="b", seed="b")
    (tmp_path / "a1.dcm").write_bytes((tmp_path / "a1.dcm").read_bytes()[:-100])
    assert summary(grouped(tmp_path)) == {
        "a0.dcm": (["a1.dcm", "a2.dcm", "a3.dcm"], ["cut off: a1.dcm"]),
        good[0].name: ([path.name for path in good[1:]], []),
    }


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (bytes(5000), "it begins with zeros, as files do that are still being copied"),
        (bytes(128) + b"DICM", "its header has neither a SOP class nor a modality"),
        (bytes(128) + b"DICM" + b"\x02\0\x02\0OB\0\0\xff\xff\xff\x7f", "its header is too large to be one"),
    ],
)
def test_headers_that_cannot_be_read(tmp_path: Path, content: bytes, problem: str) -> None:
    tree(tmp_path, "a.dcm", content=content)
    assert summary(grouped(tmp_path)) == {"a.dcm": ([], [problem])}


def test_a_header_that_is_cut_off(tmp_path: Path) -> None:
    path = write_dicom(tmp_path, levels=1, others=())[0]
    path.write_bytes(path.read_bytes()[:600])
    assert summary(grouped(tmp_path)) == {"0.dcm": ([], ["it is cut off in its header"])}


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    write_dicom(tmp_path, levels=1, others=())
    listing = Folder(str(tmp_path))
    (tmp_path / "0.dcm").unlink()
    why, _ = dicom.group(listing, ["0.dcm"]).not_slides["0.dcm"]
    assert why is Why.UNREADABLE


def test_a_private_sop_class_is_a_slide_by_its_modality(tmp_path: Path) -> None:
    """A maker's own SOP class: a slide if it has the modality of slides, and a pixel matrix."""
    dataset = image(Slide.new("own"), "VOLUME", 64, 1)
    dataset.SOPClassUID = "1.2.3.4"
    assert header(save(dataset, tmp_path / "a.dcm")).flavor == "VOLUME"
    dataset.Modality = "OT"
    with pytest.raises(NoSlideError, match="OT"):
        header(save(dataset, tmp_path / "a.dcm"))


def test_other_ways_of_writing_a_header(tmp_path: Path) -> None:
    dataset = image(Slide.new("big"), "VOLUME", 128, 1, native=True)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset["PixelData"].VR = "OB"
    found = header(save(dataset, tmp_path / "big.dcm"))
    assert (found.pixels, found.number, found.damage) == (128 * 128, 1, "")
    ct = ct_image()
    ct.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    with pytest.raises(NoSlideError, match="deflated"):
        header(save(ct, tmp_path / "ct.dcm"))


def test_a_header_is_read_in_a_few_small_reads(tmp_path: Path) -> None:
    """Whatever stands between its beginning and the pixels."""
    dataset = image(Slide.new("v"), "VOLUME", 128, 1)
    dataset.OpticalPathSequence[0].ICCProfile = bytes(3_000_000)
    path = save(dataset, tmp_path / "a.dcm")
    with quiet(), _Reads() as reads:
        read_header(str(path))
    assert len(reads.sizes) <= 4
    assert max(reads.sizes) <= 8192


class _Reads:
    """Counts what is asked of the system, in the module that read_header() reads with."""

    def __enter__(self) -> _Reads:
        from pmarep.slides import dicom_file

        self.sizes: list[int] = []
        self._real = dicom_file._read

        def read(file: object, size: int) -> bytes:
            self.sizes.append(size)
            return self._real(file, size)  # type: ignore[arg-type]

        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(dicom_file, "_read", read)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


@given(data=st.data())
def test_any_damage_is_survived(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        content = bytearray(_sample(data.draw(st.sampled_from(["jpeg", "undefined", "implicit"]))))
        for _ in range(data.draw(st.integers(1, 8))):
            content[data.draw(st.integers(132, 2500))] = data.draw(st.sampled_from([0, 1, 255]) | st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(132, len(content)) | st.just(len(content)))])
        grouped(Path(folder))


@given(st.binary(max_size=300))
def test_any_bytes_after_the_magic_are_survived(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dcm"
        path.write_bytes(bytes(128) + b"DICM" + content)
        with pytest.raises((HeaderError, NoSlideError)):
            header(path)


_SAMPLES: dict[str, bytes] = {}


def _sample(kind: str) -> bytes:
    if kind not in _SAMPLES:
        with tempfile.TemporaryDirectory() as folder:
            _SAMPLES[kind] = variant(Path(folder) / "a.dcm", kind).read_bytes()
    return _SAMPLES[kind]
