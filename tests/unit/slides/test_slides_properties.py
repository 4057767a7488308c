"""What holds for every folder whatsoever."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

import tifffile
from hypothesis import given
from hypothesis import strategies as st
from support.corpus import tree
from support.corpus_dicom import Slide as DicomSlide
from support.corpus_dicom import ct_image, image
from support.discovery import Discovered, dicomdir, discover, shuffled, written

from pmarep.slides import LeftOut, Slide, Why, find_again

# Few names, so that they meet: in other cases, as stems of folders, in indexes.
stems = st.sampled_from(["n", "N", "_n_", "_N_", "m", "m.mrxs", "ä", "Ä", "x y"])
single = ["svs", "SVS", "ndpi", "jpg", "JPG", "tif", "txt", "xyz"]
several = ["mrxs", "MRXS", "vsi", "ndpis", "afi", "vms", "ini", "dcm", "DCM", "ome.tif", "companion.ome"]
data = st.sampled_from(["Slidedat.ini", "slidedat.ini", "Index.dat", "Data0.dat", "DATA0.DAT", "a.ets", "b.ETS"])
whole = st.sampled_from(["SlideScan.ini", "slidescan.INI", "FinalScan.ini", "DICOMDIR", "Da0.jpg", "da0.jpg"])
names = data | whole | st.builds("{}.{}".format, stems, st.sampled_from(single + several))
folders = st.lists(stems, max_size=3)
paths = st.builds(lambda above, name: "/".join([*above, name]), folders, names)


@cache
def dicom(kind: str) -> bytes:
    if kind == "ct":
        dataset = ct_image()
    else:
        seed, flavor = kind.split()
        dataset = image(DicomSlide.new(seed), flavor, 64, 1)
    return written(dataset)


def ome_xml(own: str, listed: list[str]) -> str:
    uuids = {name: f"urn:uuid:{number}" for number, name in enumerate(dict.fromkeys([own, *listed]))}
    tiffs = "".join(f'<TiffData><UUID FileName="{name}">{uuids[name]}</UUID></TiffData>' for name in listed)
    return (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuids[own]}">'
        f'<Image ID="Image:0"><Pixels ID="Pixels:0">{tiffs}</Pixels></Image></OME>'
    )


@cache
def tiff(description: str) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, shape=(1, 1), dtype="uint8", description=description.encode(), metadata=None)
    return file.getvalue()


def index(name: str, inside: list[str], count: int) -> bytes | None:
    """The contents of an index that names files."""
    lower = name.lower()
    if lower == "slidedat.ini":
        lines = ["[HIERARCHICAL]", "INDEXFILE=Index.dat", "[DATAFILE]", f"FILE_COUNT={count}"]
        lines += [f"FILE_{number}={name}" for number, name in enumerate(inside)]
    elif lower.endswith(".ndpis"):
        lines = ["[NanoZoomer Digital Pathology Image Set]", f"NoImages={count}"]
        lines += [f"Image{number}={name}" for number, name in enumerate(inside)]
    elif lower.endswith(".vms"):
        lines = ["[Virtual Microscope Specimen]", "NoJpegRows=1", f"NoJpegColumns={count}"]
        lines += [f"ImageFile({number},0)={name}" for number, name in enumerate(inside)]
        lines += [f"MapFile={name}" for name in inside[:1]]
    elif lower in ("slidescan.ini", "finalscan.ini"):
        lines = ["[Header]", "iImageWidth=1", *(["[Da0]", "x=1", "y=1"] if count else [])]
    elif lower.endswith(".ini"):
        lines = ["[D-Sight]" if count else "[Other]", *(f"a{number}={name}" for number, name in enumerate(inside))]
    elif lower.endswith(".afi"):
        lines = ["<ImageList>", *(f"<Image><Path>{name}</Path></Image>" for name in inside), "</ImageList>"]
    elif lower.endswith(".companion.ome"):
        lines = [ome_xml("", inside)]
    elif lower.endswith(".ome.tif"):
        return tiff(ome_xml(name, inside))
    elif lower == "dicomdir":
        return dicomdir(tuple(inside))
    else:
        return None
    return "\n".join(lines).encode()


@st.composite
def trees(draw: st.DrawFn) -> tuple[dict[str, bytes], dict[str, list[str]]]:
    """The files of a tree with what is in them, and for those that are indexes what they name."""
    chosen = draw(st.sets(paths, max_size=14))
    # complete sets do not come about by chance
    if draw(st.booleans()):
        chosen |= {"n.mrxs", "n/Slidedat.ini", "n/Index.dat"}
    if draw(st.booleans()):
        chosen |= {"_n_/s/a.ets", "n.vsi"}
    if draw(st.booleans()):
        chosen |= {"x y/SlideScan.ini", "x y/Da0.jpg"}
    if draw(st.booleans()):
        chosen |= {"DICOMDIR", "N/m/n.dcm", "N/m/N.dcm"}
    above = {"/".join(path.split("/")[:depth]) for path in chosen for depth in range(1, path.count("/") + 1)}
    files: dict[str, bytes] = {}
    named: dict[str, list[str]] = {}
    for path in sorted(chosen - above):
        folder, slash, name = path.rpartition("/")
        lower = name.lower()
        if lower == "dicomdir":  # names files at any depth
            below = [other.removeprefix(folder + slash) for other in sorted(chosen) if other.startswith(folder + slash)]
            inside = draw(st.lists(st.sampled_from(below), max_size=3, unique=True))
        else:
            inside = draw(st.lists(names, max_size=3))
        count = draw(st.sampled_from([len(inside)] * 6 + [0, 1, 99]))
        if lower.endswith(".dcm"):
            contents = dicom(draw(st.sampled_from(["a VOLUME", "a LABEL", "b VOLUME", "ct"])))
        else:
            found = index(name, inside, count)
            if found is not None:
                named[path] = [*inside, "Index.dat"]
            contents = found or draw(st.sampled_from([b"x"] * 5 + [b"", b"II*\0"]))
        files[path] = contents
    return files, named


def companions(main: str) -> list[str]:
    """The folders that could be a main file's, in lower case."""
    above, _, name = main.lower().rpartition("/")
    stem = name.rpartition(".")[0]
    return [f"{above}/{folder}/".lstrip("/") for folder in (stem, f"_{stem}_")]


def is_misplaced(path: str, main: str, found: Discovered) -> bool:
    """Return whether a file is reported with a main file, which says what to move or to rename."""
    above, slash, _ = main.rpartition("/")
    if not path.startswith(above + slash):
        return False
    below, inside, _ = path.removeprefix(above + slash).partition("/")
    detail = found.detail(main)
    if inside:
        return f" {below}/ looks like it" in detail
    return " beside " in detail or detail == "the file is empty"  # which is said instead of where the others are


def may_be_part_of(path: str, main: str, named: dict[str, list[str]]) -> bool:
    """Return whether a file may belong to a slide that is left out: then it is reported with that slide."""
    if main == ".":
        return "/" not in path
    above, slash, name = main.lower().rpartition("/")
    path = path.lower()
    if name.endswith((".mrxs", ".vsi", ".ini")) and any(path.startswith(folder) for folder in companions(main)):
        return True
    if name == "slidescan.ini" and path.startswith(above + slash):
        return True
    if name.endswith((".dcm", ".ome.tif")) and path.rpartition("/")[0] == above and path.endswith(name[-4:]):
        return True
    return path in [(above + slash + one).lower() for one in named.get(main, [])]


@given(trees(), st.lists(st.sampled_from(["*.svs", "n/**", "N.*", "*.ndpis", "**/_n_/*"]), max_size=2), st.integers())
def test_nothing_is_lost_or_sent_twice(
    made: tuple[dict[str, bytes], dict[str, list[str]]], exclude: list[str], seed: int
) -> None:
    files, named = made
    with tempfile.TemporaryDirectory() as made_here:
        top = Path(made_here)
        for path, content in files.items():
            tree(top, path, content=content)
        found = discover(top, exclude=exclude)  # which sees to it that no file belongs to two slides
        assert discover(top, exclude=exclude, scandir=shuffled(seed)).things == found.things

        slides = [thing for thing in found.things if isinstance(thing, Slide)]
        sent = {slide.local(file).relative_to(top).as_posix() for slide in slides for file in slide.files}
        left = {thing.path: thing for thing in found.things if isinstance(thing, LeftOut)}
        assert sent <= set(files)
        assert not sent & set(left), "sent and left out"
        for path in set(files) - sent - set(left):
            assert any(
                path.startswith(f"{folder}/")
                or may_be_part_of(path, folder, named)
                or is_misplaced(path, folder, found)
                for folder in left
            ), f"{path} is lost"
        for slide in slides:
            assert find_again(top, slide.path, exclude=exclude) == slide


@given(trees())
def test_on_windows_all_that_is_sent_has_a_name_of_its_own(
    made: tuple[dict[str, bytes], dict[str, list[str]]],
) -> None:
    with tempfile.TemporaryDirectory() as made_here:
        top = Path(made_here)
        for path, content in made[0].items():
            tree(top, path, content=content)
        found = discover(top)
        announced: list[str] = []
        for thing in found.things:
            if isinstance(thing, Slide):
                above = thing.path.rpartition("/")[0]
                announced += [f"{above}/{file.path}".lower() for file in thing.files]
                assert thing.main.size > 0
            else:
                assert thing.why is not Why.EXCLUDED
        assert len(announced) == len(set(announced))


@given(trees(), st.lists(st.sampled_from(["*.svs", "n/", "!n.*", "N/", "*.dat", "/_n_", "x y/"]), max_size=3))
def test_ignoring_slides_loses_no_file(made: tuple[dict[str, bytes], dict[str, list[str]]], rules: list[str]) -> None:
    files, named = made
    with tempfile.TemporaryDirectory() as made_here:
        top = Path(made_here)
        for path, content in files.items():
            tree(top, path, content=content)
        (top / ".pmarepignore").write_text("\n".join(rules))
        found = discover(top)
        sent = {
            slide.local(file).relative_to(top).as_posix()
            for slide in found.things
            if isinstance(slide, Slide)
            for file in slide.files
        }
        for path in set(files) - sent - set(found.left):
            assert any(
                path.startswith(f"{folder}/")
                or may_be_part_of(path, folder, named)
                or is_misplaced(path, folder, found)
                for folder in found.left
            )
