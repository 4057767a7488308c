"""Label and macro images of slides, by format: there, not there, not known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import openslide
import pytest
from support.corpus import tree, write_afi, write_menarini, write_mirax, write_ndpis, write_svs, write_vms, write_vsi
from support.corpus_dicom import write_dicom
from support.corpus_labels import (
    APERIO_LABEL,
    APERIO_MACRO,
    GT450_LABEL,
    GT450_MACRO,
    LABEL,
    MACRO,
    Picture,
    aperio,
    ome_xml,
    philips_xml,
    scan,
    scn_xml,
    write_czi,
    write_ndpi,
    write_tiff,
)

from pmarep.slides import FORMATS, LeftOut, find_slides
from pmarep.slides import labels as labels_room
from pmarep.slides.labels import Carries, LabelImages, label_images

Y, N, U = Carries.YES, Carries.NO, Carries.UNKNOWN


def look(path: Path) -> tuple[Carries, Carries]:
    """Look at the only slide in a folder, or at the slide with this main file."""
    [slide] = [thing for thing in find_slides(path) if not isinstance(thing, LeftOut)]
    return label_images(slide)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), (N, N)),
        ((APERIO_LABEL, APERIO_MACRO), (Y, Y)),
        ((APERIO_LABEL,), (Y, N)),
        ((APERIO_MACRO,), (N, Y)),
        ((GT450_LABEL, GT450_MACRO), (Y, Y)),
        ((GT450_MACRO,), (N, Y)),
        ((Picture("Aperio Image Library v8\r\nlabel 64x48"),), (Y, N)),  # without the sub-file type
        ((Picture("something else"),), (U, U)),
    ],
)
def test_aperio(others: Sequence[Picture], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    assert look(write_tiff(tmp_path / "a.svs", aperio(*others))) == expected


def test_aperio_without_a_thumbnail(tmp_path: Path) -> None:
    first = aperio()[0]
    assert look(write_tiff(tmp_path / "a.svs", [first, APERIO_LABEL])) == (Y, N)
    assert look(write_tiff(tmp_path / "b.svs", [first, GT450_MACRO])) == (N, Y)
    assert look(write_tiff(tmp_path / "c.svs", [first, GT450_LABEL])) == (U, U)  # or a thumbnail, as some exports have
    assert look(write_tiff(tmp_path / "d.svs", [first, Picture()])) == (N, N)


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}, {"bigtiff": True, "byteorder": ">"}])
def test_kinds_of_tiff(options: dict[str, object], tmp_path: Path) -> None:
    assert look(write_tiff(tmp_path / "a.svs", aperio(APERIO_LABEL), **options)) == (Y, N)
    assert look(write_tiff(tmp_path / "b.svs", aperio(GT450_MACRO), **options)) == (N, Y)
    assert look(write_tiff(tmp_path / "c.svs", aperio(), **options)) == (N, N)


def test_label_images_agree_with_openslide(tmp_path: Path) -> None:
    write_svs(tmp_path / "a.svs", width=512, height=512)
    assert look(tmp_path / "a.svs") == (Y, N)
    write_tiff(tmp_path / "b.svs", aperio(APERIO_LABEL, APERIO_MACRO))
    assert look(tmp_path / "b.svs") == (Y, Y)
    assert openslide.OpenSlide(tmp_path / "b.svs").properties["openslide.vendor"] == "aperio"
    assert {"label", "macro"} <= set(openslide.OpenSlide(tmp_path / "b.svs").associated_images)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("lenses", "expected"),
    [((20, 5, -1), (N, Y)), ((20, 5, -2, -1), (N, Y)), ((20, 5, -2), (N, N)), ((20, 5, 0), (U, U))],
)
def test_ndpi(order: str, lenses: Sequence[float], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    assert look(write_ndpi(tmp_path / "a.ndpi", lenses, order=order)) == expected


def test_ndpi_larger_than_4_gib(tmp_path: Path) -> None:
    path = write_ndpi(tmp_path / "a.ndpi", (20, 5, -1), at=5 * 1024**3)  # sparse: takes no room
    assert openslide.OpenSlide.detect_format(path) == "hamamatsu"
    assert look(path) == (N, Y)


def test_ndpi_that_was_written_as_a_plain_tiff(tmp_path: Path) -> None:
    lens = (65421, "f", 1, -1.0, True)
    assert look(write_tiff(tmp_path / "a.ndpi", [scan(), Picture(size=(100, 20), tags=(lens,))])) == (U, U)


@pytest.mark.parametrize(
    ("xml", "pages", "expected"),
    [
        (scn_xml(), 2, (N, Y)),
        (scn_xml(macro=False), 2, (N, N)),
        (scn_xml(supplemental=["label"]), 3, (Y, Y)),
        (scn_xml(macro=False, supplemental=["barcode"]), 3, (Y, N)),
        (scn_xml(macro=False, supplemental=["something"]), 3, (U, N)),
        (scn_xml(macro=False), 3, (U, U)),  # a picture that the XML does not name
        ('<scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection>', 2, (U, U)),
    ],
)
def test_leica_scn(xml: str, pages: int, expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    pictures = [scan(xml), *[scan()] * (pages - 1)]
    assert look(write_tiff(tmp_path / "a.scn", pictures, bigtiff=True)) == expected


@pytest.mark.parametrize(
    ("xml", "others", "expected"),
    [
        (philips_xml("LABELIMAGE", "MACROIMAGE"), (), (Y, Y)),
        (philips_xml("MACROIMAGE"), (), (N, Y)),
        (philips_xml(), (), (N, N)),
        (philips_xml("LABELIMAGE", data=" "), (), (N, N)),  # taken out, as de-identifying programs do
        (philips_xml(), ("Macro -offset=(0,0)",), (N, Y)),
        (philips_xml(), ("Label",), (Y, N)),
        (philips_xml()[:-5], (), (U, U)),
        ('<!DOCTYPE a [<!ENTITY b "c">]>' + philips_xml(), (), (U, U)),
    ],
)
def test_philips(xml: str, others: Sequence[str], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    pictures = [scan(xml, software="Philips DP v1.0"), scan("level=1"), *map(Picture, others)]
    assert look(write_tiff(tmp_path / "a.tiff", pictures)) == expected


@pytest.mark.parametrize(
    ("descriptions", "expected"),
    [
        (("Label Image", "Probability_Image"), (Y, Y)),
        (("Label_Image", "Thumbnail"), (Y, Y)),
        (("Probability_Image", "Thumbnail"), (N, N)),
        (("Probability_Image", "what is this"), (U, U)),
    ],
)
def test_ventana(descriptions: Sequence[str], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    pictures = [*map(Picture, descriptions), scan("level=0 mag=40 quality=95"), scan("level=1 mag=20 quality=95")]
    assert look(write_tiff(tmp_path / "a.bif", pictures, bigtiff=True)) == expected
    assert look(write_tiff(tmp_path / "a.tif", pictures)) == expected


def test_ventana_by_its_xmp_alone(tmp_path: Path) -> None:
    xmp = (700, "B", 8, b"<iScan />"[:8] + b" ", True)
    pictures = [scan("level=0 mag=40", tags=(xmp,)), Picture("odd", (100, 20))]
    assert look(write_tiff(tmp_path / "a.bif", pictures)) == (U, U)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("FullResolution", "Thumbnail", "ReducedResolution"), (N, N)),
        (("FullResolution", "Thumbnail", "Overview", "Label"), (Y, Y)),
        (("FullResolution", "Thumbnail", "Overview"), (N, Y)),
        (("FullResolution", ""), (U, U)),
    ],
)
def test_qptiff(kinds: Sequence[str], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    texts = [
        '<?xml version="1.0" encoding="utf-16"?><PerkinElmer-QPI-ImageDescription>'
        f"<ImageType>{kind}</ImageType></PerkinElmer-QPI-ImageDescription>"
        for kind in kinds
    ]
    assert look(write_tiff(tmp_path / "a.qptiff", [*map(scan, texts)])) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a.svs",), (N, N)),
        (("label-free microscopy",), (N, N)),
        (("a.svs", "label image", "macro image"), (Y, Y)),
        (("a.ndpi", "macro image"), (U, Y)),
        (("a.scn [label]", "a.scn"), (Y, U)),
        (("region 1", "region 2"), (U, U)),
    ],
)
def test_ome_tiff(names: Sequence[str], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    assert look(write_tiff(tmp_path / "a.ome.tif", [scan(ome_xml(*names))])) == expected


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), (N, N)),
        ((Picture(size=(64, 48), tiled=True), Picture(size=(32, 24), tiled=True, subfile=1)), (N, N)),  # levels
        ((scan(), scan()), (N, N)),  # focal planes
        ((Picture(size=(64, 48)),), (U, U)),  # in strips, as labels are
        ((Picture(size=(30, 80), tiled=True),), (U, U)),
        ((Picture("Label Image"),), (Y, Y)),
        ((Picture("macro"),), (N, Y)),
        ((Picture("Overview of the slide"),), (N, Y)),
        ((Picture(size=(30, 80), subfile=MACRO),), (N, Y)),
        ((Picture(size=(30, 80), subfile=LABEL),), (U, U)),
    ],
)
def test_other_tiffs(others: Sequence[Picture], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    assert look(write_tiff(tmp_path / "a.tif", [scan(), *others])) == expected


def test_argos(tmp_path: Path) -> None:
    xml = (65000, "s", 0, "<Argos.Scan.Metadata/>", True)
    assert look(write_tiff(tmp_path / "a.avs", [scan(tags=(xml,)), Picture(), Picture()])) == (N, Y)
    assert look(write_tiff(tmp_path / "b.avs", [scan(tags=(xml,)), scan()])) == (N, N)


def mirax(folder: Path, *layers: str) -> Path:
    path = write_mirax(folder / "n.mrxs", data_size=100)
    ini = folder / "n" / "Slidedat.ini"
    lines = [f"NONHIER_COUNT = {int(bool(layers))}", "NONHIER_0_NAME = Scan data layer"]
    lines += [f"NONHIER_0_VAL_{n} = {layer}\r\nNONHIER_0_VAL_{n}_SECTION = X{n}" for n, layer in enumerate(layers)]
    text = ini.read_text("utf-8-sig").replace("NONHIER_COUNT = 0", "\r\n".join(lines))
    ini.write_text(text, "utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((), (N, N)),
        (("ScanDataLayer_SlideThumbnail", "ScanDataLayer_SlideBarcode", "ScanDataLayer_SlidePreview"), (Y, Y)),
        (("ScanDataLayer_SlideBarcode",), (Y, N)),
        (("ScanDataLayer_WholeSlide",), (N, Y)),
        (("ScanDataLayer_SlidePreview",), (N, Y)),
        (("ScanDataLayer_XMLInfoHeader",), (N, N)),
    ],
)
def test_mirax(layers: Sequence[str], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    assert look(mirax(tmp_path, *layers)) == expected


def test_mirax_whose_index_does_not_tell(tmp_path: Path) -> None:
    mirax(tmp_path)
    ini = tmp_path / "n" / "Slidedat.ini"
    ini.write_text(ini.read_text("utf-8-sig").replace("NONHIER_COUNT = 0", ""), "utf-8-sig")
    assert look(tmp_path) == (U, U)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), (N, N)),
        (("LABEL", "OVERVIEW"), (Y, Y)),
        (("OVERVIEW",), (N, Y)),
        (("LABEL", "THUMBNAIL"), (Y, N)),
        (("LOCALIZER",), (U, U)),
    ],
)
def test_dicom(others: Sequence[str], expected: tuple[Carries, Carries], tmp_path: Path) -> None:
    write_dicom(tmp_path, others=others)
    assert look(tmp_path) == expected


def test_sets_of_files(tmp_path: Path) -> None:
    write_afi(tmp_path / "afi" / "n.afi", names=["a.svs", "b.svs"])
    assert look(tmp_path / "afi" / "n.afi") == (Y, N)  # as write_svs has them
    for name in ("a", "b"):
        write_tiff(tmp_path / "afi" / f"{name}.svs", aperio())
    assert look(tmp_path / "afi" / "n.afi") == (N, N)
    write_ndpis(tmp_path / "ndpis" / "n.ndpis", names=["a.ndpi", "b.ndpi"])
    write_ndpi(tmp_path / "ndpis" / "a.ndpi", (20, -1))
    write_ndpi(tmp_path / "ndpis" / "b.ndpi", (20,))
    assert look(tmp_path / "ndpis" / "n.ndpis") == (N, Y)
    write_vms(tmp_path / "vms" / "n.vms")
    assert look(tmp_path / "vms" / "n.vms") == (N, Y)


def test_czi(tmp_path: Path) -> None:
    assert look(write_czi(tmp_path / "a.czi", ["Thumbnail", "Label", "SlidePreview"])) == (Y, Y)
    assert look(write_czi(tmp_path / "b.czi", ["Thumbnail", "SlidePreview"])) == (N, Y)
    assert look(write_czi(tmp_path / "c.czi", ["Thumbnail"])) == (N, N)
    (tmp_path / "d.czi").write_bytes((tmp_path / "a.czi").read_bytes()[:-10])
    assert look(tmp_path / "d.czi") == (Y, U)


def test_isyntax_tells_only_a_yes(tmp_path: Path) -> None:
    (tmp_path / "a.isyntax").write_bytes(philips_xml("LABELIMAGE").encode() + b"\r\n\x04" + bytes(1000))
    assert look(tmp_path / "a.isyntax") == (Y, U)
    (tmp_path / "b.isyntax").write_bytes(b"x" * (1024 * 1024 - 3) + b"MACROIMAGE" + b"\x04LABELIMAGE")
    assert look(tmp_path / "b.isyntax") == (U, Y)


def test_others(tmp_path: Path) -> None:
    write_vsi(tmp_path / "n.vsi")
    assert look(tmp_path / "n.vsi") == (U, U)
    tree(tmp_path, "a.png", "b.jpg", "c.svslide")
    assert [look(tmp_path / name) for name in ("a.png", "b.jpg", "c.svslide")] == [(N, N), (N, N), (U, U)]
    assert look(write_menarini(tmp_path / "m" / "n.ini")) == (U, U)


def test_every_format_in_the_table_is_one() -> None:
    assert set(labels_room._LOOKS) <= {entry.name for entry in FORMATS}


def test_yes_counts_more_than_unknown_and_that_more_than_no() -> None:
    assert LabelImages(Y, U).either is Y
    assert LabelImages(N, U).either is U
    assert LabelImages(N, N).either is N
